"""Sensors in figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, select

from service.store import tables
from service.store.days import DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class SensorFigures:
    """What has come from a sensor; times are ns since the epoch."""

    name: str
    windows: int
    """All that were recorded, of every length."""
    attempts: int
    shed: int
    """Attempts that windows had no room for."""
    dropped: int | None
    """Packets that the system dropped before they could be read, if the sensor says so."""
    started: int | None
    """Start of its first window that is still stored."""
    latest_end: int | None
    """End of its latest window: the sensor's time."""
    heard: int | None
    """When something of it was last taken in, by the service's clock."""
    open_alerts: int


class SqlOverview:
    """Reads of tables that others write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def kind(self) -> str:
        """Return the kind of database: sqlite or postgresql."""
        return self._connection.dialect.name

    def names(self) -> Sequence[str]:
        """Return the names of all sensors, in their order."""
        found: set[str] = set()
        for table in (tables.sensors.c.name, tables.windows.c.sensor):
            found.update(self._connection.scalars(select(table).distinct()))
        return sorted(found)

    def sensor(self, name: str) -> SensorFigures | None:
        """Return what is known of a sensor, or None."""
        known = self._connection.execute(select(tables.sensors).where(tables.sensors.c.name == name)).one_or_none()
        if known is not None:
            return self._of_row(known)
        stored = self._connection.execute(_windows_of(name)).all()
        return _of_windows(name, stored, self._open_alerts(name)) if stored else None

    def alerts_by_day(self, start: int, end: int) -> dict[tuple[int, str], int]:
        """Return how many alerts began on the days in [start, end), by day, ns since the epoch, and kind.

        Those that an allow-list or a judged pattern covers are not counted.
        """
        alerts = tables.alerts.c
        day = (alerts.first_seen_ns - alerts.first_seen_ns % DAY).label("day")
        told = (alerts.first_seen_ns >= start, alerts.first_seen_ns < end, alerts.allowed.is_(False))
        query = select(day, alerts.kind, func.count().label("number")).where(*told).group_by(day, alerts.kind)
        rows = self._connection.execute(query).all()
        return {(int(row.day), row.kind): row.number for row in sorted(rows, key=lambda row: (row.day, row.kind))}

    def _of_row(self, known: Row[Any]) -> SensorFigures:
        windows = tables.windows.c
        first = select(func.min(windows.start_ns)).where(windows.sensor == known.name)
        return SensorFigures(
            known.name,
            known.windows,
            known.attempts,
            known.shed,
            known.dropped,
            self._connection.execute(first).scalar_one(),
            known.latest_end_ns,
            known.last_ns,
            self._open_alerts(known.name),
        )

    def _open_alerts(self, sensor: str) -> int:
        alerts = tables.alerts.c
        of_sensor = (alerts.sensor == sensor, alerts.ended.is_(False), alerts.allowed.is_(False))
        return self._connection.execute(select(func.count()).where(*of_sensor)).scalar_one()


def _windows_of(sensor: str) -> Select[Any]:
    windows = tables.windows.c
    length = (windows.end_ns - windows.start_ns).label("length")
    return (
        select(
            length,
            func.count().label("windows"),
            func.sum(windows.attempts).label("attempts"),
            func.sum(windows.shed).label("shed"),
            func.min(windows.start_ns).label("started"),
            func.max(windows.end_ns).label("latest"),
        )
        .where(windows.sensor == sensor)
        .group_by(length)
        .order_by(length)
    )


def _of_windows(name: str, stored: Sequence[Row[Any]], open_alerts: int) -> SensorFigures:
    """Return what the stored windows say of a sensor that has no row of its own."""
    return SensorFigures(
        name,
        windows=sum(row.windows for row in stored),
        # Longer windows count the attempts of the shortest again.
        attempts=int(stored[0].attempts),
        shed=int(stored[0].shed),
        dropped=None,
        started=min(row.started for row in stored),
        latest_end=max(row.latest for row in stored),
        heard=None,
        open_alerts=open_alerts,
    )
