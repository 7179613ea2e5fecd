"""What people say of alerts: acknowledged, muted, commented. It survives the growth of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, select

from service.errors import InputError, NotFoundError
from service.store import documents, tables
from service.store.events import EventKind
from service.store.paging import page_of
from service.store.repository import AlertQuery, Page
from service.store.span import Span
from service.store.statements import replace

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

    from service.alerts.alert import Alert
    from service.store.events import SqlEvents

MOST_COMMENTS = 1000
"""Of one alert."""


class Progress(StrEnum):
    """Where an alert stands, by itself and on the desk."""

    OPEN = "open"
    """What its source does next goes on with it."""
    ENDED = "ended"
    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"
    """Until a time that has not come yet."""


@dataclass(frozen=True, slots=True)
class Said:
    """What people have said of an alert; times are ns since the epoch."""

    acknowledged: int | None = None
    acknowledged_by: str | None = None
    muted_until: int | None = None
    muted_by: str | None = None
    comments: int = 0


@dataclass(frozen=True, slots=True)
class Filed:
    """An alert and where it stands."""

    alert: Alert
    ended: bool
    """A window of its sensor was recorded that ends after `open_until`."""
    said: Said


@dataclass(frozen=True, slots=True)
class Comment:
    """What a person wrote about an alert."""

    number: int
    alert: str
    """Id."""
    at: int
    """ns since the epoch"""
    author: str
    text: str


class SqlDesk:
    """The tables of alerts' states and comments."""

    def __init__(self, connection: Connection, events: SqlEvents) -> None:
        self._connection = connection
        self._events = events

    def alert(self, alert_id: str) -> Filed | None:
        """Return an alert, or None."""
        row = self._connection.execute(_filed().where(tables.alerts.c.id == alert_id)).one_or_none()
        return None if row is None else _read(row)

    def alerts(self, query: AlertQuery, now: int, progress: Progress | None = None) -> Page[Filed]:
        """Return alerts, last added first, at a time, ns since the epoch, up to which mutes are over.

        Raises NotFoundError for a cursor that is none of ours.
        """
        rows = _filed().where(*alert_conditions(query))
        if progress is not None:
            rows = rows.where(_stands(progress, now))
        found, following = page_of(self._connection, rows, tables.alerts.c.sequence, query.limit, query.cursor)
        return Page(tuple(map(_read, found)), following)

    def filed(self, alerts: Collection[str]) -> dict[str, Filed]:
        """Return alerts, at most some hundred, by their ids, as far as there are such."""
        rows = self._connection.execute(_filed().where(tables.alerts.c.id.in_(list(alerts))))
        return {found.alert.id: found for found in map(_read, rows)}

    def acknowledge(self, alert_id: str, actor: str | None, at: int) -> Filed:
        """Let an alert be acknowledged by somebody, or by nobody; who did it first is kept.

        Raises NotFoundError if there is no such alert; so do the others.
        """
        before = self._of(alert_id)
        if (before.said.acknowledged is None) == (actor is None):
            return before
        when = None if actor is None else at
        self._change(before, {"acknowledged_ns": when, "acknowledged_by": actor})
        return self._tell(EventKind.ACKNOWLEDGED, alert_id)

    def mute(self, alert_id: str, until: int | None, actor: str) -> Filed:
        """Let an alert be muted until a time, ns since the epoch, or let it be heard again."""
        before = self._of(alert_id)
        if before.said.muted_until == until:
            return before
        self._change(before, {"muted_until_ns": until, "muted_by": None if until is None else actor})
        return self._tell(EventKind.MUTED, alert_id)

    def comment(self, alert_id: str, author: str, text: str, at: int) -> Comment:
        """Add a comment; raises InputError if the alert has `MOST_COMMENTS` already."""
        before = self._of(alert_id)
        if before.said.comments >= MOST_COMMENTS:
            raise InputError("text", f"the alert has {MOST_COMMENTS} comments; write elsewhere and link to it")
        row = {"alert": alert_id, "at_ns": at, "author": author, "text": text}
        number = self._connection.execute(
            insert(tables.comments).returning(tables.comments.c.sequence), row
        ).scalar_one()
        self._tell(EventKind.COMMENTED, alert_id)
        return Comment(number, alert_id, at, author, text)

    def comments(self, alert_id: str, limit: int, cursor: str | None = None) -> Page[Comment]:
        """Return the comments of an alert, oldest first."""
        self._of(alert_id)
        table = tables.comments
        rows = select(table).where(table.c.alert == alert_id)
        found, following = page_of(self._connection, rows, table.c.sequence, limit, cursor, oldest_first=True)
        return Page(
            tuple(Comment(row.sequence, row.alert, row.at_ns, row.author, row.text) for row in found), following
        )

    def _of(self, alert_id: str) -> Filed:
        found = self.alert(alert_id)
        if found is None:
            raise NotFoundError("alert: none has this id; GET /v1/alerts lists them")
        return found

    def _change(self, before: Filed, changes: dict[str, Any]) -> None:
        said, table = before.said, tables.alert_states
        row = {
            "alert": before.alert.id,
            "acknowledged_ns": said.acknowledged,
            "acknowledged_by": said.acknowledged_by,
            "muted_until_ns": said.muted_until,
            "muted_by": said.muted_by,
        }
        self._connection.execute(replace(table, "alert"), row | changes)

    def _tell(self, kind: EventKind, alert_id: str) -> Filed:
        after = self._of(alert_id)
        self._events.add(kind, [(alert_id, documents.write_alert(after.alert))])
        return after


