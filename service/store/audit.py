"""Who changed what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from service.store import tables

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

    def before(self, sequence: int | None, limit: int) -> Sequence[Change]:
        """Return at most `limit` changes with numbers below `sequence`, latest first."""
        query = select(_TABLE).order_by(_TABLE.c.sequence.desc()).limit(limit)
        if sequence is not None:
            query = query.where(_TABLE.c.sequence < sequence)
        return [
            Change(row.at_ns, row.actor, row.request, row.action, row.target, row.status, row.sequence)
            for row in self.connection.execute(query)
        ]

    def forget(self, before: int, limit: int) -> int:
        """Delete at most `limit` changes from before a time, ns since the epoch; return how many."""
        old = select(_TABLE.c.sequence).where(_TABLE.c.at_ns < before).limit(limit)
        return self.connection.execute(delete(_TABLE).where(_TABLE.c.sequence.in_(old))).rowcount
