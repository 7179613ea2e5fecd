"""Capture → windows, for one sensor at a time: what a process needs that only counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.capture.batch import FlowBatch
from service.capture.direction import Conversations, ConversationSpec
from service.capture.flow_direction import FlowDirection
from service.windows.assign import Windows, WindowSpec
from service.windows.clock import LOG_JUMP, SteadyClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from service.capture.batch import PacketBatch
    from service.capture.live import LiveCapture
    from service.capture.source import BadLines, Damage, TrafficFile, TrafficSource
    from service.windows.counts import WindowCounts


_LOOK = 250_000_000
"""ns between two looks at open windows."""


@dataclass(frozen=True, slots=True)
class ReadingSpec:
    """Everything that can be set about the way from packets to windows."""

    conversations: ConversationSpec = field(default_factory=ConversationSpec)
    windows: WindowSpec = field(default_factory=WindowSpec)
    log_windows: WindowSpec | None = None
    """Of recorded logs of flows, if other than `windows`: months of them have few flows a minute."""

    def for_files(self, sources: Sequence[TrafficFile]) -> Self:
        """Return what recorded traffic is read by: as a log only if all of it is one."""
        windows = self.log_windows if all(source.is_log for source in sources) else None
        return replace(self, windows=windows or self.windows)


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
    spec: ReadingSpec,
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
    spec: ReadingSpec,
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

    def __init__(self, spec: ReadingSpec, windows: Windows) -> None:
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
