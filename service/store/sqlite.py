"""All that is particular to SQLite: how files are opened, how transactions begin, how rows are replaced."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import ArgumentError

from service.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.dialects.sqlite import Insert

DriverError = sqlite3.Error
"""What connections raise that SQLAlchemy has not wrapped."""

WRITES = "yocho_writes"
"""Execution option of connections that write."""

# One for each thread of the API's thread pool: a thread that waits for its turn holds none.
_CONNECTIONS = 40

_PAUSE_SECONDS = 0.01


def open_file(url: str, wait_seconds: float) -> Engine:
    """Return an engine for a URL like ``sqlite:///yocho.db``; opens nothing yet.

    A connection waits up to `wait_seconds` for the lock of another process. Raises StoreError for a URL
    that names no SQLite file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"database: {url!r} is no URL; write sqlite:///FILE") from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise StoreError(f"database: {parsed.render_as_string()!r} names no SQLite file; write sqlite:///FILE")
    engine = create_engine(
        parsed,
        connect_args={"timeout": wait_seconds},
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=wait_seconds,
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def log_ahead(engine: Engine, wait_seconds: float) -> None:
    """Let readers go on while one connection writes; the file remembers it, so ask for our own files only.

    Raises DriverError if another process keeps the file locked.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return _log_ahead(engine)
        except sqlite3.OperationalError as error:
            # This one change of a file does not wait for others by itself.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def replace(table: Table, *key: str) -> Insert:
    """Return a statement that adds rows, or replaces the columns of those with the same key."""
    statement = insert(table)
    # An explicit list: the number of a replaced row is its place in listings and must not change.
    columns = [column.name for column in table.c if column.name not in key and not column.primary_key]
    return statement.on_conflict_do_update(
        index_elements=list(key), set_={name: statement.excluded[name] for name in columns}
    )


def _log_ahead(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        # Asking again would want the whole file for itself.
        if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
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


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails if another one wrote in between.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
