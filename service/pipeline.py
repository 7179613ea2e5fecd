"""The whole story: capture → windows (`service.reading`) → patterns → alerts → store, for one sensor at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from service.alerts.allow import AllowList, read_allow_list
from service.alerts.groups import CoordinationSpec
from service.alerts.threshold import Thresholds
from service.analysis import Analyst
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.observe import SILENT, Observer, identified
from service.patterns.factorize import FactorizationSpec
from service.reading import Reading, ReadingSpec, read_windows
from service.receipts import CaptureReceipt, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from service.store.findings import News
    from service.store.repository import Store, Tuning, Unit
    from service.windows.counts import WindowCounts


@dataclass(frozen=True, slots=True)
class PipelineSpec(ReadingSpec):
    """Everything that can be set about the way from packets to alerts."""

    factorization: FactorizationSpec = field(default_factory=FactorizationSpec)
    thresholds: Thresholds = field(default_factory=Thresholds)
    coordination: CoordinationSpec = field(default_factory=CoordinationSpec)
    allowed: AllowList = field(default_factory=AllowList)
    """Sources whose scans are kept, and not told."""

    def tuned(self, tuning: Tuning) -> PipelineSpec:
        """Return it with what people have changed while the service runs."""
        budget = self.coordination.budget
        if tuning.false_alarms is not None:
            budget = replace(budget, per_day=tuning.false_alarms)
        added = read_allow_list(tuning.allow_rules, "allow-rules")
        return replace(
            self,
            coordination=replace(self.coordination, budget=budget),
            allowed=AllowList(self.allowed.rules + added.rules),
        )


class Pipeline:
    """Takes windows and captures in, and keeps what is found in the store."""

    def __init__(self, spec: PipelineSpec, store: Store, observer: Observer = SILENT) -> None:
        self._spec = spec
        self._store = store
        self._observer = observer
        self._analyst = Analyst(spec, observer, durable=store.durable)

    def accept(self, counts: WindowCounts) -> Receipt:
        """Analyse and store a window; an identical one that is stored already is left as it is.

        Raises WindowConflictError if one of the same sensor, start and length is stored with other content.
        """
        return self.accept_all([counts])[0]

    def accept_all(self, windows: Iterable[WindowCounts]) -> list[Receipt]:
        """Analyse and store windows in order, all or none; raises as `accept` does."""
        try:
            with self._store.begin() as unit:
                taken = list(map(partial(self._take, unit), windows))
        except BaseException:
            # What these windows taught is not in the store.
            self._analyst.forget()
            raise
        for _, news in taken:
            if news is not None:
                news.tell(self._observer)
        return [receipt for receipt, _ in taken]

    def look(self, counts: WindowCounts) -> tuple[str, ...]:
        """Store the scans that show in a window that is still open; return the ids of their alerts."""
        with self._store.read() as reader:
            if self._analyst.look(reader, counts)[1] is None:
                return ()
        # Most looks show nothing, and wait for no writer; what shows is looked at again beside nobody else.
        with self._store.begin() as unit:
            receipt, findings = self._analyst.look(unit, counts)
            if findings is not None:
                findings.save(unit)
        if findings is not None:
            findings.tell(self._observer)
        return receipt.alerts

    def accept_capture(self, path: Path, sensor: str) -> CaptureReceipt:
        """Read a capture or a log of flows, and analyse and store its windows, all or none.

        Raises CaptureError if the file is neither, and as `accept` does. A damaged file counts up to its
        damage.
        """
        reading = Reading()
        attempts = 0

        def counted() -> Iterator[WindowCounts]:
            nonlocal attempts
            source = open_traffic(path, HostTable())
            spec = self._spec.for_files([source])
            for counts in read_windows([source], sensor, spec, reading):
                if counts.end - counts.start == spec.windows.length:
                    attempts += counts.attempts
                yield counts

        receipts = self.accept_all(counted())
        damage = [f"byte {damage.offset}: {damage.reason}" for damage in reading.damage]
        return CaptureReceipt(
            windows=tuple(receipts),
            packets=reading.packets,
            attempts=attempts,
            flows=reading.flows,
            unparsed=dict(reading.unparsed),
            tunnelled=dict(reading.tunnelled),
            damage=damage[0] if damage else None,
        )

    def _take(self, unit: Unit, counts: WindowCounts) -> tuple[Receipt, News | None]:
        """Return what is to be told of a window; its counts, megabytes, can be let go of."""
        receipt, findings = self._analyst.take(unit, counts)
        if findings is not None:
            with identified(window=counts.id), self._observer.stage("save"):
                findings.save(unit)
        return receipt, None if findings is None else findings.news
