"""Whether the service can do its work here: each check tries the real thing, and says what to do about it."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from service.alerts.allow import read_allow_list
from service.capture.kernels.hashing import mix64
from service.capture.live import listen
from service.errors import CaptureError, SettingsError, StoreError
from service.store.repository import Memory, MemoryKey, Part
from service.store.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NET_RAW = 13
"""CAP_NET_RAW in linux/capability.h."""
_UNSYNCHRONISED = 5
"""TIME_ERROR, which adjtimex(2) answers."""
_SECOND = 1_000_000_000
_AHEAD = 60 * _SECOND
"""How much later than now a window may end."""
_TRIED = 1 << 20
"""Bytes of a file that is made."""
_PLENTY = 4
"""Times the least free space that leave no worry."""


class Grade(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    """Something will not work that may not be wanted, or soon."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and what was found."""

    name: str
    grade: Grade
    found: str
    advice: str = ""
    """What to do."""


@dataclass(frozen=True, slots=True)
class DoctorSpec:
    """What the service is to use."""

    database: str
    """URL."""
    host: str
    port: int
    allow_list: str = ""
    min_free_bytes: int = 256 << 20
    traces: bool = False
    interface: str | None = None


def diagnose(spec: DoctorSpec, clock: Callable[[], int] = time.time_ns) -> Iterator[Check]:
    """Yield the checks, one after the other; `clock` gives ns since the epoch. Leaves nothing behind."""
    yield _permissions(spec.interface)
    yield _interface(spec.interface)
    yield from _store(spec.database, clock())
    yield _synchronised()
    yield _disk("disk", database_folder(spec.database), spec.min_free_bytes)
    yield _temporary_files(spec.min_free_bytes)
    yield _compiled_loops()
    yield _allow_list(spec.allow_list)
    yield _port(spec.host, spec.port)
    if spec.traces:
        yield _tracing()


