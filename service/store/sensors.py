"""Sensors: what was heard of each, which worker has it, and how often something was written of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, bindparam, case, func, or_, select, update

# SQLite took its clause for rows that are there already over from PostgreSQL.
from sqlalchemy.dialects.postgresql import insert

from service.store import tables
from service.store.statements import add_new

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy import Connection, Select, Update
    from sqlalchemy.dialects.postgresql import Insert

    from service.windows.counts import WindowCounts

_TABLE = tables.sensors
_JOBS = tables.jobs


def _shorter() -> Select[str]:
    """Select one of a sensor's windows that lie in a longer one."""
    table, since, until = (
        tables.windows.c,
        bindparam("since", type_=BigInteger),
        bindparam("until", type_=BigInteger),
    )
    within = (table.sensor == bindparam("sensor_"), table.start_ns >= since, table.start_ns < until)
    return select(table.id).where(*within, table.end_ns - table.start_ns < until - since).limit(1)


def _counted() -> Update:
    """Add a window to what is known of its sensor."""
    until, now = bindparam("until", type_=BigInteger), bindparam("now", type_=BigInteger)
    latest = func.coalesce(_TABLE.c.latest_end_ns, until)
    return (
        update(_TABLE)
        .where(_TABLE.c.name == bindparam("sensor_"))
        .values(
            windows=_TABLE.c.windows + 1,
            attempts=_TABLE.c.attempts + bindparam("tried", type_=BigInteger),
            shed=_TABLE.c.shed + bindparam("left_out", type_=BigInteger),
            latest_end_ns=case((latest > until, latest), else_=until),
            last_ns=case((_TABLE.c.last_ns > now, _TABLE.c.last_ns), else_=now),
        )
    )


def _heard() -> Insert:
    """Add a sensor, or note that it was heard later than it is known."""
    statement = insert(_TABLE)
    later = statement.excluded.last_ns
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"last_ns": later}, where=_TABLE.c.last_ns < later
    )


# Written for every window: to put them together takes longer than they do.
_SHORTER, _COUNTED, _HEARD = _shorter(), _counted(), _heard()


@dataclass(frozen=True, slots=True)
class Lease:
    """A sensor that one worker has to itself until a time, ns since the epoch."""

    sensor: str
    worker: str
    until: int


