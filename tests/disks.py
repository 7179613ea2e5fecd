"""Disks without room."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.store.sql import SqlStore


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """Let no file of this process, or of one that it starts, be longer than so many bytes during the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_room(store: SqlStore) -> Iterator[None]:
    """Let a database of SQLite grow no more during the block, as on a full disk."""

    def bound(connection: object, _: object = None) -> None:
        # A bound below what there is means what there is.
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    engine = store._backend.engine
    engine.dispose()
    event.listen(engine, "connect", bound)
    try:
        yield
    finally:
        event.remove(engine, "connect", bound)
        engine.dispose()