def database_folder(url: str) -> Path:
    """Return the folder of a SQLite file, or the working folder for a database elsewhere."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return Path()
    return Path(parsed.database or "").parent if parsed.get_backend_name() == "sqlite" else Path()


def _permissions(interface: str | None) -> Check:
    name = "permissions"
    if _may_listen():
        return Check(name, Grade.OK, "packets may be taken (CAP_NET_RAW)")
    advice = "start `yocho watch` as root or with CAP_NET_RAW; it gives both up; nothing else needs them"
    return Check(
        name, Grade.FAIL if interface else Grade.WARN, "no CAP_NET_RAW: interfaces can't be watched", advice
    )


def _may_listen() -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux
        return os.geteuid() == 0
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _NET_RAW & 1)


def _interface(interface: str | None) -> Check:
    name, known = "interface", [found for _, found in socket.if_nameindex()]
    listed = ", ".join(known)
    if interface is None:
        return Check(name, Grade.OK, f"none asked for; there are {listed}")
    if interface not in known:
        return Check(name, Grade.FAIL, f"{interface}: there is no such interface", f"choose one of {listed}")
    try:
        listen(interface, "").close()
    except CaptureError as error:
        return Check(name, Grade.FAIL, str(error), "")
    return Check(name, Grade.OK, f"{interface} can be listened to")


class _Undone(Exception):  # noqa: N818  (it is none: a transaction is left by it)
    """Undoes what was tried."""


def _store(url: str, now: int) -> Iterator[Check]:
    name, file = "store", _sqlite_file(url)
    if file is not None and not file.exists():
        yield _new_file(file)
        return
    try:
        store = SqlStore(url)
    except StoreError as error:
        yield Check(name, Grade.FAIL, str(error))
        return
    try:
        yield Check(name, Grade.OK, f"opens, has this version's layout, and {_tried_to_write(store)}")
        yield _latest(store, now)
    except StoreError as error:
        yield Check(name, Grade.FAIL, str(error), "check the disk, and who may write")
    finally:
        store.close()


def _sqlite_file(url: str) -> Path | None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _new_file(file: Path) -> Check:
    if os.access(file.parent, os.W_OK | os.X_OK):
        return Check("store", Grade.OK, f"{file} is not there yet, and will be made")
    return Check("store", Grade.FAIL, f"{file} can't be made", f"make the folder {file.parent} writable")


def _tried_to_write(store: SqlStore) -> str:
    began = time.perf_counter()
    try:
        with store.begin() as unit:
            unit.save_memory(MemoryKey("yocho doctor", 0, Part.GROUPS), Memory("", b""))
            raise _Undone  # noqa: TRY301
    except _Undone:
        return f"takes writes ({1000 * (time.perf_counter() - began):.0f} ms)"


def _latest(store: SqlStore, now: int) -> Check:
    with store.read() as reader:
        latest = reader.gauges.latest_end()
    if latest is None:
        return Check("clock", Grade.OK, "there are no windows yet to compare it with")
    if latest > now + _AHEAD:
        seconds = (latest - now) // _SECOND
        advice = "set this clock, or that of the sensor, by NTP"
        return Check("clock", Grade.FAIL, f"the latest window ends {seconds} s after now", advice)
    return Check("clock", Grade.OK, f"the latest window ended {(now - latest) // _SECOND} s ago")


def _synchronised() -> Check:
    name, libc = "clock source", ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex"):
        return Check(name, Grade.OK, "this system does not say whether its clock is synchronised")
    # struct timex with `modes` 0: nothing is changed; it has some 200 bytes.
    state = libc.adjtimex(ctypes.create_string_buffer(512))
    if state == _UNSYNCHRONISED:
        return Check(name, Grade.WARN, "the clock is not synchronised", "run an NTP client such as chrony")
    return Check(name, Grade.OK, "the clock is synchronised" if state >= 0 else "the system does not say")


def _disk(name: str, folder: Path, least: int) -> Check:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(name, Grade.FAIL, f"{folder}: {error.strerror}", "make the folder")
    found = f"{free >> 20} MiB are free in {folder.absolute()}"
    if free >= _PLENTY * least:
        return Check(name, Grade.OK, found)
    grade = Grade.WARN if free >= least else Grade.FAIL
    return Check(name, grade, found, f"below {least >> 20} MiB the service is not ready; keep less, or add space")


def _temporary_files(least: int) -> Check:
    name = "temporary files"
    advice = "uploads are read from there: make room, or name another folder with TMPDIR"
    try:
        with tempfile.TemporaryFile(prefix="yocho-", buffering=0) as file:
            written = file.write(bytes(_TRIED))
    except OSError as error:
        return Check(name, Grade.FAIL, f"can't be written: {error.strerror or error}", advice)
    folder = Path(tempfile.gettempdir())
    if written < _TRIED:
        return Check(name, Grade.FAIL, f"there is no room for {_TRIED >> 20} MiB in {folder}", advice)
    return _disk(name, folder, least)


def _compiled_loops() -> Check:
    name = "compiled loops"
    folder = cast("Any", mix64).stats.cache_path  # numba's
    if folder is None:
        advice = "name a writable folder with NUMBA_CACHE_DIR"
        return Check(name, Grade.WARN, "can't be kept: each start compiles for a minute", advice)
    there = [parent for parent in (Path(folder), *Path(folder).parents) if parent.exists()]
    if not os.access(there[0], os.W_OK):
        return Check(name, Grade.WARN, f"{folder} can't be written", "make it writable, or set NUMBA_CACHE_DIR")
    return Check(name, Grade.OK, f"are kept in {folder}")


def _allow_list(name: str) -> Check:
    if not name:
        return Check("allow-list", Grade.OK, "none is set")
    try:
        rules = read_allow_list(Path(name).read_text().splitlines(), name)
    except OSError as error:
        return Check("allow-list", Grade.FAIL, f"{name}: {error.strerror}", "YOCHO_ALLOW_LIST names it")
    except (UnicodeError, SettingsError) as error:
        return Check("allow-list", Grade.FAIL, str(error), "correct it")
    return Check("allow-list", Grade.OK, f"{name} can be read: {len(rules.rules)} rules")


def _port(host: str, port: int) -> Check:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            advice = "right if the service runs; else choose another port"
            return Check("port", Grade.WARN, f"{host} port {port} is in use", advice)
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        return Check("port", Grade.FAIL, f"{host} port {port}: {why}", "choose another host or port")
    return Check("port", Grade.OK, f"{host} port {port} is free")


def _tracing() -> Check:
    if find_spec("opentelemetry") and find_spec("opentelemetry.sdk"):
        return Check("traces", Grade.OK, "OpenTelemetry is installed")
    return Check("traces", Grade.FAIL, "OpenTelemetry is not installed", "pip install 'yocho[tracing]'")
