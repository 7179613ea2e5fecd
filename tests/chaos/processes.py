"""Processes that are killed, and started again whenever they end, as a supervisor would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

YOCHO = (sys.executable, "-c", "from service.wiring import main; main()")
_PAUSE = 0.5
"""Seconds before a process is started again that ended by itself."""
_PATIENCE = 30.0


@dataclass
class Kept:
    """A process that is kept running; what it says goes to a file beside its working folder's others."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    ended: list[int] = field(default_factory=list)
    """With which codes it ended by itself."""
    last: int = -1
    """A code with which it may end: it is not started again then."""
    done: bool = False
    _wanted: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _again: float = 0.0

    @property
    def log(self) -> Path:
        """Where it writes what it says."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it, and from now on again and again."""
        self._wanted = True
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.command),
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it as if the machine had no memory left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE)
            self._process = None

    def look(self) -> None:
        """Start it again if it ended a while ago."""
        if self.done or not self._wanted:
            return
        if self._process is None:
            if time.monotonic() >= self._again:
                self.start()
        elif (code := self._process.poll()) is not None:
            self._process = None
            self.done = code == self.last
            if not self.done:
                self.ended.append(code)
                self._again = time.monotonic() + _PAUSE

    def stop(self) -> int | None:
        """End it kindly; return with which code it ended, or None if it was not running."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        return process.wait(_PATIENCE)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def environment(repository: Path, folder: Path, **settings: str) -> dict[str, str]:
    """Return the variables of processes of ours: one thread each, so that sums are the same in all runs."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(repository), "TMPDIR": str(folder)}
    given = {f"YOCHO_{name.upper()}": value for name, value in settings.items()}
    return own | dict.fromkeys(threads, "1") | given
