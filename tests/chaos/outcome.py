"""What is left of a replay, as rows that can be compared.

Left out is what says when or by whom something was done, and not what: times of processing, numbers of rows beyond
their order within a sensor, ids of jobs, leases and revisions, and looks at open windows, which a client sends
again when it does not know whether they arrived, and which are never the same job.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, select

from service.store import tables
from service.store.jobs import JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from service.store.sql import SqlStore

Row = tuple[Any, ...]

_LEFT_OUT = {
    "": ("sequence", "at_ns", "first_ns", "last_ns", "received_ns", "done_ns"),
    "sensors": ("revision", "leased_by", "leased_until_ns"),
    "jobs": ("id",),
}
"""Columns, of all tables and of some."""
_OF_SENSOR = (
    tables.sensors,
    tables.windows,
    tables.catalogues,
    tables.patterns,
    tables.alerts,
    tables.memories,
    tables.jobs,
)
_OF_ALERT = (tables.events, tables.alert_sources, tables.alert_services)
_MOST_SHOWN = 20
_LONGEST = 300


@dataclass(frozen=True)
class Outcome:
    """All that a run has stored and told, by what it is of."""

    rows: dict[str, list[Row]]

    def digest(self) -> str:
        """Return a hash of all of it."""
        return sha256(repr(sorted(self.rows.items())).encode()).hexdigest()[:16]

    def count(self, kind: str) -> int:
        """Return how many rows there are of a kind, over all sensors."""
        return sum(len(rows) for name, rows in self.rows.items() if name.partition(" of ")[0] == kind)

    def differences(self, other: Outcome) -> list[str]:
        """Return what is here and not in the other outcome, and the other way round, or in another order."""
        found = []
        for name in sorted(self.rows.keys() | other.rows.keys()):
            mine, theirs = self.rows.get(name, []), other.rows.get(name, [])
            if mine != theirs:
                found += _difference(name, mine, theirs)
        return found[:_MOST_SHOWN]


def outcome_of(store: SqlStore, told: Mapping[str, Sequence[bytes]]) -> Outcome:
    """Return what a store holds, and what each output was told: documents in the order in which they came."""
    rows: dict[str, list[Row]] = {}
    with store.read() as reader:
        connection = reader._connection
        for table in _OF_SENSOR:
            _add(rows, table.name, _read(connection, table), "name" if table is tables.sensors else "sensor")
        alerts = connection.execute(select(tables.alerts.c.id, tables.alerts.c.sensor))
        sensors = {row.id: row.sensor for row in alerts}
        for table in _OF_ALERT:
            found = _read(connection, table)
            _add(rows, table.name, [{"sensor": sensors[row["alert"]], **row} for row in found], "sensor")
        _add(rows, "pattern_versions", _read(connection, tables.pattern_versions), "")
    for output, documents in told.items():
        _add(rows, f"told to {output}", map(_told, once(documents)), "sensor")
    return Outcome(rows)


def once(documents: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return what was told, without what came again.

    Raises AssertionError if something came under the id of something else, or new things not in their order.
    """
    first: dict[str, dict[str, Any]] = {}
    for text in documents:
        document = json.loads(text)
        document = document.get("yocho", document)
        known = first.setdefault(document["id"], document)
        assert known == document, f"{document['id']} was told twice, and not the same"
    numbers = [document["sequence"] for document in first.values()]
    assert numbers == sorted(numbers), "what was told came out of order"
    return list(first.values())


def _told(document: dict[str, Any]) -> dict[str, Any]:
    alert = document["alert"]
    return {"sensor": alert["sensor"], "event": document["event"], "alert": json.dumps(alert, sort_keys=True)}


def _read(connection: Connection, table: Table) -> list[dict[str, Any]]:
    """Return a table's rows in their order, without looks."""
    order = [table.c.sequence] if "sequence" in table.c else list(table.primary_key)
    query = select(table).order_by(*order)
    if table is tables.jobs:
        query = query.where(table.c.kind != JobKind.LOOK.value)
    dropped = (*_LEFT_OUT[""], *_LEFT_OUT.get(table.name, ()))
    return [
        {name: value for name, value in row.items() if name not in dropped}
        for row in connection.execute(query).mappings()
    ]


def _add(rows: dict[str, list[Row]], kind: str, found: Iterable[dict[str, Any]], by: str) -> None:
    for row in found:
        name = f"{kind} of {row[by]}" if by else kind
        rows.setdefault(name, []).append(tuple(row.items()))


def _difference(name: str, mine: list[Row], theirs: list[Row]) -> list[str]:
    here, there = Counter(map(repr, mine)), Counter(map(repr, theirs))
    lines = [f"{name}: only here: {row[:_LONGEST]}" for row in (here - there).elements()]
    lines += [f"{name}: only there: {row[:_LONGEST]}" for row in (there - here).elements()]
    return lines or [f"{name}: the same rows in another order"]
