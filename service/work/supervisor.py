"""Keeps a worker running beside the API."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY = b"ready"
"""What a process says that can do its work."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """How a process is kept running; raises ValueError unless all is positive."""

    pause: float = 0.5
    """Seconds before the first new start; doubled with each that follows at once."""
    longest_pause: float = 30.0
    calm: float = 60.0
    """A process that ran for so many seconds was well."""
    patience: float = 10.0
    """Seconds that it has to end, before it is killed."""

    def __post_init__(self) -> None:
        if min(self.pause, self.longest_pause, self.calm, self.patience) <= 0:
            raise ValueError(f"supervisor: {self} is not all positive")


class Supervisor:
    """Runs a command until `stop`; one that ends before is started again.

    Once it has written the line `READY` to its standard output, `ready` is set, and stays so.

    The command ends when its standard input does: it does not outlive this process, however that ends.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], spec: SupervisorSpec | None = None
    ) -> None:
        self._command = command
        self._environment = environment
        self._spec = spec or SupervisorSpec()
        self._stop = threading.Event()
        self.ready = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._thread = threading.Thread(target=self._keep, name="worker", daemon=True)

    def start(self) -> None:
        """Start the command."""
        self._start()
        self._thread.start()

    def stop(self) -> None:
        """End the command: kindly at first."""
        self._stop.set()
        self._thread.join()

    def _start(self) -> None:
        self._began = time.monotonic()
        told, tells = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own command)
                list(self._command), stdin=subprocess.PIPE, stdout=tells, env=dict(self._environment)
            )
        finally:
            os.close(tells)
            threading.Thread(target=self._listen, args=(told,), name="worker says", daemon=True).start()

    def _listen(self, told: int) -> None:
        """Hear what the command says until nobody can say anything more: processes that it has started may, too."""
        with open(told, "rb") as lines:
            for line in lines:
                if line.strip() == READY:
                    self.ready.set()

    def _keep(self) -> None:
        pause = self._spec.pause
        while (code := self._followed()) is not None:
            if time.monotonic() - self._began > self._spec.calm:
                pause = self._spec.pause
            _log.warning("the worker ended; starting another", extra={"code": code, "seconds": pause})
            if self._stop.wait(pause):
                return
            pause = min(2 * pause, self._spec.longest_pause)
            self._start()

    def _followed(self) -> int | None:
        """Return the code with which the process ended, or None if it was stopped."""
        process = self._process
        assert process is not None  # noqa: S101  (it was started before)
        # Its input is closed when the block ends.
        with process:
            while not self._stop.is_set():
                code = process.poll()
                if code is not None:
                    return code
                self._stop.wait(0.1)
            process.terminate()
            try:
                process.wait(self._spec.patience)
            except subprocess.TimeoutExpired:
                process.kill()
        return None
