"""What happened to alerts, in the order in which it became known.

Streams and outputs read it from where they were. A row is written in the transaction that changes the alert.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from service.store import documents, tables
from service.store.statements import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from service.alerts.alert import Alert

_AT_ONCE = 500
"""Ids in one query; databases bound the parameters of a statement."""


class EventKind(StrEnum):
    """What happened."""

    OPENED = "opened"
    """The scan was named."""
    GREW = "grew"
    """The scan has doubled, or what the allow-list covered goes beyond it now."""
    ENDED = "ended"
    """The sensor's time has passed `open_until`; a longer window may still add to the alert."""
    ACKNOWLEDGED = "acknowledged"
    """A person has acknowledged it, or has taken that back."""
    MUTED = "muted"
    """A person has muted it, or has taken that back."""
    COMMENTED = "commented"


@dataclass(frozen=True, slots=True)
class Event:
    """One row."""

    sequence: int
    """Grows from event to event; numbers may be left out."""
    at: int
    """When it was written, ns since the epoch."""
    kind: EventKind
    alert: str
    """Id."""
    document: str
    """The alert as it was then, as `service.store.documents.write_alert` writes it."""

    def told(self) -> Alert:
        """Return the alert as it was then."""
        return documents.read_alert(self.document)


@dataclass(frozen=True, slots=True)
class Standing:
    """What events depend on, of an alert as it is stored."""

    updates: int
    open_until: int
    ended: bool
    allowed: bool

    def still_ended(self, alert: Alert) -> bool:
        """Tell whether an alert that is saved again was told to have ended, and goes on no longer than that."""
        return self.ended and alert.open_until <= self.open_until

    def grows(self, alert: Alert) -> bool:
        """Tell whether it is worth telling what an alert has become."""
        return alert.updates > self.updates or (self.allowed and alert.allowed_by is None)


class SqlEvents:
    """The table of events; what is added is written at the end of the transaction.

    Whoever writes them has the table to himself up to the commit, which is short so.
    """

    def __init__(self, connection: Connection, clock: Callable[[], int] = time.time_ns) -> None:
        self._connection = connection
        self._clock = clock
        self._added: list[dict[str, Any]] = []

    def after(self, sequence: int, limit: int) -> Sequence[Event]:
        """Return up to `limit` events after a number, in their order."""
        self.write()
        table = tables.events
        rows = select(table).where(table.c.sequence > sequence).order_by(table.c.sequence).limit(limit)
        return [
            Event(row.sequence, row.at_ns, EventKind(row.kind), row.alert, row.document)
            for row in self._connection.execute(rows)
        ]

    def latest(self) -> int:
        """Return the number of the latest event, or 0."""
        self.write()
        return self._connection.execute(select(func.max(tables.events.c.sequence))).scalar_one() or 0

    def add(self, kind: EventKind, alerts: Iterable[tuple[str, str]]) -> None:
        """Add an event for each alert, given as id and document."""
        at = self._clock()
        self._added.extend(
            {"at_ns": at, "kind": kind.value, "alert": name, "document": text} for name, text in alerts
        )

    def write(self) -> None:
        """Write what was added."""
        if self._added:
            # Numbers are given at the insert and rows are seen after the commit: who reads by number must not pass
            # by one that comes later.
            in_order(self._connection, tables.events)
            self._connection.execute(insert(tables.events), self._added)
            self._added = []

    def standings(self, alerts: Collection[str]) -> dict[str, Standing]:
        """Return what is stored of alerts, by id, as far as they are."""
        table, names = tables.alerts, list(alerts)
        columns = select(table.c.id, table.c.updates, table.c.open_until_ns, table.c.ended, table.c.allowed)
        return {
            row.id: Standing(row.updates, row.open_until_ns, row.ended, row.allowed)
            for start in range(0, len(names), _AT_ONCE)
            for row in self._connection.execute(columns.where(table.c.id.in_(names[start : start + _AT_ONCE])))
        }

    def note_saved(self, alerts: Collection[Alert], before: Mapping[str, Standing]) -> None:
        """Write the events of alerts that were saved; `before` is what was stored of them."""
        opened = [alert for alert in alerts if alert.id not in before]
        grown = [alert for alert in alerts if alert.id in before and before[alert.id].grows(alert)]
        for kind, those in ((EventKind.OPENED, opened), (EventKind.GREW, grown)):
            self.add(kind, [(alert.id, documents.write_alert(alert)) for alert in those])

    def note_time(self, sensor: str, now: int) -> None:
        """Write the events of a sensor's alerts that have ended by `now`, in the time of its traffic, ns."""
        table = tables.alerts
        ended = (table.c.sensor == sensor, table.c.ended.is_(False), table.c.open_until_ns < now)
        rows = select(table.c.id, table.c.document).where(*ended).order_by(table.c.open_until_ns, table.c.sequence)
        found = [(row.id, row.document) for row in self._connection.execute(rows)]
        if found:
            self._connection.execute(update(table).where(*ended).values(ended=True))
            self.add(EventKind.ENDED, found)
