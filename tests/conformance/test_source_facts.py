"""What `service.store.sources` and `service.store.overview` promise, held against every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert

from service.errors import NotFoundError
from service.store import sources, tables
from service.store.overview import SensorFigures
from service.store.sources import Incidents, WindowQuery
from tests.builders import MINUTE, START, a_pattern, a_record, an_alert

if TYPE_CHECKING:
    from service.store.sql import SqlStore

SOURCE = "192.0.2.1"
LATEST = START + 9 * MINUTE


@pytest.fixture(autouse=True)
def _stored(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.save_patterns([a_pattern(), a_pattern(id="p2", members=(("192.0.2.10", 1.0),), member_count=1)])
        unit.save_patterns([a_pattern(id="p3", last_seen=LATEST)])
        for minute in range(10):
            unit.add_window(a_record("core" if minute % 2 else "edge", START + minute * MINUTE))


def starts(database: SqlStore, query: WindowQuery) -> list[int]:
    with database.read() as unit:
        page = unit.sources.windows(query)
    return [(found.counts.start - START) // MINUTE for found in page.items]


def test_incidents_in_sum(database: SqlStore) -> None:
    with database.begin() as unit:
        assert unit.sources.incidents(SOURCE) == Incidents(0, None, None)
        unit.save_alerts([an_alert(), an_alert(id="a2", first_seen=START - 5, allowed_by="192.0.2.1")])
        unit.save_alerts([an_alert(id="a3", sources=("192.0.2.10",), last_seen=LATEST)])
        assert unit.sources.incidents(SOURCE) == Incidents(2, START - 5, START + 5 * MINUTE)


def test_patterns_by_member(database: SqlStore) -> None:
    with database.read() as unit:
        assert [(pattern.id, share) for pattern, share in unit.sources.patterns(SOURCE)] == [
            ("p3", 0.9),
            ("p1", 0.9),
        ]
        assert list(unit.sources.patterns("192.0.2.100")) == []


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (WindowQuery(SOURCE), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (WindowQuery("2001:db8::1", sensor="edge"), [8, 6, 4, 2, 0]),
        (WindowQuery(SOURCE, since=START + 7 * MINUTE), [9, 8, 7]),
        (WindowQuery(SOURCE, until=START + 2 * MINUTE), [1, 0]),
        (WindowQuery(SOURCE, limit=3), [9, 8, 7]),
        (WindowQuery("192.0.2.2"), []),
    ],
)
def test_windows_of_a_source(database: SqlStore, query: WindowQuery, wanted: list[int]) -> None:
    assert starts(database, query) == wanted


@pytest.mark.parametrize(("examined", "size", "limit"), [(3, 1 << 20, 100), (100, 1, 100), (100, 1 << 20, 4)])
def test_pages_of_windows_join(
    database: SqlStore, monkeypatch: pytest.MonkeyPatch, examined: int, size: int, limit: int
) -> None:
    with database.begin() as unit:
        unit.add_window(a_record("third", LATEST))
    monkeypatch.setattr(sources, "MOST_EXAMINED", examined)
    monkeypatch.setattr(sources, "MOST_BYTES", size)
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        with database.read() as unit:
            page = unit.sources.windows(WindowQuery(SOURCE, limit=limit, cursor=cursor))
        found += [(activity.counts.sensor, activity.counts.start) for activity in page.items]
        cursor, pages = page.next, pages + 1
    assert pages > 2
    assert len(found) == len(set(found)) == 11


@pytest.mark.parametrize("cursor", ["", "x", "YWxlcnRzOjE3", "d2luZG93cy1vZi1zb3VyY2U6MTp3"[:-2]])
def test_a_bad_cursor_is_named(database: SqlStore, cursor: str) -> None:
    with database.read() as unit, pytest.raises(NotFoundError, match="windows-of-source"):
        unit.sources.windows(WindowQuery(SOURCE, cursor=cursor))


def test_sensors_without_a_row_are_known_by_their_windows(database: SqlStore) -> None:
    with database.begin() as unit:
        # As they were before sensors had rows.
        unit.save_alerts([an_alert(last_seen=LATEST), an_alert(id="allowed", last_seen=LATEST, allowed_by="x")])
        unit._connection.execute(delete(tables.sensors))
        assert list(unit.overview.names()) == ["core", "edge"]
        assert unit.overview.sensor("none") is None
        assert unit.overview.sensor("edge") == SensorFigures(
            name="edge",
            windows=5,
            attempts=60,
            shed=0,
            dropped=None,
            started=START,
            latest_end=START + 9 * MINUTE,
            heard=None,
            open_alerts=1,
        )


def test_a_sensor_s_own_row_counts(database: SqlStore) -> None:
    row = {
        "name": "edge",
        "revision": 1,
        "first_ns": 1,
        "last_ns": 2,
        "latest_end_ns": 3,
        "windows": 4,
        "attempts": 5,
        "shed": 6,
        "dropped": 7,
        "leased_until_ns": 0,
    }
    with database.begin() as unit:
        unit._connection.execute(delete(tables.sensors))
        unit._connection.execute(insert(tables.sensors), [row, row | {"name": "silent", "latest_end_ns": None}])
        assert list(unit.overview.names()) == ["core", "edge", "silent"]
        assert unit.overview.sensor("edge") == SensorFigures("edge", 4, 5, 6, 7, START, 3, 2, 0)
        assert unit.overview.sensor("silent") == SensorFigures("silent", 4, 5, 6, 7, None, None, 2, 0)
