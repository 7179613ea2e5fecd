"""What is said to whoever brought traffic."""

from __future__ import annotations

from dataclasses import dataclass


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
    """Packets that were read but not followed, by reason."""
    damage: str | None
    """Where and why the file could not be read on, if so."""
