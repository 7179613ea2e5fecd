"""What is said to whoever brought traffic."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Receipt:
    """A window that was accepted."""

    window_id: str
    repeated: bool
    """It was accepted before, with the same content."""
    patterns: tuple[str, ...]
    """Ids of the patterns found in it."""
    alerts: tuple[str, ...]
    """Ids of the alerts that began or went on in it."""


@dataclass(frozen=True, slots=True)
class CaptureReceipt:
    """A capture that was accepted."""

    windows: tuple[Receipt, ...]
    packets: int
    attempts: int
    unparsed: dict[str, int]
    """Packets or flows that were read but not followed, by reason."""
    damage: str | None
    """Where and why the file could not be read on, if so."""
    flows: int = 0
    """Records of flows that were read, followed or not; of a log, in place of packets."""
    tunnelled: dict[str, int] = field(default_factory=dict)
    """Packets that were read through a tunnel, by the kind of the outermost one."""
