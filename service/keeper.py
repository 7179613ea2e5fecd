"""Keeps the store within its limits, now and then."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from service.store.retention import Retained, RetentionSpec, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.sql import SqlStore

_log = logging.getLogger(__name__)

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class KeeperSpec:
    """What is kept, and how often it is looked at; raises ValueError for an interval that is not positive."""

    retention: RetentionSpec
    interval: float = 300.0
    """Seconds between two looks, when there was nothing left to do."""

    def __post_init__(self) -> None:
        if self.interval <= 0:
            raise ValueError(f"interval: {self.interval} is not positive")


class Keeper:
    """Lets a process that does something else take a step when it is time. `clock` gives ns since the epoch.

    Several processes may keep the same store.
    """

    def __init__(self, spec: KeeperSpec, store: SqlStore, clock: Callable[[], int]) -> None:
        self._spec = spec
        self._store = store
        self._clock = clock
        self._looked: int | None = None
        self._done = Retained()

    def turn(self) -> bool:
        """Take a step if it is time, and return whether there is more to do now. Raises StoreError."""
        now = self._clock()
        # A clock that was set back must not stop it.
        if self._looked is not None and 0 <= now - self._looked < self._spec.interval * _SECOND:
            return False
        self._done += step(self._store, self._spec.retention, now)
        if self._done.more:
            return True
        self._looked = now
        done, self._done = self._done, Retained()
        _tell(done, self._spec.retention.most_bytes)
        return False

    def run(self) -> Retained:
        """Take steps until there is nothing left to do; return what went. Raises StoreError."""
        done = Retained(more=True)
        while done.more:
            done += step(self._store, self._spec.retention, self._clock())
        return done


def _tell(done: Retained, most_bytes: int) -> None:
    gone = {name: value for name, value in asdict(done).items() if value and name != "over"}
    if gone:
        _log.info("old rows were let go of", extra=gone)
    if done.over:
        _log.warning(
            "the database is over its bound, and nothing is left that may go",
            extra={"over_bytes": done.over, "most_bytes": most_bytes},
        )
