"""What was found in a window, and is to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.patterns.catalogue import Update
    from service.store.repository import Memory, MemoryKey, Unit, WindowRecord


@dataclass(frozen=True, slots=True)
class Findings:
    """What is to be written of a window: all of it, or nothing."""

    alerts: tuple[Alert, ...]
    record: WindowRecord | None = None
    """None of a look at a window that is still open."""
    update: Update | None = None
    """What changes in the catalogue of patterns."""
    memories: tuple[tuple[MemoryKey, Memory], ...] = ()

    def save(self, unit: Unit, document: bytes | None = None) -> None:
        """Write it, with the window's document if that is at hand already.

        Raises WindowConflictError if the window is stored already.
        """
        if self.update is not None:
            unit.save_catalogue(self.update)
        for key, memory in self.memories:
            unit.save_memory(key, memory)
        if self.alerts:
            unit.save_alerts(self.alerts)
        if self.record is not None:
            unit.add_window(self.record, document)
