"""Ingests and stores that behave as a test needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.errors import CaptureError, StoreError, WindowConflictError
from service.receipts import CaptureReceipt, Receipt
from service.store.repository import WindowRecord
from service.store.sql import SqlStore
from tests.builders import MINUTE, START, a_pattern, a_window, an_alert

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from service.store.repository import Store
    from service.windows.counts import WindowCounts


class FakeIngest:
    """Finds pattern p1 in every window, and alert a1 in the first one it meets."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.captures: list[tuple[Path, str, int]] = []
        """Path, sensor and size of every capture that came."""

    def accept(self, counts: WindowCounts) -> Receipt:
        with self.store.begin() as unit:
            stored = unit.window(counts.id)
            if stored is not None:
                if stored.digest != counts.digest():
                    raise WindowConflictError(f"window {counts.id}: was accepted before with other content")
                return Receipt(counts.id, repeated=True, patterns=stored.patterns, alerts=stored.alerts)
            alerts = ("a1",) if unit.alert("a1") is None else ()
            unit.save_patterns([a_pattern(sensor=counts.sensor)])
            unit.save_alerts([an_alert(sensor=counts.sensor)])
            unit.add_window(WindowRecord(counts, counts.digest(), ("p1",), alerts))
        return Receipt(counts.id, repeated=False, patterns=("p1",), alerts=alerts)

    def accept_capture(self, path: Path, sensor: str) -> CaptureReceipt:
        """Read a "capture": a letter w for each window, the rest is padding."""
        content = path.read_bytes()
        self.captures.append((path, sensor, len(content)))
        if not content.startswith(b"capture:"):
            raise CaptureError(f"{path}: is no pcap, pcapng or gzip file; send a capture")
        windows = tuple(
            self.accept(a_window(sensor, START + number * MINUTE)) for number in range(content.count(b"w"))
        )
        return CaptureReceipt(windows, len(content), len(windows), {"ether type 0x88cc": 1}, None)


class BrokenIngest:
    """Has a defect."""

    def accept(self, counts: WindowCounts) -> Receipt:
        raise LookupError("the secret of line 17")

    def accept_capture(self, path: Path, sensor: str) -> CaptureReceipt:
        raise LookupError("the secret of line 23")


class UnprintableIngest(BrokenIngest):
    """Quotes bytes that are no text, as Python decodes names of files."""

    def accept_capture(self, path: Path, sensor: str) -> CaptureReceipt:
        raise CaptureError("\udcff is no capture")


class BrokenStore(SqlStore):
    """Its disk is gone."""

    def __init__(self) -> None:
        """Open nothing."""

    def begin(self, sensor: str | None = None) -> AbstractContextManager[Any]:  # type: ignore[override]
        raise StoreError("database /var/secret.db: disk I/O error")

    def read(self) -> AbstractContextManager[Any]:  # type: ignore[override]
        raise StoreError("database /var/secret.db: disk I/O error")
