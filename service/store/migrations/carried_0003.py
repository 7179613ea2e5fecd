"""Fills the columns that revision 0003 adds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    String,
    Text,
    bindparam,
    column,
    exists,
    select,
    table,
    update,
)

from service.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_AT_ONCE = 200

_patterns = table(
    "patterns",
    column("id", String),
    column("document", Text),
    *(column(name, String) for name in ("status", "state", "services")),
)
_alerts = table("alerts", column("sensor", String), column("open_until_ns", BigInteger), column("ended", Boolean))
_sensors = table("sensors", column("name", String), column("latest_end_ns", BigInteger))


def fill_patterns(connection: Connection) -> None:
    """Take the columns of each pattern out of its document; raises StoreError if one is damaged."""
    change = update(_patterns).where(_patterns.c.id == bindparam("of"))
    query = select(_patterns.c.id, _patterns.c.document).order_by(_patterns.c.id).limit(_AT_ONCE)
    rows = connection.execute(query).all()
    while rows:
        connection.execute(change, [{"of": row.id} | _read(row.id, row.document) for row in rows])
        rows = connection.execute(query.where(_patterns.c.id > rows[-1].id)).all()


def fill_ended(connection: Connection) -> None:
    """Say of each alert whether its sensor's latest window ends after `open_until`: no event will tell of it."""
    later = exists().where(_sensors.c.name == _alerts.c.sensor, _sensors.c.latest_end_ns > _alerts.c.open_until_ns)
    connection.execute(update(_alerts).values(ended=later))


def _read(pattern: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
        return {
            # What documents of before these were known leave out.
            "status": document.get("status", "new"),
            "state": document.get("state", "live"),
            "services": f" {' '.join(name for name, _ in document['services'])} ",
        }
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"pattern {pattern}: its document is damaged ({error}); restore a backup") from error
