"""What was found in a window, and is to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.observe import Processed

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.observe import Observer
    from service.patterns.catalogue import Update
    from service.store.repository import LateMemory, Memory, MemoryKey, Unit, WindowRecord


@dataclass(frozen=True, slots=True)
class News:
    """What is told of findings."""

    processed: Processed | None
    """None of a look at a window that is still open."""
    opened: tuple[str, ...]
    """Kinds of the alerts that were not known before, and are told."""

    def tell(self, observer: Observer) -> None:
        """Let an observer hear of it."""
        if self.processed is not None:
            observer.processed(self.processed)
        for kind in self.opened:
            observer.opened(kind)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is to be written of a window: all of it, or nothing."""

    alerts: tuple[Alert, ...]
    record: WindowRecord | None = None
    """None of a look at a window that is still open."""
    update: Update | None = None
    """What changes in the catalogue of patterns."""
    memories: tuple[tuple[MemoryKey, Memory | LateMemory], ...] = ()
    opened: tuple[str, ...] = ()
    """Kinds of the alerts that were not known before, and are told."""

    @property
    def news(self) -> News:
        """What an observer is told once it is stored: it holds no counts, which may be megabytes."""
        if self.record is None:
            return News(None, self.opened)
        counts, shed = self.record.counts, self.record.counts.shed
        return News(Processed(counts.start, counts.end, counts.attempts, shed.attempts, shed.sources), self.opened)

    def tell(self, observer: Observer) -> None:
        """Let an observer hear of it, once it is stored."""
        self.news.tell(observer)

    def save(self, unit: Unit, document: bytes | None = None, *, named: bool = True) -> None:
        """Write it, with the window's document if that is at hand already, and alerts `named` or not.

        Raises WindowConflictError if the window is stored already.
        """
        if self.update is not None:
            unit.save_catalogue(self.update)
        for key, memory in self.memories:
            unit.save_memory(key, memory.stored())
        if self.alerts:
            unit.save_alerts(self.alerts, named=named)
        if self.record is not None:
            unit.add_window(self.record, document)
