"""The whole story: capture → windows → patterns → alerts → store, for one sensor at a time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.alerts.allow import AllowList, read_allow_list
from service.alerts.groups import SHORTEST, CoordinationSpec, groups_of
from service.alerts.history import History
from service.alerts.memory import from_bytes, to_bytes
from service.alerts.sources import judge
from service.alerts.suppress import begin, follow
from service.alerts.threshold import Thresholds
from service.capture.address import format_addresses
from service.capture.batch import FlowBatch
from service.capture.direction import Conversations, ConversationSpec
from service.capture.flow_direction import FlowDirection
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.errors import WindowConflictError
from service.observe import SILENT, Observer, Processed, identified
from service.patterns.factorize import FactorizationSpec, PatternFinder
from service.receipts import CaptureReceipt, Receipt
from service.store.repository import Memory, MemoryKey, Part, Store, Tuning, Unit, WindowRecord
from service.windows.assign import Windows, WindowSpec
from service.windows.clock import LOG_JUMP, SteadyClock
from service.windows.matrix import count_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from service.alerts.alert import Alert
    from service.alerts.sources import Verdict
    from service.capture.batch import PacketBatch
    from service.capture.live import LiveCapture
    from service.capture.source import BadLines, Damage, TrafficFile, TrafficSource
    from service.patterns.catalogue import Followers
    from service.windows.counts import WindowCounts


_ASKED_BY_NAME = 256
"""Sources of a window up to which the store is asked for their alerts only; beyond, for all that are open."""

_HISTORIES = 256
"""Histories of sensors and lengths that are kept at hand; others are read from the store."""

_LOOK = 250_000_000
"""ns between two looks at open windows."""

_FINDERS = 256
"""Sensors whose patterns are kept warm; of others the next window begins cold."""


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """Everything that can be set about the way from packets to alerts."""

    conversations: ConversationSpec = field(default_factory=ConversationSpec)
    windows: WindowSpec = field(default_factory=WindowSpec)
    log_windows: WindowSpec | None = None
    """Of recorded logs of flows, if other than `windows`: months of them have few flows a minute."""
    factorization: FactorizationSpec = field(default_factory=FactorizationSpec)
    thresholds: Thresholds = field(default_factory=Thresholds)
    coordination: CoordinationSpec = field(default_factory=CoordinationSpec)
    allowed: AllowList = field(default_factory=AllowList)
    """Sources whose scans are kept, and not told."""

    def for_files(self, sources: Sequence[TrafficFile]) -> PipelineSpec:
        """Return what recorded traffic is read by: as a log only if all of it is one."""
        windows = self.log_windows if all(source.is_log for source in sources) else None
        return replace(self, windows=windows or self.windows)

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


@dataclass(slots=True)
class Reading:
    """What was read so far; grows while a capture is read."""

    packets: int = 0
    flows: int = 0
    unparsed: dict[str, int] = field(default_factory=dict)
    tunnelled: dict[str, int] = field(default_factory=dict)
    """Packets that were read through a tunnel, by kind."""
    damage: list[Damage] = field(default_factory=list)
    bad_lines: list[BadLines] = field(default_factory=list)
    late: int = 0
    """Attempts that came after their window was closed and count in a later one."""
    mended: int = 0
    """Packets or flows whose time was absurd."""
    forgotten: int = 0
    """Conversations that were forgotten early, because there were too many: what follows is taken for new."""
    dropped: int | None = 0
    """Packets that the system dropped before they could be read; None if it does not say."""


def read_windows(
    sources: Sequence[TrafficSource],
    sensor: str,
    spec: PipelineSpec,
    reading: Reading,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[WindowCounts]:
    """Yield the windows of captures and logs that follow one another, all with the same host table.

    `reading` is filled while the windows are taken; `progress` hears the bytes consumed of all files.
    """
    windows = Windows(sensor, spec.windows, sources[0].hosts)
    beginnings = _Beginnings(spec, windows)
    done = 0
    for source in sources:
        position = 0
        for batch in source.batches():
            yield from beginnings.add(batch)
            position = source.position()
            progress(done + position)
        done += position
        _note_losses(reading, source)
    yield from beginnings.finish(reading)


def read_live(
    capture: LiveCapture,
    sensor: str,
    spec: PipelineSpec,
    reading: Reading,
    clock: Callable[[], int],
    since: int = 0,
) -> Iterator[WindowCounts]:
    """Yield the windows of an interface until its capture is stopped; `reading` is complete then.

    While nothing comes, `clock`, ns since the epoch, closes windows that are over. In between come looks at those
    that are open, see `WindowCounts.seen_until`: four times a second, if they take no more
    than a twentieth of the time. Windows that end by `since`, ns since the epoch, were told before.
    """
    windows = Windows(sensor, spec.windows, capture.hosts, since)
    beginnings = _Beginnings(spec, windows)
    looked = due = 0
    for batch in capture.batches():
        yield from beginnings.add(batch)
        now = clock()
        if not len(batch):
            yield from windows.advance(now)
        if now >= due:
            yield from windows.look(looked)
            looked = windows.latest
            due = now + max(_LOOK, 20 * (clock() - now))
    yield from beginnings.finish(reading)
    _note_losses(reading, capture)


class _Beginnings:
    """Finds out who began what, in packets and flows alike, and has it counted in windows."""

    def __init__(self, spec: PipelineSpec, windows: Windows) -> None:
        self._windows = windows
        self._conversations = Conversations(spec.conversations)
        self._flows = FlowDirection()
        self._packet_clock, self._flow_clock = SteadyClock(), SteadyClock(LOG_JUMP)

    def add(self, batch: PacketBatch | FlowBatch) -> Iterator[WindowCounts]:
        if isinstance(batch, FlowBatch):
            time = self._flow_clock.steady(batch.time)
            timed = replace(batch, time=time, end=time + (batch.end - batch.time))
            for attempts in self._flows.follow(timed):
                yield from self._windows.add(attempts, from_log=True)
        else:
            steady = replace(batch, time=self._packet_clock.steady(batch.time))
            yield from self._windows.add(self._conversations.follow(steady))

    def finish(self, reading: Reading) -> Iterator[WindowCounts]:
        """Yield what is still open, and tell `reading` what could not be followed as it should."""
        yield from self._windows.add(self._conversations.finish())
        yield from self._windows.add(self._flows.finish(), from_log=True)
        yield from self._windows.finish()
        reading.late = self._windows.late
        reading.mended = self._packet_clock.mended + self._flow_clock.mended
        reading.forgotten = self._conversations.forgotten


def _note_losses(reading: Reading, source: TrafficSource) -> None:
    losses = source.losses()
    reading.packets += losses.packets
    reading.flows += losses.flows
    reading.bad_lines.extend(losses.bad_lines)
    known = losses.dropped is not None and reading.dropped is not None
    reading.dropped = (reading.dropped or 0) + (losses.dropped or 0) if known else None
    for reason, count in losses.unparsed.items():
        reading.unparsed[reason] = reading.unparsed.get(reason, 0) + count
    for kind, count in losses.tunnelled.items():
        reading.tunnelled[kind] = reading.tunnelled.get(kind, 0) + count
    if losses.damage:
        reading.damage.append(losses.damage)


@dataclass(frozen=True, slots=True)
class _News:
    """What became of a window; `processed` only if it was analysed now."""

    receipt: Receipt
    processed: Processed | None = None
    opened: tuple[str, ...] = ()
    """Kinds of the alerts that it opened."""


class Pipeline:
    """Takes windows and captures in, and keeps what is found in the store."""

    def __init__(self, spec: PipelineSpec, store: Store, observer: Observer = SILENT) -> None:
        self._spec = spec
        self._tuned = Tuning(), spec
        self._store = store
        self._observer = observer
        self._finders: OrderedDict[tuple[str, int], PatternFinder] = OrderedDict()
        self._histories: OrderedDict[MemoryKey, tuple[str, History]] = OrderedDict()

    def accept(self, counts: WindowCounts) -> Receipt:
        """Analyse and store a window; an identical one that is stored already is left as it is.

        Raises WindowConflictError if one of the same sensor, start and length is stored with other content.
        """
        return self.accept_all([counts])[0]

    def accept_all(self, windows: Iterable[WindowCounts]) -> list[Receipt]:
        """Analyse and store windows in order, all or none; raises as `accept` does."""
        try:
            with self._store.begin() as unit:
                news = [self._take(unit, counts) for counts in windows]
        except BaseException:
            # What these windows taught is not in the store.
            self._finders.clear()
            self._histories.clear()
            raise
        for one in news:
            self._tell(one)
        return [one.receipt for one in news]

    def look(self, counts: WindowCounts) -> tuple[str, ...]:
        """Store the scans that show in a window that is still open; return the ids of their alerts."""
        with self._observer.stage("look"):
            verdicts = judge(counts, self._spec.thresholds)
        if not verdicts:
            return ()
        with self._store.begin() as unit:
            known = _known(unit, counts)
            alerts = begin(counts, verdicts, known, self._tuned_spec(unit).allowed)
            unit.save_alerts(alerts)
        for kind in _opened(alerts, known):
            self._observer.opened(kind)
        return tuple(alert.id for alert in alerts)

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

    def _take(self, unit: Unit, counts: WindowCounts) -> _News:
        digest = counts.digest()
        stored = unit.window_digest(counts.id)
        if stored is not None and stored != digest:
            raise WindowConflictError(
                f"sensor {counts.sensor!r} has such a window at {counts.start} ns with other content; "
                "send a correction under another sensor name"
            )
        if stored is not None:
            record = unit.window(counts.id)
            assert record is not None  # noqa: S101  (its digest was read in the same transaction)
            return _News(Receipt(counts.id, repeated=True, patterns=record.patterns, alerts=record.alerts))
        with identified(window=counts.id):
            return self._analyse(unit, counts, digest)

    def _analyse(self, unit: Unit, counts: WindowCounts, digest: str) -> _News:
        stage, spec = self._observer.stage, self._tuned_spec(unit)
        with stage("patterns"):
            followers = self._followers(unit, counts)
        with stage("sources"):
            verdicts = judge(counts, self._spec.thresholds)
            known = _known(unit, counts)
            alerts = follow(counts, verdicts, known, _main_patterns(followers), spec.allowed)
        if counts.end - counts.start >= SHORTEST:
            with stage("groups"):
                alerts += self._groups(unit, counts, spec.coordination, verdicts, known)
        patterns = tuple(found.pattern.id for found in followers)
        alert_ids = tuple(alert.id for alert in alerts)
        with stage("save"):
            unit.save_alerts(alerts)
            unit.add_window(WindowRecord(counts, digest, patterns, alert_ids))
        receipt = Receipt(counts.id, repeated=False, patterns=patterns, alerts=alert_ids)
        return _News(receipt, _processed(counts), tuple(_opened(alerts, known)))

    def _tell(self, news: _News) -> None:
        """Let the observer hear of a window once it is stored."""
        if news.processed is not None:
            self._observer.processed(news.processed)
        for kind in news.opened:
            self._observer.opened(kind)

    def _tuned_spec(self, unit: Unit) -> PipelineSpec:
        """Return what holds for a window: the rules are read in its transaction, and parsed when they change."""
        tuning = unit.tuning()
        if tuning != self._tuned[0]:
            self._tuned = tuning, self._spec.tuned(tuning)
        return self._tuned[1]

    def _followers(self, unit: Unit, counts: WindowCounts) -> list[Followers]:
        # Windows that slide over a day show the same patterns again and again: one of them is enough.
        slides = counts.rows.hours.any() and counts.start % (counts.end - counts.start)
        if slides or counts.rows.targets.sum() < self._spec.factorization.pairs:
            return []
        catalogue = unit.catalogue(counts.sensor, counts.end - counts.start)
        shapes = self._finder(counts).find(count_matrix(counts), catalogue.known())
        update = catalogue.update(counts, shapes)
        unit.save_catalogue(update)
        return update.followers

    def _groups(
        self,
        unit: Unit,
        counts: WindowCounts,
        spec: CoordinationSpec,
        verdicts: Sequence[Verdict],
        known: Sequence[Alert],
    ) -> list[Alert]:
        """Return the alerts of groups; the history that they rest on goes on with this window."""
        key = MemoryKey(counts.sensor, counts.end - counts.start, Part.GROUPS)
        history = self._history(unit, key)
        alerts = groups_of(counts, history, spec, verdicts, known)
        self._histories[key] = counts.id, history
        if len(self._histories) > _HISTORIES:
            self._histories.popitem(last=False)
        if self._store.durable:
            unit.save_memory(key, Memory(counts.id, to_bytes(history)))
        return alerts

    def _history(self, unit: Unit, key: MemoryKey) -> History:
        """Return what is remembered of windows: as it is at hand, if no other process has gone on with it."""
        held = self._histories.pop(key, None)
        if held is not None and (not self._store.durable or unit.memory_window(key) == held[0]):
            return held[1]
        memory = unit.memory(key)
        spec = self._spec.coordination.history
        return History(spec) if memory is None else from_bytes(memory.document, spec)

    def _finder(self, counts: WindowCounts) -> PatternFinder:
        """Return what is known of the patterns of a sensor's windows of this length."""
        key = counts.sensor, counts.end - counts.start
        finder = self._finders.pop(key, None) or PatternFinder(self._spec.factorization, self._observer)
        self._finders[key] = finder
        if len(self._finders) > _FINDERS:
            self._finders.popitem(last=False)
        return finder


def _processed(counts: WindowCounts) -> Processed:
    shed = counts.shed
    return Processed(counts.start, counts.end, counts.attempts, shed.attempts, shed.sources)


def _opened(alerts: Sequence[Alert], known: Sequence[Alert]) -> Iterator[str]:
    """Yield the kinds of the alerts that were not known before, and are told."""
    before = {alert.id for alert in known}
    for alert in alerts:
        if alert.id not in before and alert.allowed_by is None:
            yield alert.kind.value


def _known(unit: Unit, counts: WindowCounts) -> Sequence[Alert]:
    """Return the alerts that a window may go on with."""
    names = format_addresses(counts.sources) if len(counts.sources) <= _ASKED_BY_NAME else None
    return unit.open_alerts(counts.sensor, counts.start, names)


def _main_patterns(followers: Sequence[Followers]) -> dict[int, str]:
    """Return the id of the pattern that explains most of a source's row, by the source's index in the window."""
    most: dict[int, tuple[float, str]] = {}
    for found in followers:
        for source, share in found.shares.items():
            if share > most.get(source, (0.0, ""))[0]:
                most[source] = share, found.pattern.id
    return {source: pattern for source, (_, pattern) in most.items()}
