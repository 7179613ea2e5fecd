"""Processes that read uploads, and what may become of such a one: see `service.work.parsing.parse`."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from service.work import parsing
from service.work.parsing import DONE, ERROR, confine, parse

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from service.pipeline import PipelineSpec
    from service.work.parsing import Handed, Limits


def crash(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def be_killed(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_the_parent(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def eat(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    """Read what takes more memory than there may be."""

    class Endless:
        @property
        def path(self) -> Endless:
            return self

        def open(self, *_: object, **__: object) -> list[bytes]:
            return [bytes(1 << 20) for _ in range(1 << 20)]

    parse(out, Endless(), sensor, spec, limits)  # type: ignore[arg-type]


def spin(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    confine(limits)
    while True:
        pass


def sleep(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    confine(limits)
    time.sleep(3600)


def go_away(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    os._exit(0)


def babble(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    out.send_bytes(b"?" * 100)


def promise(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    out.send_bytes(DONE + b'{"packets": "many"}')


def tell_if_ready(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    state = "ready" if "service.work.ready" in sys.modules else "cold"
    out.send_bytes(ERROR + json.dumps({"message": state, "field": None}).encode())


def find_no_room(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    _raise(OSError(errno.ENOSPC, "No space left on device"), out, upload, sensor, spec, limits)


def find_nothing(out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits) -> None:
    _raise(OSError(errno.EIO, "Input/output error"), out, upload, sensor, spec, limits)


def _raise(
    error: OSError, out: Connection, upload: Handed, sensor: str, spec: PipelineSpec, limits: Limits
) -> None:
    def messages(*_: object) -> None:
        raise error

    parsing.messages = messages  # type: ignore[assignment]
    parse(out, upload, sensor, spec, limits)
