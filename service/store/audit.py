"""Who changed what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from service.store import tables
from service.store.paging import page_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_TABLE = tables.audit


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changed something, or was to."""

    at: int
    """ns since the epoch."""
    actor: str
    """Name of the token, or of the command."""
    request: str
    """Id of the request, as in the log."""
    action: str
    """Method, such as ``PATCH``."""
    target: str
    """Path."""
    status: int
    """What was answered."""
    sequence: int = 0
    """Its number, once it is kept."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which changes are wanted; None: all."""

    limit: int = 100
    cursor: str | None = None
    actor: str | None = None
    action: str | None = None
    since: int | None = None
    """Made at or after this time, ns since the epoch."""
    until: int | None = None
    """Made before this time."""


@dataclass(frozen=True, slots=True)
class SqlAudit:
    """The audit log of one connection's transaction."""

    connection: Connection

    def add(self, change: Change) -> None:
        """Keep a change."""
        row = {
            "at_ns": change.at,
            "actor": change.actor,
            "request": change.request,
            "action": change.action,
            "target": change.target,
            "status": change.status,
        }
        self.connection.execute(insert(_TABLE), row)

    def page(self, wanted: AuditQuery) -> tuple[Sequence[Change], str | None]:
        """Return the changes that fit all of what is asked for, latest first, and the cursor of the page after.

        Raises NotFoundError for a cursor that is none of this listing's.
        """
        query = select(_TABLE)
        for column, value in ((_TABLE.c.actor, wanted.actor), (_TABLE.c.action, wanted.action)):
            if value is not None:
                query = query.where(column == value)
        if wanted.since is not None:
            query = query.where(_TABLE.c.at_ns >= wanted.since)
        if wanted.until is not None:
            query = query.where(_TABLE.c.at_ns < wanted.until)
        rows, following = page_of(self.connection, query, _TABLE.c.sequence, wanted.limit, wanted.cursor)
        return [
            Change(row.at_ns, row.actor, row.request, row.action, row.target, row.status, row.sequence)
            for row in rows
        ], following

    def forget(self, before: int, limit: int) -> int:
        """Delete at most `limit` changes from before a time, ns since the epoch; return how many."""
        old = select(_TABLE.c.sequence).where(_TABLE.c.at_ns < before).limit(limit)
        return self.connection.execute(delete(_TABLE).where(_TABLE.c.sequence.in_(old))).rowcount
