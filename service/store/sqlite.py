"""All that is particular to SQLite: how files are opened, and how transactions begin and follow one another."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event

from service.errors import FullError, StoreError
from service.store.statements import replace as replace  # noqa: PLC0414

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection

# Execution options of connections.
_WRITES = "yocho_writes"
_REBUILDS = "yocho_rebuilds"

# One for each thread of the API's thread pool: a thread that waits for its turn holds none.
_CONNECTIONS = 40

_PAUSE_SECONDS = 0.01
_LOOK_SECONDS = 0.002
"""Between two looks whether another process still writes."""

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""Codes of a full disk: that of one, of a user's share or a bound of files, and of the index of the log."""


class SqliteBackend:
    """A file, in the mode that lets readers go on while one connection writes; see `service.store.backend.Backend`.

    Writers of one process queue here; those of several processes wait up to `wait_seconds` for the file's lock.
    Raises StoreError for a URL that names no file.
    """

    advice = "check that its folder exists and may be written"
    driver_error: type[Exception] = sqlite3.Error

    def __init__(self, url: URL, wait_seconds: float) -> None:
        if url.database in (None, "", ":memory:"):
            raise StoreError(f"database: {url.render_as_string()!r} names no SQLite file; write sqlite:///FILE")
        self.name = str(url.database)
        self.engine = create_engine(
            url.set(drivername="sqlite+pysqlite"),
            connect_args={"timeout": wait_seconds},
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=wait_seconds,
            hide_parameters=True,
        )
        self._writer = self.engine.execution_options(**{_WRITES: True})
        self._wait_seconds = wait_seconds
        self._queue = threading.Lock()
        event.listen(self.engine, "connect", _set_up)
        event.listen(self.engine, "begin", self._begin)

    def claim(self) -> None:
        """Let readers go on while one connection writes; the file remembers it."""
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                return self._log_ahead()
            except sqlite3.OperationalError as error:
                # This one change of a file does not wait for others by itself.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)

    @contextmanager
    def writing(self, sensor: str | None) -> Iterator[Connection]:  # noqa: ARG002  (a file has one writer)
        """Open a transaction that writes: one after another."""
        if not self._queue.acquire(timeout=self._wait_seconds):
            raise StoreError(f"database {self.name}: another write took over {self._wait_seconds} s; try again")
        try:
            with self._writer.begin() as connection:
                yield connection
        finally:
            self._queue.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def rebuilding(self) -> Iterator[Connection]:
        """Open a transaction that may replace tables that others refer to; raises StoreError if one is missed."""
        with self._queue, self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True, _REBUILDS: True})
            try:
                with connection.begin():
                    yield connection
                    lost = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                    if lost is not None:
                        raise StoreError(
                            f"database {self.name}: a row of {lost[0]} refers to no {lost[2]}; restore a backup"
                        )
            finally:
                # The setting belongs to the connection, not to the transaction.
                connection.invalidate()

    def refusal(self, error: Exception) -> Exception | None:
        """Return what an error means that is not the database's fault, or None."""
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlite_errorcode", None) in _FULL:
            return FullError(
                f"database {self.name}: no room is left on its disk, and nothing was written ({cause})"
            )
        return None

    def _begin(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(_REBUILDS, False):
            # A table can't be replaced while others refer to it; within a transaction this changes nothing.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        if options.get(_WRITES, False):
            self._begin_to_write(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    def _begin_to_write(self, connection: Connection) -> None:
        """Begin when no other process writes: a transaction that reads first and writes later would fail then.

        SQLite itself looks ever more rarely, in the end ten times a second: among processes that write much, who
        has waited longest would wait on.
        """
        deadline = time.monotonic() + self._wait_seconds
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    driver.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                else:
                    return
                time.sleep(_LOOK_SECONDS)
        finally:
            driver.execute(f"PRAGMA busy_timeout = {round(1000 * self._wait_seconds)}")

    def _log_ahead(self) -> None:
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            # Asking again would want the whole file for itself.
            if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                # Of a new file only: it can give free pages back. Others get smaller by VACUUM alone.
                cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
                cursor.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()


def _set_up(connection: Any, _record: object) -> None:
    # The driver would begin at the first write, in its own way; `_begin` does it instead.
    connection.isolation_level = None
    for pragma in (
        "foreign_keys = ON",
        # A commit is on the disk before anyone is told of it.
        "synchronous = FULL",
        # A file from elsewhere must not run functions through its schema.
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")
