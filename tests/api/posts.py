"""Requests that several tests send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from service.store import tables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx
    from sqlalchemy import Table

    from service.store.sql import SqlStore
    from tests.api.client import Client

PCAP = {"Content-Type": "application/vnd.tcpdump.pcap"}

ROW = {"source": "192.0.2.1", "service": "tcp/23", "attempts": 41, "targets": 41, "answered": 2}
TOTALS = {
    "source": "192.0.2.1",
    "targets": 41,
    "most_services_on_one_target": 1,
    "most_unanswered_services_on_one_target": 1,
    "most_targets_of_one_service": 41,
}
WINDOW = {"sensor": "edge", "start": "2026-03-01T12:00:00Z", "end": "2026-03-01T12:01:00Z", "rows": [ROW]}


def with_row(**changes: Any) -> dict[str, Any]:
    return WINDOW | {"rows": [ROW | {"service": "tcp/22"}, ROW | changes]}


FOUND = (tables.windows, tables.patterns, tables.alerts, tables.payloads)


def holds_nothing(store: SqlStore, kept: Sequence[Table] = FOUND) -> bool:
    """Return whether no work waits, and nothing is stored in some tables: of what was found, and of payloads."""
    with store.read() as reader:
        rows = [reader._connection.execute(select(func.count()).select_from(table)).scalar_one() for table in kept]
        return not any(rows) and reader.jobs.backlog().jobs == 0


async def in_pieces(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def post_json(client: Client, text: str | bytes) -> httpx.Response:
    return client.post("/v1/windows", content=text, headers={"Content-Type": "application/json"})
