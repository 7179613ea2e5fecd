"""Many small writes in one transaction: each commit is a wait for the disk."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from service.errors import BusyError, StoreError, WindowConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.jobs import SqlJobs
    from service.store.sensors import SqlSensors
    from service.store.sql import SqlStore

Result = TypeVar("Result")

MOST_TOGETHER = 64
"""Writes in one transaction: another writer waits no longer than these take."""


class Queues(Protocol):
    """What these writes are about."""

    jobs: SqlJobs
    sensors: SqlSensors


@dataclass(slots=True)
class _Write(Generic[Result]):
    """A write that waits for its transaction, and what came of it."""

    action: Callable[[Queues], Result]
    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    failure: Exception | None = None


class GroupCommit:
    """Writes of several threads, as many as wait, in one transaction; each thread hears of its own only.

    The first thread that comes does the writes of all that came up to then; meanwhile the next ones gather.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Write[Any]] = []

    def write(self, action: Callable[[Queues], Result]) -> Result:
        """Return what an action returns for a unit of the store, once that is committed.

        The action may raise WindowConflictError or BusyError before it has written anything; what it raises,
        and StoreError, is raised here.
        """
        mine: _Write[Result] = _Write(action)
        with self._guard:
            self._waiting.append(mine)
        while not mine.done.is_set():
            with self._turn:
                if not mine.done.is_set():
                    self._write_together(self._taken())
        if mine.failure is not None:
            raise mine.failure
        return cast("Result", mine.result)

    def _taken(self) -> list[_Write[Any]]:
        with self._guard:
            taken, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        return taken

    def _write_together(self, writes: list[_Write[Any]]) -> None:
        try:
            self._commit(writes)
        except StoreError as error:
            if len(writes) > 1:
                # Whose fault it was shows when each is alone.
                for write in writes:
                    self._write_together([write])
                return
            writes[0].failure = error
        except BaseException as error:
            for write in writes:
                write.failure = error if isinstance(error, Exception) else StoreError("interrupted; try again")
                write.done.set()
            raise
        for write in writes:
            write.done.set()

    def _commit(self, writes: list[_Write[Any]]) -> None:
        with self._store.begin() as unit:
            for write in writes:
                write.result = write.failure = None
                try:
                    write.result = write.action(unit)
                except (WindowConflictError, BusyError) as refusal:
                    write.failure = refusal
