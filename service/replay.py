"""Replays a folder of captures and logs of flows into the store."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import CaptureError, WindowConflictError

if TYPE_CHECKING:
    from pathlib import Path

    from service.pipeline import Pipeline

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplaySpec:
    """How often a folder is looked at."""

    folder: Path
    interval: float = 2.0
    """Seconds between two looks. A file is read when its size stayed the same between them."""


class Replay:
    """Reads each capture of a folder once; windows that are stored already are left as they are.

    Each file counts as a sensor of its own, named after it. A file that is neither, or contradicts what is
    stored, is logged and left alone until it changes.
    """

    def __init__(self, spec: ReplaySpec, pipeline: Pipeline) -> None:
        self._spec = spec
        self._pipeline = pipeline
        self._seen: dict[Path, tuple[int, int]] = {}
        self._done: set[tuple[Path, tuple[int, int]]] = set()

    def run(self, stop: threading.Event) -> None:
        """Look, replay and wait until `stop` is set."""
        while not stop.is_set():
            self.replay_ready()
            stop.wait(self._spec.interval)

    def replay_all(self) -> None:
        """Replay what is there now."""
        self._seen = self._sizes()
        self.replay_ready()

    def replay_ready(self) -> None:
        """Replay the files that did not change since the last look."""
        sizes = self._sizes()
        for path, state in sorted(sizes.items()):
            if self._seen.get(path) == state and (path, state) not in self._done:
                self._replay(path)
                self._done.add((path, state))
        self._seen = sizes

    def _sizes(self) -> dict[Path, tuple[int, int]]:
        """Return size and time of change of each file; hidden files are someone's unfinished work."""
        found = {}
        for path in self._spec.folder.iterdir():
            if path.is_file() and not path.name.startswith("."):
                state = path.stat()
                found[path] = (state.st_size, state.st_mtime_ns)
        return found

    def _replay(self, path: Path) -> None:
        try:
            receipt = self._pipeline.accept_capture(path, sensor=path.name)
        except (CaptureError, WindowConflictError) as error:
            _log.warning("capture not replayed", extra={"file": path.name, "reason": str(error)})
            return
        alerts = {alert for window in receipt.windows for alert in window.alerts}
        _log.info(
            "capture replayed",
            extra={
                "file": path.name,
                "packets": receipt.packets,
                "windows": len(receipt.windows),
                "alerts": len(alerts),
                "damage": receipt.damage,
            },
        )
