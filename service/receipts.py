"""What is said to whoever brought traffic."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


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


class Reason(StrEnum):
    """Why work that was accepted could not be done."""

    CONFLICT = "conflict"
    """A window of the same sensor, start and length, with other content, came before it."""
    INPUT = "input"
    """It makes no sense."""
    CAPTURE = "capture"
    """It is no capture or log that can be read."""
    CRASHED = "crashed"
    """Whoever works on it breaks down, takes too long, or runs out of memory, again and again."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Work that was accepted and can't be done."""

    reason: Reason
    message: str
    field: str = "body"
    """Path of the value that makes no sense."""


Outcome = Receipt | CaptureReceipt | Refusal
"""What became of work that was accepted."""
