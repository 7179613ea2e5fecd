"""Many small writes in one transaction: each commit is a wait for the disk."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from service.errors import BusyError, StoreError, WindowConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.store.jobs import SqlJobs
    from service.store.sensors import SqlSensors
    from service.store.sql import SqlStore

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_TOGETHER = 64
"""Writes in one transaction: another writer waits no longer than these take."""


class Queues(Protocol):
    """What these writes are about."""

    jobs: SqlJobs
    sensors: SqlSensors


Refusal = WindowConflictError | BusyError
"""What one write is answered with while others of its transaction go on."""


def in_turn(unit: Queues, actions: Sequence[Callable[[Queues], Result]]) -> Sequence[Result | Refusal]:
    """Return what actions return or, before they have written anything, refuse."""
    results: list[Result | Refusal] = []
    for action in actions:
        try:
            results.append(action(unit))
        except (WindowConflictError, BusyError) as refusal:
            results.append(refusal)
    return results


@dataclass(slots=True)
class _Write(Generic[Item, Result]):
    """Something that waits for its transaction, and what came of it."""

    item: Item
    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    failure: Exception | None = None


class GroupCommit(Generic[Item, Result]):
    """Writes of several threads, as many as wait, in one transaction; each thread hears of its own only.

    `together` writes what several threads have brought, and returns for each a result or why it is refused, of
    which it has written nothing. The first thread that comes does so for all that came up to then; meanwhile the
    next ones gather.
    """

    def __init__(
        self, store: SqlStore, together: Callable[[Queues, Sequence[Item]], Sequence[Result | Refusal]]
    ) -> None:
        self._store = store
        self._together = together
        self._guard = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Write[Item, Result]] = []

    def write(self, item: Item) -> Result:
        """Return what came of one item, once that is committed; raises its refusal, and StoreError."""
        mine: _Write[Item, Result] = _Write(item)
        with self._guard:
            self._waiting.append(mine)
        while not mine.done.is_set():
            with self._turn:
                if not mine.done.is_set():
                    self._write_together(self._taken())
        if mine.failure is not None:
            raise mine.failure
        return cast("Result", mine.result)

    def _taken(self) -> list[_Write[Item, Result]]:
        with self._guard:
            taken, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        return taken

    def _write_together(self, writes: list[_Write[Item, Result]]) -> None:
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

    def _commit(self, writes: list[_Write[Item, Result]]) -> None:
        with self._store.begin() as unit:
            results = self._together(unit, [write.item for write in writes])
        for write, result in zip(writes, results, strict=True):
            if isinstance(result, Refusal):
                write.failure = result
            else:
                write.result = result
