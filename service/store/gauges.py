"""What is to be seen of a database at a moment: how much work waits, how late it is, what lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from service.store import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

_DAY = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Gauges:
    """Figures of one moment; times are ns since the epoch, None where there is nothing to tell."""

    waiting: int
    """Jobs that wait."""
    waiting_bytes: int
    """Of their payloads."""
    oldest_waiting: int | None
    """When the job that waits longest was received."""
    last_done: int | None
    """When a job was done last."""
    latest_end: int | None
    """Where the latest window ends."""
    patterns_alive: int
    """Patterns that were seen in the last day before that."""


class SqlGauges:
    """Reads the figures in one connection's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> Gauges:
        """Return the figures."""
        jobs = tables.jobs.c
        totals = select(func.count(), func.coalesce(func.sum(jobs.size), 0), func.min(jobs.received_ns))
        waiting = self._connection.execute(totals.where(jobs.state == "waiting")).one()
        last_done = self._connection.execute(select(func.max(jobs.done_ns)).where(jobs.state != "waiting")).scalar()
        latest_end = self.latest_end()
        patterns = tables.patterns.c.last_seen_ns
        alive = select(func.count()).where(patterns >= (latest_end or 0) - _DAY)
        return Gauges(
            waiting=waiting[0],
            waiting_bytes=int(waiting[1]),
            oldest_waiting=waiting[2],
            last_done=last_done,
            latest_end=latest_end,
            patterns_alive=self._connection.execute(alive).scalar_one(),
        )

    def latest_end(self) -> int | None:
        """Return where the latest window ends, ns since the epoch, or None without windows."""
        return self._connection.execute(select(func.max(tables.windows.c.end_ns))).scalar()
