"""What a window says: a function of its counts and of what is known, which returns what is to be written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from service.alerts import habits, memory
from service.alerts.groups import SHORTEST, CoordinationSpec, groups_of
from service.alerts.habits import Habits
from service.alerts.history import History
from service.alerts.judged import JudgedPatterns
from service.alerts.sources import judge
from service.alerts.suppress import begin, follow
from service.capture.address import format_addresses
from service.errors import WindowConflictError
from service.observe import SILENT, Observer, identified
from service.patterns.factorize import FactorizationSpec, PatternFinder
from service.receipts import Receipt
from service.remembered import Remembered
from service.store.findings import Findings
from service.store.repository import LateMemory, MemoryKey, Part, Tuning, WindowRecord
from service.windows.matrix import count_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.alerts.alert import Alert
    from service.alerts.allow import AllowList
    from service.alerts.threshold import Thresholds
    from service.patterns.catalogue import Followers, Update
    from service.store.repository import Known
    from service.windows.counts import WindowCounts

_ASKED_BY_NAME = 256
"""Sources of a window up to which the store is asked for their alerts only; beyond, for all that are open."""


class AnalysisSpec(Protocol):
    """What can be set about the way from counts to alerts."""

    @property
    def factorization(self) -> FactorizationSpec:
        """How windows are factorised."""
        ...

    @property
    def thresholds(self) -> Thresholds:
        """From when on one source is named."""
        ...

    @property
    def coordination(self) -> CoordinationSpec:
        """How groups are found."""
        ...

    @property
    def allowed(self) -> AllowList:
        """Sources whose scans are kept, and not told."""
        ...

    def tuned(self, tuning: Tuning) -> AnalysisSpec:
        """Return it with what people have changed while the service runs."""
        ...


class Analyst:
    """Analyses windows. What it keeps at hand is a copy of what is stored: without it, all is the same."""

    def __init__(self, spec: AnalysisSpec, observer: Observer = SILENT, *, durable: bool = True) -> None:
        """Memories are written if the store is `durable`; without, they live here."""
        self._spec = spec
        self._tuned: tuple[Tuning, AnalysisSpec] = Tuning(), spec
        self._observer = observer
        self._finders = Remembered(
            lambda: PatternFinder(spec.factorization, observer),
            lambda document: PatternFinder.from_bytes(document, spec.factorization, observer),
            PatternFinder.to_bytes,
            durable,
        )
        self._histories = Remembered(
            lambda: History(spec.coordination.history),
            lambda document: memory.from_bytes(document, spec.coordination.history),
            memory.to_bytes,
            durable,
        )
        self._habits = Remembered(Habits, habits.from_bytes, habits.to_bytes, durable)

    def forget(self) -> None:
        """Let go of what is at hand: findings were not written."""
        self._finders.clear()
        self._histories.clear()
        self._habits.clear()

    def take(self, reader: Known, counts: WindowCounts) -> tuple[Receipt, Findings | None]:
        """Return what is said of a window, and what is to be written: nothing if it is stored already.

        Raises WindowConflictError if one of the same sensor, start and length is stored with other content.
        """
        digest = counts.digest()
        stored = reader.window_digest(counts.id)
        if stored is None:
            with identified(window=counts.id):
                findings = self._analyse(reader, counts, digest)
            record = findings.record
            assert record is not None  # noqa: S101  (of a whole window there is one)
            return Receipt(counts.id, repeated=False, patterns=record.patterns, alerts=record.alerts), findings
        if stored != digest:
            raise WindowConflictError(
                f"sensor {counts.sensor!r} has such a window at {counts.start} ns with other content; "
                "send a correction under another sensor name"
            )
        known = reader.window(counts.id)
        assert known is not None  # noqa: S101  (its digest was read in the same transaction)
        return Receipt(counts.id, repeated=True, patterns=known.patterns, alerts=known.alerts), None

    def look(self, reader: Known, counts: WindowCounts) -> tuple[Receipt, Findings | None]:
        """Return the scans that show in a window that is still open, if any."""
        alerts: list[Alert] = []
        known: Sequence[Alert] = ()
        with self._observer.stage("look"):
            verdicts = judge(counts, self._spec.thresholds)
            if verdicts:
                known = _known(reader, counts)
                allowed = _allowed(reader, counts.sensor, self._now(reader))
                usual = self._habits.get(reader, _key(counts, Part.SOURCES))
                alerts = begin(counts, verdicts, known, allowed, usual)
        receipt = Receipt(counts.id, repeated=False, patterns=(), alerts=tuple(alert.id for alert in alerts))
        return receipt, Findings(tuple(alerts), opened=_opened(alerts, known)) if alerts else None

    def _analyse(self, reader: Known, counts: WindowCounts, digest: str) -> Findings:
        memories: list[tuple[MemoryKey, LateMemory]] = []
        stage, spec = self._observer.stage, self._now(reader)
        with stage("patterns"):
            update = self._patterns(reader, counts, memories)
        followers = update.followers if update else []
        with stage("sources"):
            verdicts = judge(counts, self._spec.thresholds)
            known = _known(reader, counts)
            allowed = _allowed(reader, counts.sensor, spec)
            usual = self._usual(reader, counts, memories)
            alerts = follow(counts, verdicts, known, _main_patterns(followers), allowed, usual)
        if counts.end - counts.start >= SHORTEST:
            with stage("groups"):
                key = _key(counts, Part.GROUPS)
                history = self._histories.get(reader, key)
                alerts += groups_of(counts, history, spec.coordination, verdicts, known, allowed)
                memories += self._histories.put(key, counts.id, history)
        patterns = tuple(found.pattern.id for found in followers)
        record = WindowRecord(counts, digest, patterns, tuple(alert.id for alert in alerts))
        return Findings(tuple(alerts), record, update, tuple(memories), _opened(alerts, known))

    def _usual(self, reader: Known, counts: WindowCounts, memories: list[tuple[MemoryKey, LateMemory]]) -> Habits:
        """Return what is usual before this window; it goes on with it."""
        key = _key(counts, Part.SOURCES)
        usual = self._habits.get(reader, key)
        if (now := usual.after(counts)) is not usual:
            memories += self._habits.put(key, counts.id, now)
        return usual

    def _now(self, reader: Known) -> AnalysisSpec:
        """Return what holds for a window: the rules are read in its transaction, and parsed when they change."""
        tuning = reader.tuning()
        if tuning != self._tuned[0]:
            self._tuned = tuning, self._spec.tuned(tuning)
        return self._tuned[1]

    def _patterns(
        self, reader: Known, counts: WindowCounts, memories: list[tuple[MemoryKey, LateMemory]]
    ) -> Update | None:
        # Windows that slide over a day show the same patterns again and again: one of them is enough.
        slides = counts.rows.hours.any() and counts.start % (counts.end - counts.start)
        if slides or counts.rows.targets.sum() < self._spec.factorization.pairs:
            return None
        catalogue = reader.catalogue(counts.sensor, counts.end - counts.start)
        key = _key(counts, Part.COMPONENTS)
        finder = self._finders.get(reader, key)
        shapes = finder.find(count_matrix(counts), catalogue.known())
        if finder.learned:
            memories += self._finders.put(key, counts.id, finder)
        return catalogue.update(counts, shapes)


def _key(counts: WindowCounts, part: Part) -> MemoryKey:
    return MemoryKey(counts.sensor, counts.end - counts.start, part)


def _allowed(reader: Known, sensor: str, spec: AnalysisSpec) -> AllowList:
    """Return what need not be told: by the allow-list, and by what people said of the sensor's patterns."""
    return replace(spec.allowed, judged=JudgedPatterns(tuple(reader.hushed_patterns(sensor))))


def _known(reader: Known, counts: WindowCounts) -> Sequence[Alert]:
    """Return the alerts that a window may go on with."""
    names = format_addresses(counts.sources) if len(counts.sources) <= _ASKED_BY_NAME else None
    return reader.open_alerts(counts.sensor, counts.start, names)


def _opened(alerts: Sequence[Alert], known: Sequence[Alert]) -> tuple[str, ...]:
    """Return the kinds of the alerts that were not known before, and are told."""
    before = {alert.id for alert in known}
    return tuple(alert.kind.value for alert in alerts if alert.id not in before and alert.allowed_by is None)


def _main_patterns(followers: Sequence[Followers]) -> dict[int, str]:
    """Return the id of the pattern that explains most of a source's row, by the source's index in the window."""
    most: dict[int, tuple[float, str]] = {}
    for found in followers:
        for source, share in found.shares.items():
            if share > most.get(source, (0.0, ""))[0]:
                most[source] = share, found.pattern.id
    return {source: pattern for source, (_, pattern) in most.items()}
