"""Processes of the service under load: how they are started, and how much memory and processor they take."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1 << 20
_PATIENCE = 120.0


class ServiceError(RuntimeError):
    """A process of the service did not start, or ended."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has taken up to a moment."""

    at: float
    """Seconds, of a clock that only goes on."""
    mib: float
    """Resident memory."""
    processor: float
    """Seconds, user and system."""


@dataclass(slots=True)
class Watched:
    """A process and what it took, every half second."""

    name: str
    process: subprocess.Popen[bytes]
    uses: list[Use] = field(default_factory=list)

    def look(self) -> None:
        """Note what it takes now; nothing if it has ended."""
        found = use_of(self.process.pid)
        if found is not None:
            self.uses.append(found)


def use_of(pid: int) -> Use | None:
    """Return what a process has taken, from /proc; None if there is no such process."""
    folder = Path("/proc") / str(pid)
    try:
        status = (folder / "status").read_text(encoding="utf-8")
        # The name, in brackets, may hold blanks.
        fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    resident = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    if not resident:
        return None
    ticks = int(fields[11]) + int(fields[12])
    return Use(time.monotonic(), int(resident[0]) * 1024 / _MIB, ticks / _TICKS)


@contextmanager
def watching(processes: list[Watched], pause: float = 0.5) -> Iterator[None]:
    """Look at processes again and again while the block runs."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(pause):
            for each in list(processes):
                each.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def service(
    database: str, workers: int, settings: Mapping[str, str], folder: Path
) -> Iterator[tuple[str, list[Watched]]]:
    """Run the API and so many workers on a database; give the API's address, and the processes, the API first.

    What they log goes to files in `folder`. Raises ServiceError if the API does not come up.
    """
    environment = {**os.environ, **settings, "YOCHO_DATABASE": database}
    command = [sys.executable, "-c", "from service.wiring import main; main()"]
    port = _free_port()
    started: list[Watched] = []
    try:
        _start(started, "api", [*command, "serve", "--no-worker", "--port", str(port)], environment, folder)
        url = f"http://127.0.0.1:{port}"
        _await(url, started[0], folder)
        for number in range(workers):
            _start(started, f"worker {number + 1}", [*command, "worker"], environment, folder)
        yield url, started
    finally:
        for each in reversed(started):
            each.process.terminate()
        for each in started:
            each.process.wait(_PATIENCE)


def _start(
    started: list[Watched], name: str, command: list[str], environment: Mapping[str, str], folder: Path
) -> None:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=dict(environment), stdout=log, stderr=log)
    started.append(Watched(name, process))


def _await(url: str, api: Watched, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=5.0).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        if api.process.poll() is not None:
            break
        time.sleep(0.2)
    log = (folder / "api.log").read_text(encoding="utf-8")
    raise ServiceError(f"the API did not come up: {log[-2000:]}")


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
