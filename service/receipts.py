"""What the pipeline answers whoever brought traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Receipt:
    """One window that was accepted, and what was found in it."""

    window_id: str
    repeated: bool
    """True if the same window was accepted before; the rest is then what was found at that time."""
    patterns: tuple[str, ...]
    """Ids."""
    alerts: tuple[str, ...]
    """Ids."""


@dataclass(frozen=True, slots=True)
class CaptureReceipt:
    """A capture that was read, window by window."""

    windows: tuple[Receipt, ...]
    """In the order of time."""
    packets: int
    attempts: int
    unparsed: Mapping[str, int]
    """Packets that were not understood, by reason."""
    damage: str | None
    """Where and why reading ended early, or None."""
