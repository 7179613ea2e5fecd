"""What every source of traffic promises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.capture.batch import FlowBatch, PacketBatch
    from service.capture.hosts import HostTable
    from service.capture.mark import Mark


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a file stops making sense; everything before it was read."""

    file: str
    offset: int
    """Of the first byte that was not read, in the (uncompressed) file."""
    reason: str


@dataclass(frozen=True, slots=True)
class BadLines:
    """Lines of a log that make no sense; those around them were read."""

    file: str
    reason: str
    count: int
    first: int
    """Number of the first of them; the first line of a file is 1."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What was read but could not be followed, and why."""

    packets: int
    """All packets that were read, followed or not."""
    unparsed: dict[str, int]
    """Packets or flows that are not followed, by reason."""
    damage: Damage | None
    dropped: int | None = 0
    """Packets that the system dropped before they could be read; None if it does not say."""
    tunnelled: dict[str, int] = field(default_factory=dict)
    """Packets that were read through a tunnel, followed or not, by the kind of the outermost one."""
    flows: int = 0
    """All records of flows that were read, followed or not."""
    bad_lines: tuple[BadLines, ...] = ()


class TrafficSource(Protocol):
    """One capture or log, read once, or what an interface hears, in memory that does not grow with it."""

    hosts: HostTable
    """Numbers the hosts of the batches."""

    def batches(self) -> Iterator[PacketBatch | FlowBatch]:
        """Yield the packets or flows in the order of the file; damage ends the iteration early, see `losses`.

        Raises CaptureError at the end of a log in which no line made sense.
        """
        ...

    def position(self) -> int:
        """Return how many bytes of the input were consumed, for progress."""
        ...

    def losses(self) -> Losses:
        """Return what was not followed up to now."""
        ...


class TrafficFile(TrafficSource, Protocol):
    """Traffic that was recorded: it has a beginning that can be asked for."""

    is_log: bool
    """Whether it tells flows, not packets."""

    def first_time(self) -> int:
        """Return the time of the first packet or flow, ns since the epoch, or 0; asked for before `batches`.

        Raises CaptureError as `batches` does.
        """
        ...

    def mark(self) -> Mark:
        """Return where to go on after the batches that were taken: `service.capture.formats.open_traffic` does so.

        Batches and losses of both parts together are those of the file read in one go. A plain file is read on
        from there; one that is packed has to be unpacked again up to there, and a pipe given again.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
