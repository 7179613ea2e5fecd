"""Reads an upload in a process of its own, which may take no more than it is given.

What this process says goes through a pipe, in messages: a letter, and after it

    W   a window, as `service.windows.wire` writes it
    D   a JSON object: what was read, at the end
    E   a JSON object: why it can't be read
"""

from __future__ import annotations

import json
import resource
from dataclasses import asdict, dataclass, field
from multiprocessing import reduction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.inflation import InflationSpec
from service.disk import is_full
from service.errors import CaptureError, InputError
from service.reading import Reading, read_windows
from service.windows.wire import write_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from service.pipeline import PipelineSpec

WINDOW, DONE, ERROR = b"W", b"D", b"E"


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one upload may take; raises ValueError unless all is positive."""

    memory: int = 2 << 30
    """Bytes of address space beyond those that the process begins with."""
    cpu_seconds: int = 600
    wall_seconds: float = 900.0
    window_bytes: int = 1 << 26
    """Of one window's document."""
    total_bytes: int = 1 << 29
    """Of all of them."""
    inflation: InflationSpec = field(default_factory=InflationSpec)
    """What may come out of packed data."""

    def __post_init__(self) -> None:
        if min(self.memory, self.cpu_seconds, self.wall_seconds, self.window_bytes, self.total_bytes) <= 0:
            raise ValueError(f"limits: {self} are not all positive")


@dataclass(frozen=True, slots=True)
class ReadFigures:
    """What was read of an upload."""

    packets: int
    attempts: int
    unparsed: dict[str, int]
    damage: str | None
    flows: int
    tunnelled: dict[str, int]


class Handed:
    """An open file, by its descriptor, that a process which is started may have as well."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def path(self) -> Path:
        """Where the process that has it can open it once more."""
        return Path(f"/dev/fd/{self._descriptor}")

    def __reduce__(self) -> tuple[Callable[[_Passed], Handed], tuple[_Passed]]:
        return _taken, (reduction.DupFd(self._descriptor),)


class _Passed(Protocol):
    def detach(self) -> int: ...


def _taken(passed: _Passed) -> Handed:
    return Handed(passed.detach())


def parse(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    """Read an upload and write its windows to a pipe; the child's whole life."""
    confine(limits)
    path = upload.path
    try:
        for told in messages(path, sensor, spec, limits.inflation):
            out.send_bytes(told)
    except (CaptureError, InputError) as error:
        field = error.field if isinstance(error, InputError) else None
        # The file has a name on this machine only; a message may quote bytes that are no text.
        message = str(error).replace(str(path), "body").encode(errors="backslashreplace").decode()
        out.send_bytes(_message(ERROR, {"message": message, "field": field}))
    except MemoryError:
        out.send_bytes(_message(ERROR, {"message": "memory", "field": None, "crashed": True}))
    except BrokenPipeError:
        pass  # the worker was killed: nobody waits for the windows
    except OSError as error:  # of compiled loops that are kept, too
        if not is_full(error):
            raise
        out.send_bytes(_message(ERROR, {"message": f"{error.strerror}", "field": None, "full": True}))
    finally:
        out.close()


def messages(
    path: Path, sensor: str, spec: PipelineSpec, inflation: InflationSpec | None = None
) -> Iterator[bytes]:
    """Read the file at a path, in this process, and yield what is said of it.

    Raises CaptureError or InputError if it can't be read, or unpacks to more than it may.
    """
    reading, attempts = Reading(), 0
    source = open_traffic(path, HostTable(), inflation=inflation)
    mine = spec.for_files([source])
    for counts in read_windows([source], sensor, mine, reading):
        if counts.end - counts.start == mine.windows.length:
            attempts += counts.attempts
        yield WINDOW + write_window(counts)
    damage = [f"byte {damage.offset}: {damage.reason}" for damage in reading.damage]
    figures = ReadFigures(
        reading.packets,
        attempts,
        dict(reading.unparsed),
        damage[0] if damage else None,
        reading.flows,
        dict(reading.tunnelled),
    )
    yield _message(DONE, asdict(figures))


def _message(kind: bytes, told: dict[str, object]) -> bytes:
    return kind + json.dumps(told).encode()


def confine(limits: Limits) -> None:
    """Let this process take no more; nothing lifts that."""
    space = _address_space() + limits.memory
    # A second between the signal that says why and the one that can't be ignored.
    for which, soft, hard in (
        (resource.RLIMIT_AS, space, space),
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        present = resource.getrlimit(which)[1]
        most = hard if present == resource.RLIM_INFINITY else min(hard, present)
        resource.setrlimit(which, (min(soft, most), most))


def _address_space() -> int:
    """Return the bytes of address space that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  (no path of ours)
        return int(file.read().split()[0]) * resource.getpagesize()
