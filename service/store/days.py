"""Days: the sums of windows that are no longer kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from service.store import tables
from service.store.statements import add_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

DAY = 86_400_000_000_000
"""Length, ns; days begin at midnight UTC."""

_TABLE = tables.days
_KEY = ("sensor", "length_ns", "day_ns")
_SUMS = ("windows", "attempts", "answered", "shed")
_MOSTS = ("most_sources", "most_services")


@dataclass(frozen=True, slots=True)
class Day:
    """What is left of a sensor's windows of one length that began on one day.

    Windows that are still kept are not in it; of those whose counts alone are gone, only `answered` is: they tell
    all else themselves. Raises ValueError if `start` is not that of a day.
    """

    sensor: str
    length: int
    """Of the windows, ns."""
    start: int
    """Of the day, ns since the epoch."""
    windows: int = 0
    attempts: int = 0
    answered: int = 0
    """Sum over sources and services of targets that took part."""
    most_sources: int = 0
    """The most sources of one window."""
    most_services: int = 0
    shed: int = 0
    """Attempts that windows had no room for."""

    def __post_init__(self) -> None:
        if self.start % DAY:
            raise ValueError(f"start: {self.start} is not the start of a day")


class SqlDays:
    """Days as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, days: Iterable[Day]) -> None:
        """Add to what is known of these days; the same day may be given several times."""
        for day in days:
            row = {"sensor": day.sensor, "length_ns": day.length, "day_ns": day.start}
            row |= {name: getattr(day, name) for name in (*_SUMS, *_MOSTS)}
            self._connection.execute(add_up(_TABLE, _KEY, _SUMS, _MOSTS), row)

    def totals(self, start: int, end: int) -> Sequence[Day]:
        """Return the sums of all sensors of the days that begin in [start, end), by length and time; no names."""
        sums = [func.sum(_TABLE.c[name]) for name in _SUMS]
        mosts = [func.max(_TABLE.c[name]) for name in _MOSTS]
        key = _TABLE.c.length_ns, _TABLE.c.day_ns
        query = select(*key, *sums, *mosts).where(_TABLE.c.day_ns >= start, _TABLE.c.day_ns < end).group_by(*key)
        return [
            Day("", length, day, int(windows), int(attempts), int(answered), sources, services, int(shed))
            for length, day, windows, attempts, answered, shed, sources, services in self._connection.execute(
                query.order_by(*key)
            )
        ]

    def between(self, start: int, end: int, sensor: str | None = None) -> Sequence[Day]:
        """Return the days that begin in [start, end), ns since the epoch, in order of sensor, length and time."""
        query = select(_TABLE).where(_TABLE.c.day_ns >= start, _TABLE.c.day_ns < end)
        if sensor is not None:
            query = query.where(_TABLE.c.sensor == sensor)
        return [
            Day(
                row.sensor,
                row.length_ns,
                row.day_ns,
                row.windows,
                row.attempts,
                row.answered,
                row.most_sources,
                row.most_services,
                row.shed,
            )
            for row in self._connection.execute(
                query.order_by(_TABLE.c.sensor, _TABLE.c.length_ns, _TABLE.c.day_ns)
            )
        ]
