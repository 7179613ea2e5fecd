"""Fills the columns that revision 0002 adds from the documents that were there before."""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    table,
    update,
)

from service.errors import InputError, StoreError
from service.store.old_windows import read_counts, write_counts
from service.windows.wire import WireLimits, read_window, write_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row, TableClause

_STORED = WireLimits(rows=1 << 25, bytes=1 << 32)
_ALERTS_AT_ONCE = 500
_WINDOWS_AT_ONCE = 20

_windows = table(
    "windows",
    column("id", String),
    column("sensor", String),
    column("start_ns", BigInteger),
    column("end_ns", BigInteger),
    column("sources", Integer),
    column("services", Integer),
    column("attempts", BigInteger),
    column("shed", BigInteger),
    column("counts", LargeBinary),
)
_alerts = table(
    "alerts",
    column("id", String),
    column("document", Text),
    *(column(name) for name in ("first_seen_ns", "score", "pattern", "updates")),
)
_alert_sources = table("alert_sources", column("source", String), column("address", LargeBinary))
_alert_services = table("alert_services", column("service", String), column("alert", String))


def fill_windows(connection: Connection) -> None:
    """Write each window as its bytes, and count its sources, services and attempts.

    One whose document is damaged stays as it is and counts nothing: it was of no use before, and is no reason to
    keep all others from going on.
    """
    change = update(_windows).where(_windows.c.id == bindparam("of"))
    for rows in _in_parts(connection, _windows, "id", ("sensor", "start_ns", "end_ns", "counts"), _WINDOWS_AT_ONCE):
        connection.execute(change, [{"of": row.id} | _written(row) for row in rows])


def unfill_windows(connection: Connection) -> None:
    """Write the bytes of each window as the document that was before; raises StoreError if it would be too long."""
    change = update(_windows).where(_windows.c.id == bindparam("of"))
    for rows in _in_parts(connection, _windows, "id", ("counts",), _WINDOWS_AT_ONCE):
        connection.execute(change, [{"of": row.id, "counts": _unwritten(row.counts)} for row in rows])


def fill_alerts(connection: Connection) -> None:
    """Take the columns and services of each alert out of its document; raises StoreError if one is damaged."""
    change = update(_alerts).where(_alerts.c.id == bindparam("of"))
    for rows in _in_parts(connection, _alerts, "id", ("document",), _ALERTS_AT_ONCE):
        read = [(row.id, _read(row.id, row.document)) for row in rows]
        connection.execute(change, [{"of": alert} | found for alert, (found, _) in read])
        services = [{"service": name, "alert": alert} for alert, (_, names) in read for name in names]
        if services:
            connection.execute(insert(_alert_services), services)


def fill_addresses(connection: Connection) -> None:
    """Write each source as 16 bytes, IPv4 as ::ffff:0:0/96 (RFC 4291, 2.5.5.2)."""
    change = update(_alert_sources).where(_alert_sources.c.source == bindparam("of"))
    for rows in _in_parts(connection, _alert_sources, "source", (), _ALERTS_AT_ONCE):
        connection.execute(change, [{"of": row.source, "address": _address(row.source)} for row in rows])


def fill_sensors(connection: Connection, sensors: Table) -> None:
    """Say of each sensor what its windows show; of the lengths that overlap the shortest counts."""
    of, length = _windows.c, _windows.c.end_ns - _windows.c.start_ns
    found = select(
        of.sensor,
        func.min(of.start_ns).label("first_ns"),
        func.max(of.end_ns).label("last_ns"),
        func.count().label("windows"),
        cast(func.sum(of.attempts), BigInteger).label("attempts"),
        cast(func.sum(of.shed), BigInteger).label("shed"),
    ).group_by(of.sensor, length)
    rows: dict[str, dict[str, Any]] = {}
    ends: dict[str, int] = defaultdict(int)
    for row in connection.execute(found.order_by(length)).mappings():
        rows.setdefault(row["sensor"], dict(row))
        ends[row["sensor"]] = max(ends[row["sensor"]], row["last_ns"])
    if rows:
        rest = {"revision": 0, "leased_until_ns": 0}
        filled = [{"name": row.pop("sensor"), **row, **rest} for row in rows.values()]
        connection.execute(insert(sensors), [row | {"latest_end_ns": ends[row["name"]]} for row in filled])


def _in_parts(
    connection: Connection, of: TableClause, key: str, columns: tuple[str, ...], most: int
) -> Iterator[list[Row[Any]]]:
    """Yield the rows in the order of a key, a few at a time: documents may be long."""
    query = select(of.c[key], *(of.c[name] for name in columns)).order_by(of.c[key]).limit(most)
    if not columns:
        query = query.distinct()
    rows = list(connection.execute(query))
    while rows:
        yield rows
        rows = list(connection.execute(query.where(of.c[key] > getattr(rows[-1], key))))


def _written(row: Row[Any]) -> dict[str, Any]:
    try:
        counts = read_counts(row.sensor, row.start_ns, row.end_ns, row.counts)
    except StoreError:
        return {"counts": row.counts, "sources": 0, "services": 0, "attempts": 0, "shed": 0}
    return {
        "counts": write_window(counts),
        "sources": len(counts.sources),
        "services": len(np.unique(counts.rows.service)),
        "attempts": counts.attempts,
        "shed": counts.shed.attempts,
    }


def _unwritten(document: bytes) -> bytes:
    try:
        return write_counts(read_window(document, _STORED))
    except InputError:
        return document


def _read(alert: str, text: str) -> tuple[dict[str, Any], list[str]]:
    try:
        document = json.loads(text)
        score, threshold = document["score"], document["threshold"]
        found = {
            "first_seen_ns": document["first_seen"],
            "score": score / threshold if threshold > 0 else 1.0,
            "pattern": document["pattern"],
            "updates": document.get("updates", 0),
        }
        return found, list(dict.fromkeys(document["services"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"alert {alert}: its document is damaged ({error}); restore a backup") from error


def _address(source: str) -> bytes:
    address = ipaddress.ip_address(source)
    if isinstance(address, ipaddress.IPv4Address):
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed
