"""Rules of the allow-list that people add while the service runs."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from service.errors import InputError, NotFoundError
from service.store import tables
from service.store.statements import add_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

MOST_RULES = 1000


@dataclass(frozen=True, slots=True)
class KeptRule:
    """A rule, who wrote it and why."""

    rule: str
    """As `service.alerts.allow` reads it."""
    note: str
    created: int
    """ns since the epoch"""
    created_by: str

    @property
    def id(self) -> str:
        """What it is called by: the same rule has the same id everywhere."""
        return rule_id(self.rule)


def rule_id(rule: str) -> str:
    """Return the id of a rule."""
    return "r" + blake2b(rule.encode(), digest_size=8).hexdigest()


class SqlAllowRules:
    """The table of rules."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> Sequence[KeptRule]:
        """Return the rules, oldest first."""
        table = tables.allow_rules
        rows = self._connection.execute(select(table).order_by(table.c.created_ns, table.c.id))
        return [KeptRule(row.rule, row.note, row.created_ns, row.created_by) for row in rows]

    def add(self, kept: KeptRule) -> bool:
        """Add a rule; return False if it is there already, which leaves it as it is.

        Raises InputError if there are `MOST_RULES`.
        """
        table = tables.allow_rules
        if self._connection.execute(select(table.c.id).where(table.c.id == kept.id)).first() is not None:
            return False
        if self._connection.execute(select(func.count()).select_from(table)).scalar_one() >= MOST_RULES:
            raise InputError("rule", f"there are {MOST_RULES} rules already; write networks instead of addresses")
        row = {
            "id": kept.id,
            "rule": kept.rule,
            "note": kept.note,
            "created_ns": kept.created,
            "created_by": kept.created_by,
        }
        return bool(self._connection.execute(add_new(table, "id"), row).rowcount)

    def remove(self, identifier: str) -> None:
        """Remove a rule by its id; raises NotFoundError if there is none."""
        table = tables.allow_rules
        if not self._connection.execute(delete(table).where(table.c.id == identifier)).rowcount:
            raise NotFoundError("allow-rule: none has this id; GET /v1/allow-rules lists them")
