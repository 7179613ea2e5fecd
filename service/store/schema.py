"""Which tables a database has, and how they are brought up to date."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, column, insert, inspect, select, table

from service.errors import StoreError
from service.store import tables
from service.store.backend import failures, open_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from service.store.backend import Backend

REVISIONS = ("0001", "0002", "0003", "0004")
"""The states of the tables, oldest first; the files of `service.store.migrations` lead from one to the next."""

MIGRATIONS = Path(__file__).with_name("migrations")

HEAD = REVISIONS[-1]
"""The state that this Yocho works with: `service.store.tables`."""

MARKER = "yocho_revision"
"""The table by which a database is known to be ours."""

# The same as Alembic makes, so that a new database needs none of it.
_marker = Table(MARKER, MetaData(), Column("version_num", String(32), primary_key=True))
_marker.primary_key.name = "yocho_revision_pkc"

# What told it before there were revisions.
_layout = table("yocho", column("version"))
_FIRST_REVISION_IS_LAYOUT = 3

# Alembic keeps what it works on in modules.
_migrating = threading.Lock()


class Schema:
    """The tables of one database. All methods raise StoreError if it is not ours, or newer than this Yocho."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def current(self) -> str | None:
        """Return the revision of the tables, or None if there are none; changes nothing."""
        with self._backend.reading() as connection:
            return self._revision(connection)

    def prepare(self) -> None:
        """Make the tables, or bring them up to date. Several processes may do so at once."""
        revision = self.current()
        # Only now: a file that is not ours is left as it was.
        self._backend.claim()
        if revision != HEAD:
            self.upgrade()

    def upgrade(self) -> None:
        """Bring the tables to `HEAD` in one transaction."""
        with self._backend.rebuilding() as connection:
            # Another process may have been quicker.
            revision = self._revision(connection)
            if revision is None:
                # The same as all revisions in turn, which a test proves, and quicker.
                tables.metadata.create_all(connection)
                _mark(connection, HEAD)
            elif revision != HEAD:
                _mark_old(connection, revision)
                run_revisions(connection, HEAD)

    def downgrade(self, revision: str) -> None:
        """Take the tables back to an older revision in one transaction; what that one does not know is lost."""
        with self._backend.rebuilding() as connection:
            now = self._revision(connection)
            if now is None or revision not in REVISIONS[: REVISIONS.index(now) + 1]:
                raise StoreError(
                    f"database {self._backend.name}: can't go from revision {now or 'none'} back to {revision!r}; "
                    f"the revisions are {', '.join(REVISIONS)}"
                )
            _mark_old(connection, now)
            run_revisions(connection, revision, back=True)

    def _revision(self, connection: Connection) -> str | None:
        names = inspect(connection).get_table_names()
        if not names:
            return None
        if _marker.name in names:
            revision = connection.scalar(select(_marker.c.version_num))
            if revision not in REVISIONS:
                raise StoreError(
                    f"database {self._backend.name}: has revision {revision}, this Yocho knows {HEAD}; "
                    "use a newer Yocho or name another database"
                )
            return str(revision)
        return self._revision_of_layout(connection, names)

    def _revision_of_layout(self, connection: Connection, names: list[str]) -> str:
        version = None
        if _layout.name in names:
            version = connection.scalar(select(_layout.c.version))
        if version is None or version < 1:
            raise StoreError(f"database {self._backend.name}: is no Yocho database; name another one")
        if version != _FIRST_REVISION_IS_LAYOUT:
            other = "a newer" if version > _FIRST_REVISION_IS_LAYOUT else "an older"
            raise StoreError(
                f"database {self._backend.name}: has layout {version}, this Yocho knows "
                f"{_FIRST_REVISION_IS_LAYOUT}; use {other} Yocho or name another database"
            )
        return REVISIONS[0]


@contextmanager
def open_schema(url: str, wait_seconds: float = 30.0) -> Iterator[Schema]:
    """Open the tables of the database at a URL as they are; raises StoreError as `Schema` does."""
    backend = open_backend(url, wait_seconds)
    try:
        with failures(backend, f"can't be opened or changed; {backend.advice}"):
            yield Schema(backend)
    finally:
        backend.engine.dispose()


def run_revisions(connection: Connection, revision: str, *, back: bool = False) -> None:
    """Run the revisions that lead up, or `back`, to `revision`, in the connection's transaction."""
    from alembic import command  # noqa: PLC0415  (an up-to-date database needs none of it)
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection, "version_table": _marker.name})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    move = command.downgrade if back else command.upgrade
    with _migrating:
        move(config, revision)


def _mark(connection: Connection, revision: str) -> None:
    _marker.create(connection)
    connection.execute(insert(_marker), {"version_num": revision})


def _mark_old(connection: Connection, revision: str) -> None:
    """Let a database that knows no revisions know which one it is."""
    if not inspect(connection).has_table(_marker.name):
        _mark(connection, revision)
