"""What came of a load: whether all that was accepted was done, once, and whether an alert was told twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from benchmarks.service.traffic import MINUTE, START
from service.store import documents, tables
from service.store.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.alerts.alert import Alert
    from service.store.sql import SqlStore

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of what a database holds after all work is done."""

    accepted: int
    """Windows that were answered with 202."""
    stored: int
    """Of these, those that are stored."""
    strange: int
    """Windows that are stored and were not accepted."""
    jobs_done: int
    jobs_failed: int
    jobs_waiting: int
    counted: int
    """Windows that sensors are said to have sent: more than are stored if one was analysed and written twice."""
    alerts: int
    told_twice: int
    """Alerts that were said to be opened more than once."""
    doubled: int
    """Pairs of alerts of one source and kind that were open at the same time."""
    bytes_of_windows: int

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost, done twice, or told twice."""
        done = self.accepted == self.stored == self.jobs_done == self.counted
        return done and not (
            self.strange or self.jobs_failed or self.jobs_waiting or self.told_twice or self.doubled
        )


def window_id(sensor: str, number: int) -> str:
    """Return the id of a sensor's window, counted from 0."""
    key = f"{sensor}\0{(START + MINUTE * number) * _SECOND}\0{MINUTE * _SECOND}".encode()
    return "w" + hashlib.sha256(key).hexdigest()[:20]


def outcome_of(store: SqlStore, accepted: Iterable[str]) -> Outcome:
    """Return what a store holds of accepted windows, given by id."""
    wanted = set(accepted)
    with store.begin() as unit:
        connection = unit.jobs._connection  # noqa: SLF001  (no part of the service asks for all of this)
        stored = set(connection.scalars(select(tables.windows.c.id)))
        states: dict[str, int] = dict(
            connection.execute(select(tables.jobs.c.state, func.count()).group_by(tables.jobs.c.state)).all()
        )
        counted = connection.execute(select(func.coalesce(func.sum(tables.sensors.c.windows), 0))).scalar_one()
        size = connection.execute(
            select(func.coalesce(func.sum(func.length(tables.windows.c.counts)), 0))
        ).scalar_one()
        alerts = [documents.read_alert(text) for text in connection.scalars(select(tables.alerts.c.document))]
        event = tables.events.c
        opened = select(event.alert).where(event.kind == EventKind.OPENED.value).group_by(event.alert)
        twice = connection.execute(opened.having(func.count() > 1)).all()
    return Outcome(
        accepted=len(wanted),
        stored=len(wanted & stored),
        strange=len(stored - wanted),
        jobs_done=states.get("done", 0),
        jobs_failed=states.get("failed", 0),
        jobs_waiting=states.get("waiting", 0),
        counted=int(counted),
        alerts=len(alerts),
        told_twice=len(twice),
        doubled=_doubled(alerts),
        bytes_of_windows=int(size),
    )


def _doubled(alerts: Sequence[Alert]) -> int:
    by_source: dict[tuple[str, str, str], list[Alert]] = {}
    for alert in sorted(alerts, key=lambda each: each.first_seen):
        by_source.setdefault((alert.sensor, alert.sources[0], alert.kind.value), []).append(alert)
    return sum(
        later.first_seen <= earlier.open_until for group in by_source.values() for earlier, later in pairwise(group)
    )