class SqlSensors:
    """Sensors as one transaction sees them."""

    def __init__(self, connection: Connection, clock: Callable[[], int] = time.time_ns) -> None:
        self._connection = connection
        self._clock = clock
        self._known: set[str] = set()

    def heard(self, sensor: str, at: int) -> None:
        """Note that something came from a sensor at a time, ns since the epoch."""
        self.heard_all({sensor: at})

    def heard_all(self, times: Mapping[str, int]) -> None:
        """Note when something came from each of some sensors, ns since the epoch."""
        if times:
            # In one order always, so that no two writers wait for each other.
            self._connection.execute(_HEARD, [_new(sensor, times[sensor]) for sensor in sorted(times)])
            self._known.update(times)

    def touch(self, sensor: str) -> None:
        """Raise the sensor's revision: something is written of it."""
        self._add(sensor, self._clock())
        self._connection.execute(_of(sensor).values(revision=_TABLE.c.revision + 1))

    def count(self, counts: WindowCounts) -> None:
        """Add a window to what is known of its sensor; longer ones tell of the same attempts again."""
        now = self._clock()
        self._add(counts.sensor, now)
        tried, shed = (0, 0) if self._has_shorter(counts) else (counts.attempts, counts.shed.attempts)
        figures = {"tried": tried, "left_out": shed, "until": counts.end, "now": now}
        self._connection.execute(_COUNTED, {"sensor_": counts.sensor} | figures)

    def revision(self, sensor: str) -> int:
        """Return how often something was written of a sensor; of one that is not known, 0."""
        query = select(_TABLE.c.revision).where(_TABLE.c.name == sensor)
        return self._connection.execute(query).scalar_one_or_none() or 0

    def awaited(self, worker: str, now: int, besides: Collection[str] = ()) -> bool:
        """Return whether a sensor `besides` some has work that this worker could lease."""
        return self._connection.execute(_free(worker, now, besides)).first() is not None

    def lease(self, worker: str, now: int, until: int, besides: Collection[str] = ()) -> Lease | None:
        """Lease the free sensor, `besides` some, whose work waits longest, or return None if there is none."""
        free = _free(worker, now, besides).with_for_update(skip_locked=True, of=_TABLE)
        found = self._connection.execute(free).first()
        if found is None:
            return None
        self._connection.execute(_of(found.name).values(leased_by=worker, leased_until_ns=until))
        return Lease(found.name, worker, until)

    def renew(self, lease: Lease, until: int) -> Lease | None:
        """Return the lease with a later end, or None if another worker has taken the sensor."""
        mine = _of(lease.sensor).where(_TABLE.c.leased_by == lease.worker)
        done = self._connection.execute(mine.values(leased_until_ns=until))
        return Lease(lease.sensor, lease.worker, until) if done.rowcount else None

    def release(self, lease: Lease) -> None:
        """Give a sensor back."""
        mine = _of(lease.sensor).where(_TABLE.c.leased_by == lease.worker)
        self._connection.execute(mine.values(leased_by=None, leased_until_ns=0))

    def holders(self) -> list[str]:
        """Return the workers that have sensors."""
        query = select(_TABLE.c.leased_by).where(_TABLE.c.leased_by.isnot(None)).distinct()
        return [holder for holder in self._connection.scalars(query) if holder is not None]

    def release_all(self, worker: str) -> None:
        """Give back all that a worker has: it is gone."""
        held = update(_TABLE).where(_TABLE.c.leased_by == worker)
        self._connection.execute(held.values(leased_by=None, leased_until_ns=0))

    def unchanged(self, sensor: str, revision: int) -> bool:
        """Return whether the sensor's revision is this one, and keep it so until the transaction ends."""
        query = select(_TABLE.c.revision).where(_TABLE.c.name == sensor).with_for_update()
        return (self._connection.execute(query).scalar_one_or_none() or 0) == revision

    def _has_shorter(self, counts: WindowCounts) -> bool:
        """Return whether a shorter window lies in this one."""
        span = {"sensor_": counts.sensor, "since": counts.start, "until": counts.end}
        return self._connection.execute(_SHORTER, span).first() is not None

    def _add(self, sensor: str, at: int) -> bool:
        """Add a sensor unless it is known; return whether it was added."""
        if sensor in self._known:
            return False
        known = select(_TABLE.c.name).where(_TABLE.c.name == sensor)
        self._known.add(sensor)
        if self._connection.execute(known).first() is not None:
            return False
        return bool(self._connection.execute(add_new(_TABLE, "name"), _new(sensor, at)).rowcount)


def _new(sensor: str, at: int) -> dict[str, object]:
    """Return the row of a sensor of which nothing is known yet."""
    numbers = {"revision": 0, "first_ns": at, "last_ns": at, "windows": 0, "attempts": 0, "shed": 0}
    return {"name": sensor, "leased_until_ns": 0, **numbers}


def _of(sensor: str) -> Update:
    return update(_TABLE).where(_TABLE.c.name == sensor)


def _free(worker: str, now: int, besides: Collection[str]) -> Select[str]:
    """Select the sensor, `besides` some, whose work waits longest among those that no other worker has."""
    waiting = select(func.min(_JOBS.c.sequence)).where(_JOBS.c.state == "waiting", _JOBS.c.sensor == _TABLE.c.name)
    oldest = waiting.correlate(_TABLE).scalar_subquery()
    free = or_(_TABLE.c.leased_by.is_(None), _TABLE.c.leased_by == worker, _TABLE.c.leased_until_ns <= now)
    found = select(_TABLE.c.name).where(free, oldest.isnot(None)).order_by(oldest).limit(1)
    return found.where(_TABLE.c.name.not_in(sorted(besides))) if besides else found
