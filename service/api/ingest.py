"""What the API needs to hand traffic on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from service.receipts import CaptureReceipt, Receipt
    from service.windows.counts import WindowCounts


class Ingest(Protocol):
    """Takes traffic in; called from several threads at once."""

    def accept(self, counts: WindowCounts) -> Receipt:
        """Take in one window, with all that is found in it or not at all.

        Raises InputError for a window that can't be used, and WindowConflictError if other content was
        accepted for its sensor and start.
        """
        ...

    def accept_capture(self, path: Path, sensor: str) -> CaptureReceipt:
        """Take in a capture file, window by window; the file is gone after the call.

        Raises CaptureError if it is no capture, and WindowConflictError as `accept` does.
        """
        ...
