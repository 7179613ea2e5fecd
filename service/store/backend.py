"""What a database management system has of its own; everything else of the store is the same for all of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from service.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

FORMS = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"


class Backend(Protocol):
    """How connections are opened, transactions begin, and failures are told apart."""

    name: str
    """Of the database, for messages: no password is in it."""
    advice: str
    """What to look at if it can't be opened."""
    engine: Engine
    driver_error: type[Exception]
    """What connections raise that SQLAlchemy has not wrapped."""

    def claim(self) -> None:
        """Set up what outlives connections, in a database that is known to be ours or empty."""
        ...

    def writing(self, sensor: str | None) -> AbstractContextManager[Connection]:
        """Open a transaction that writes; see `service.store.repository.Store.begin`."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that only reads, as if nothing changed from its first read on."""
        ...

    def rebuilding(self) -> AbstractContextManager[Connection]:
        """Open a transaction that may change tables; no other one writes meanwhile, however long it takes."""
        ...

    def refusal(self, error: Exception) -> Exception | None:
        """Return what an error means that is not the database's fault, or None."""
        ...


def open_backend(url: str, wait_seconds: float) -> Backend:
    """Return the backend of a URL, SQLite or PostgreSQL; opens nothing yet. Raises StoreError for another URL.

    Writers wait up to `wait_seconds` for one another.
    """
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        # Not even a part of it is shown: there may be a password in what can't be read.
        raise StoreError(f"database: its URL can't be read; {FORMS}") from error
    if kind == "sqlite":
        from service.store.sqlite import SqliteBackend  # noqa: PLC0415  (who uses one loads no driver of the other)

        return SqliteBackend(parsed, wait_seconds)
    if kind in ("postgresql", "postgres"):
        from service.store.postgres import PostgresBackend  # noqa: PLC0415

        return PostgresBackend(parsed, wait_seconds)
    raise StoreError(f"database: {kind} is not supported; {FORMS}")


@contextmanager
def failures(backend: Backend, what: str) -> Iterator[None]:
    """Raise what the database raises inside of the block as StoreError, on one line that says `what` failed.

    What is wrong with the values instead is an InputError.
    """
    try:
        yield
    except (SQLAlchemyError, backend.driver_error) as error:
        refusal = backend.refusal(error)
        if refusal is not None:
            raise refusal from error
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise StoreError(f"database {backend.name}: {what} ({reason})") from error
