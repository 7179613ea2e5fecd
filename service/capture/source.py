"""What every source of traffic promises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.capture.batch import PacketBatch
    from service.capture.hosts import HostTable


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a file stops making sense; everything before it was read."""

    file: str
    offset: int
    """Of the first byte that was not read, in the (uncompressed) file."""
    reason: str


@dataclass(frozen=True, slots=True)
class Losses:
    """What was read but could not be followed, and why."""

    packets: int
    """All packets that were read, followed or not."""
    unparsed: dict[str, int]
    """Packets that are not followed, by reason."""
    damage: Damage | None
    dropped: int | None = 0
    """Packets that the system dropped before they could be read; None if it does not say."""
    tunnelled: dict[str, int] = field(default_factory=dict)
    """Packets that were read through a tunnel, followed or not, by the kind of the outermost one."""


class TrafficSource(Protocol):
    """One capture, read once from the beginning, in memory that does not grow with it."""

    hosts: HostTable
    """Numbers the hosts of the batches."""

    def batches(self) -> Iterator[PacketBatch]:
        """Yield the packets in order; a damaged file ends the iteration early, see `losses`."""
        ...

    def position(self) -> int:
        """Return how many bytes of the input were consumed, for progress."""
        ...

    def losses(self) -> Losses:
        """Return what was not followed up to now."""
        ...
