"""Has uploads read by processes of their own, and believes nothing that they say."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from contextlib import contextmanager
from multiprocessing.util import get_temp_dir
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.errors import FullError, InputError, StoreError, YochoError
from service.receipts import Reason, Refusal
from service.windows.wire import WireLimits, read_window
from service.work.parsing import DONE, ERROR, WINDOW, Handed, Limits, ReadFigures, parse
from service.work.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from service.pipeline import PipelineSpec
    from service.windows.counts import WindowCounts
    from service.work.scratch import Scratch

_BEAT = 1.0
"""Seconds between two calls of `beat`."""
_LENGTH = 4
_LONGEST_SOCKET = 107
"""Bytes of a socket's path (sun_path in Linux' sys/un.h, without its end)."""
_LONGEST_NAME = len("/pymp-01234567/listener-01234567")
_READY = "service.work.ready"
"""What the process from which others are forked imports first."""
_FIGURES = TypeAdapter(ReadFigures)


Read: TypeAlias = "Callable[[Connection, Handed, str, PipelineSpec, Limits], None]"


class RefusedError(YochoError):
    """An upload that can't be read; `final` if another try would go no better."""

    def __init__(self, refusal: Refusal, *, final: bool = True) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.final = final


class _Failure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message: str = Field(max_length=10_000)
    field: str | None = Field(max_length=200)
    crashed: bool = False
    full: bool = False


class Parsed:
    """The windows of an upload, in a file; they may be read again."""

    def __init__(self, file: Scratch, sensor: str, limits: Limits) -> None:
        self._file = file
        self._sensor = sensor
        self._limits = limits
        self.figures = ReadFigures(0, 0, {}, None, 0, {})

    def windows(self) -> Iterator[WindowCounts]:
        """Yield the windows in order, one at a time in memory; raises InputError for what is none."""
        self._file.rewind()
        while length := int.from_bytes(self._file.read(_LENGTH), "big"):
            counts = read_window(self._file.read(length), WireLimits(bytes=8 * self._limits.window_bytes))
            if counts.sensor != self._sensor or not counts.whole:
                raise InputError("window", f"is one of sensor {counts.sensor!r}, not {self._sensor!r}")
            yield counts

    def keep(self, document: bytes) -> None:
        """Add a window."""
        self._file.write(len(document).to_bytes(_LENGTH, "big") + document)


class Parser:
    """Forks a process for each upload, from one that has loaded and run what is needed, and holds nothing else.

    That one is started by the first upload, and again by the next one if it has ended. `read` is the whole life
    of the process that is forked.
    """

    def __init__(self, spec: PipelineSpec, limits: Limits, folder: Path | None = None, read: Read = parse) -> None:
        self._read = read
        self._spec = spec
        self._limits = limits
        self._folder = folder
        _keep_sockets_short()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([_READY])

    @contextmanager
    def parsed(
        self, parts: Iterable[bytes], sensor: str, beat: Callable[[], object] = lambda: None
    ) -> Iterator[Parsed]:
        """Yield the windows of an upload; `beat` is called now and then.

        Raises RefusedError if it can't be read, and FullError if there is no room for it now.
        """
        with scratch(self._folder) as upload, scratch(self._folder) as windows:
            for part in parts:
                upload.write(part)
            upload.rewind()
            parsed = Parsed(windows, sensor, self._limits)
            self._run(Handed(upload.fileno()), sensor, parsed, beat)
            yield parsed

    def _run(self, upload: Handed, sensor: str, parsed: Parsed, beat: Callable[[], object]) -> None:
        told, out = self._context.Pipe(duplex=False)
        child = self._context.Process(
            target=self._read, args=(out, upload, sensor, self._spec, self._limits), daemon=True
        )
        with told:
            with out:
                _start(child)
            try:
                self._listen(told, child, parsed, beat)
            finally:
                child.kill()
                child.join()

    def _listen(self, told: Connection, child: BaseProcess, parsed: Parsed, beat: Callable[[], object]) -> None:
        """Take messages up to the last one; raises RefusedError for any that makes no sense."""
        deadline = time.monotonic() + self._limits.wall_seconds
        left = self._limits.total_bytes
        while True:
            if not told.poll(min(_BEAT, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    raise _crashed(f"it took more than {self._limits.wall_seconds:g} s")
                beat()
                continue
            try:
                message = told.recv_bytes(self._limits.window_bytes)
            except EOFError:
                child.join()
                raise _crashed(_why(child.exitcode), final=child.exitcode == -signal.SIGXCPU) from None
            except OSError:
                why = f"a window has more than {self._limits.window_bytes} bytes"
                raise _crashed(why, final=True) from None
            kind, rest = message[:1], message[1:]
            left -= len(rest)
            if left < 0:
                raise _crashed(f"its windows have more than {self._limits.total_bytes} bytes", final=True)
            if kind != WINDOW:
                parsed.figures = _last(kind, rest)
                return
            parsed.keep(rest)
            beat()


def _keep_sockets_short() -> None:
    """Have the sockets of processes made where their path is short enough: not in a folder with a long name."""
    try:
        usual = tempfile.gettempdir()
    except OSError:  # there is none, or no room in any: that is said when something is to be read
        return
    if len(os.fsencode(usual)) + _LONGEST_NAME <= _LONGEST_SOCKET:
        return
    tempfile.tempdir = "/tmp"  # noqa: S108  (a folder of its own is made there, readable by nobody else)
    try:
        get_temp_dir()  # made now, and kept
    finally:
        tempfile.tempdir = usual


def _start(child: BaseProcess) -> None:
    try:
        child.start()
    except (OSError, EOFError) as error:  # what it is forked from ends just now; the next try starts another one
        # Not the upload's fault: no try is counted.
        raise StoreError(f"uploads can't be read now: their reader could not be started ({error!r})") from error


def _last(kind: bytes, rest: bytes) -> ReadFigures:
    try:
        if kind == DONE:
            return _FIGURES.validate_json(rest)
        failure = _Failure.model_validate_json(rest)
    except ValidationError:
        raise _crashed("its reader says what makes no sense") from None
    if kind != ERROR:
        raise _crashed("its reader says what makes no sense")
    if failure.full:
        raise FullError(f"uploads can't be read now: {failure.message}; make room, and it goes on by itself")
    if failure.crashed:
        raise _crashed("reading it takes more memory than there may be")
    reason = Reason.CAPTURE if failure.field is None else Reason.INPUT
    raise RefusedError(Refusal(reason, failure.message, failure.field or "body"))


def _crashed(why: str, *, final: bool = False) -> RefusedError:
    return RefusedError(Refusal(Reason.CRASHED, f"the upload can't be read: {why}; send parts of it"), final=final)


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its reader was ended by signal {-code} (24: too much computing time, 9: too much memory)"
    return "its reader broke down"
