"""All that is particular to PostgreSQL: how connections are kept, and how transactions follow one another."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import create_engine, event, func, select, text

from service.errors import FullError, InputError, StoreError
from service.store.statements import lock_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection

# So many of one process; api and workers together stay below the server's usual 100.
_CONNECTIONS = 10
_MORE_CONNECTIONS = 10

_STATEMENT_SECONDS = 120
"""A statement that takes longer is given up."""
_IDLE_SECONDS = 600
"""Who is silent for longer inside of a transaction, and holds its locks, is cut off."""

_EVERYTHING = lock_key("everything")


class PostgresBackend:
    """A database of a PostgreSQL server; see `service.store.backend.Backend`.

    Transactions of one sensor follow one another, those of different sensors go side by side. What the URL says
    of TLS, such as ``?sslmode=verify-full``, and all other parameters of libpq are passed on.
    """

    advice = "check host, name, user and password, and that the server runs"
    driver_error: type[Exception] = psycopg.Error

    def __init__(self, url: URL, wait_seconds: float) -> None:
        shown = url.set(drivername="postgresql", query={})
        self.name = shown.render_as_string(hide_password=True)
        self.engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=_defaults(url, wait_seconds),
            pool_size=_CONNECTIONS,
            max_overflow=_MORE_CONNECTIONS,
            pool_timeout=wait_seconds,
            # A server that was restarted is noticed before a transaction begins.
            pool_pre_ping=True,
            hide_parameters=True,
        )
        self._wait_seconds = wait_seconds
        self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        event.listen(self.engine, "connect", self._set_up)

    def claim(self) -> None:
        """Check that any text can be stored; raises StoreError if not."""
        with self.engine.connect() as connection:
            encoding = connection.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise StoreError(f"database {self.name}: its encoding is {encoding}; make one with ENCODING 'UTF8'")

    @contextmanager
    def writing(self, sensor: str | None) -> Iterator[Connection]:
        """Open a transaction that writes, after those that are open of the same sensor, or after all."""
        # Read committed: what is read after the lock was given is what the one before has left.
        with self.engine.begin() as connection:
            if sensor is None:
                connection.execute(select(func.pg_advisory_xact_lock(_EVERYTHING)))
            else:
                shared = func.pg_advisory_xact_lock_shared(_EVERYTHING)
                connection.execute(select(shared, func.pg_advisory_xact_lock(lock_key(f"sensor {sensor}"))))
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def rebuilding(self) -> Iterator[Connection]:
        """Open a transaction that may change tables."""
        with self.engine.begin() as connection:
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = 0"))
            connection.execute(select(func.pg_advisory_xact_lock(_EVERYTHING)))
            yield connection

    def refusal(self, error: Exception) -> Exception | None:
        """Return what an error means that is not the database's fault, or None."""
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, psycopg.errors.LockNotAvailable):
            return StoreError(f"database {self.name}: another write took over {self._wait_seconds} s; try again")
        if isinstance(cause, psycopg.errors.DiskFull):
            return FullError(f"database {self.name}: no room is left on its disk, and nothing was written")
        if isinstance(cause, psycopg.DataError) and "NUL" in str(cause):
            return InputError("text", "has a character U+0000; leave it out")
        return None

    def _set_up(self, connection: Any, _record: object) -> None:
        limits = {
            "lock_timeout": self._wait_seconds,
            "statement_timeout": max(self._wait_seconds, _STATEMENT_SECONDS),
            "idle_in_transaction_session_timeout": _IDLE_SECONDS,
        }
        with connection.cursor() as cursor:
            for name, seconds in limits.items():
                cursor.execute(f"SET {name} = {round(seconds * 1000)}")
        connection.commit()


def _defaults(url: URL, wait_seconds: float) -> dict[str, Any]:
    """Return libpq's parameters as far as the URL does not give them."""
    usual = {
        "application_name": "yocho",
        "client_encoding": "utf8",
        "connect_timeout": max(2, round(wait_seconds)),
        # A server that has vanished without a word is noticed within a minute.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    return {name: value for name, value in usual.items() if name not in url.query}
