"""Copies of a whole database, and databases made of them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, make_url

from service.errors import StoreError
from service.store.backend import failures, open_backend
from service.store.schema import MARKER, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import PoolProxiedConnection

    from service.store.backend import Backend

_SQLITE = b"SQLite format 3\0"
_POSTGRES = b"PGDMP"
_OTHERS = {"sqlite": _POSTGRES, "postgresql": _SQLITE}

_PRIVATE = 0o600
"""A backup tells as much as the database."""


def back_up(url: str, file: Path, environment: Mapping[str, str], wait_seconds: float = 30.0) -> None:
    """Write all of a database, as it is at one moment, to a new file; the service may go on meanwhile.

    SQLite: a database in one file, which was checked. PostgreSQL: an archive of ``pg_dump``, which is found by the
    `environment`. Raises StoreError if that fails, or the file is there already; then nothing is left of it.
    """
    with _opened(url, wait_seconds) as backend:
        if Schema(backend).current() is None:
            raise StoreError(f"database {backend.name}: has no tables; name the one that the service uses")
        with _new_file(file) as copy:
            if backend.engine.dialect.name == "sqlite":
                _copy_out(backend, copy)
            else:
                _dump(url, copy, environment)


def restore(url: str, file: Path, environment: Mapping[str, str], wait_seconds: float = 30.0) -> None:
    """Make a database of what `back_up` has written, and bring its tables up to date.

    The database must be new or without tables. Raises StoreError if it is not, or the file holds no whole backup.
    """
    with _opened(url, wait_seconds) as backend:
        kind = backend.engine.dialect.name
        _check_kind(file, kind)
        with backend.engine.connect() as connection:
            if inspect(connection).get_table_names():
                raise StoreError(f"database {backend.name}: has tables already; restore into a new one")
        if kind == "sqlite":
            _copy_in(file, backend)
        else:
            _undump(file, url, environment)
        Schema(backend).prepare()


@contextmanager
def _opened(url: str, wait_seconds: float) -> Iterator[Backend]:
    backend = open_backend(url, wait_seconds)
    try:
        with failures(backend, f"can't be read or written; {backend.advice}"):
            yield backend
    finally:
        backend.engine.dispose()


@contextmanager
def _new_file(file: Path) -> Iterator[Path]:
    """Give the name of a file beside, which becomes this one, on the disk, if the block ends well."""
    try:
        # Nobody else may take the name meanwhile.
        file.touch(_PRIVATE, exist_ok=False)
    except FileExistsError:
        raise StoreError(f"{file}: is there already; name another file") from None
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}; name a file that can be written") from None
    kept = False
    try:
        with tempfile.TemporaryDirectory(prefix=".yocho-", dir=file.parent) as folder:
            copy = Path(folder) / "backup"
            copy.touch(_PRIVATE)
            yield copy
            _flush(copy)
            copy.replace(file)
            kept = True
            _flush(file.parent)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}; name a file that can be written") from None
    finally:
        if not kept:
            file.unlink()


def _flush(path: Path) -> None:
    """Have what was written to a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_kind(file: Path, kind: str) -> None:
    """Raise StoreError unless a file begins as backups of this kind of database do."""
    try:
        with file.open("rb") as opened:
            head = opened.read(len(_SQLITE))
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}; name a backup") from None
    if head.startswith(_OTHERS[kind]):
        raise StoreError(f"{file}: is a backup of another kind of database than {kind}; name one of that kind")
    if not head.startswith((_SQLITE, _POSTGRES)):
        raise StoreError(f"{file}: is no backup")


def _copy_out(backend: Backend, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as target:
        with closing(backend.engine.raw_connection()) as source:
            # All at once: a copy in parts would begin again with each write of another process.
            _driver(source).backup(target)
        # One file, and none beside it, until somebody uses it as a database.
        target.execute("PRAGMA journal_mode = DELETE")
        _check_whole(target, Path(backend.name))


def _copy_in(file: Path, backend: Backend) -> None:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source:
        _check_whole(source, file)
        named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        if source.execute(named, (MARKER,)).fetchone() is None:
            raise StoreError(f"{file}: is a database, but not of Yocho")
        with closing(backend.engine.raw_connection()) as target:
            source.backup(_driver(target))


def _driver(connection: PoolProxiedConnection) -> sqlite3.Connection:
    driver = connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101  (the backend's)
    return driver


def _check_whole(connection: sqlite3.Connection, file: Path) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(f"{file}: is damaged ({' '.join(found.split())}); use another backup")


def _dump(url: str, copy: Path, environment: Mapping[str, str]) -> None:
    _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={copy}"], url, environment)
    _run("pg_restore", ["--list", str(copy)], None, environment)


def _undump(file: Path, url: str, environment: Mapping[str, str]) -> None:
    listed = _run("pg_restore", ["--list", str(file)], None, environment)
    if not any(f"TABLE public {MARKER} " in line for line in listed.splitlines()):
        raise StoreError(f"{file}: is an archive of pg_dump, but not of Yocho's tables")
    # All of it or nothing.
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run("pg_restore", [*options, str(file)], url, environment)


def _run(program: str, arguments: Sequence[str], url: str | None, environment: Mapping[str, str]) -> str:
    """Run one of PostgreSQL's programs, on a database if one is given; return what it says."""
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        raise StoreError(
            f"{program} is not installed here; install PostgreSQL's client programs, of the server's version "
            "or newer, or run it where they are: docs/operations.md, Backup and restore"
        )
    variables = dict(environment)
    command = [found, *arguments]
    if url is not None:
        place, password = _without_password(url)
        command.append(f"--dbname={place}")
        variables |= {"PGPASSWORD": password} if password else {}
    done = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise StoreError(f"{said or program + ' failed'}; nothing was written")
    return done.stdout.decode(errors="replace")


def _without_password(url: str) -> tuple[str, str | None]:
    """Return a URL for libpq, and the password, which must not be among the arguments of a process."""
    parsed = make_url(url).set(drivername="postgresql")
    query = parsed.query.get("password")
    shown = parsed.difference_update_query(["password"])._replace(password=None)
    return shown.render_as_string(hide_password=False), str(parsed.password or query or "") or None