def alert_conditions(query: AlertQuery) -> list[ColumnElement[bool]]:
    """Return what the rows of the alerts that are wanted fulfil, but for the cursor."""
    table = tables.alerts.c
    wanted: list[ColumnElement[bool]] = [table.allowed.is_(query.allowed)]
    if query.kind is not None:
        wanted.append(table.kind == query.kind.value)
    if query.source is not None:
        wanted.append(table.id.in_(_named(query.source)))
    if query.service is not None:
        services = tables.alert_services.c
        wanted.append(table.id.in_(select(services.alert).where(services.service == query.service)))
    if query.since is not None:
        wanted.append(table.last_seen_ns >= query.since)
    if query.until is not None:
        wanted.append(table.first_seen_ns < query.until)
    if query.sensor is not None:
        wanted.append(table.sensor == query.sensor)
    if query.pattern is not None:
        wanted.append(table.pattern == query.pattern)
    if query.least is not None:
        wanted.append(table.score >= query.least)
    return wanted


def _named(source: str) -> Select[str]:
    """Return a query for the ids of alerts with an address, or with one of a network."""
    table, span = tables.alert_sources.c, Span.of(source)
    if span.first == span.last:
        return select(table.alert).where(table.address == span.first)
    return select(table.alert).where(table.address.between(span.first, span.last))


def _stands(progress: Progress, now: int) -> ColumnElement[bool]:
    state = tables.alert_states.c
    return {
        Progress.OPEN: tables.alerts.c.ended.is_(False),
        Progress.ENDED: tables.alerts.c.ended.is_(True),
        Progress.ACKNOWLEDGED: state.acknowledged_ns.is_not(None),
        Progress.MUTED: and_(state.muted_until_ns.is_not(None), state.muted_until_ns > now),
    }[progress]


def _filed() -> Select[Any]:
    alerts, states, comments = tables.alerts, tables.alert_states, tables.comments
    count = select(func.count()).where(comments.c.alert == alerts.c.id).correlate(alerts).scalar_subquery()
    return select(
        alerts.c.sequence,
        alerts.c.document,
        alerts.c.ended,
        states.c.acknowledged_ns,
        states.c.acknowledged_by,
        states.c.muted_until_ns,
        states.c.muted_by,
        count.label("comments"),
    ).select_from(alerts.outerjoin(states, states.c.alert == alerts.c.id))


def _read(row: Row[Any]) -> Filed:
    said = Said(row.acknowledged_ns, row.acknowledged_by, row.muted_until_ns, row.muted_by, row.comments)
    return Filed(documents.read_alert(row.document), row.ended, said)
