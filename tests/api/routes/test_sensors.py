from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from service.api.routes.sensors import sensor_document
from service.store import tables
from service.store.overview import SensorFigures
from service.store.schema import HEAD
from tests.api.client import the_fields, the_problem
from tests.builders import MINUTE, START, a_record, an_alert

if TYPE_CHECKING:
    from service.store.sql import SqlStore
    from tests.api.client import Client

NAMES = ["a/b", "edge", "käfer & co", "office 1"]


@pytest.fixture(autouse=True)
def _stored(store: SqlStore) -> None:
    with store.begin() as unit:
        for name in NAMES:
            unit.add_window(a_record(sensor=name))
        unit.save_alerts([an_alert()])


def test_sensors_are_listed_by_name_in_pages(client: Client) -> None:
    url, found = "/v1/sensors?limit=3", []
    while url:
        answer = client.get(url)
        found += [sensor["name"] for sensor in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url", "")
    assert found == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_sensor_is_found_where_it_says(client: Client, name: str) -> None:
    listed = {sensor["name"]: sensor for sensor in client.get("/v1/sensors").json()["items"]}
    shown = client.get(listed[name]["url"])
    assert shown.status_code == 200
    assert shown.json()["name"] == name
    assert shown.json()["open_alerts"] == (1 if name == "edge" else 0)
    age = (time.time_ns() - START - MINUTE) / 1e9
    assert 0 <= age - shown.json()["lag_seconds"] < 60


def test_the_figures_of_a_sensor(store: SqlStore) -> None:
    figures = SensorFigures("edge", 5, 60, 7, 8, START, START + 1440 * MINUTE, START + 9, 1)
    document = sensor_document(figures, START + 1441 * MINUTE)
    assert (document.lag_seconds, document.history_days, document.dropped) == (60.0, 1.0, 8)
    silent = SensorFigures("edge", 0, 0, 0, None, None, None, None, 0)
    assert (sensor_document(silent, START).lag_seconds, sensor_document(silent, START).history_days) == (None, 0.0)
    old = SensorFigures("edge", 5, 60, 7, 8, 0, START, None, 1)
    assert sensor_document(old, START).history_days == 60.0


def test_an_unknown_sensor_is_not_found(client: Client) -> None:
    the_problem(client.get("/v1/sensors/none"), 404)
    the_problem(client.get("/v1/sensors?cursor=x"), 404)
    assert the_fields(client.get("/v1/sensors?limit=0")) == ["limit"]


def test_the_status_tells_of_all_parts(client: Client, store: SqlStore) -> None:
    job = {"id": "j1", "sensor": "edge", "kind": "window", "digest": "d", "tries": 0, "state": "waiting"}
    with store.begin() as unit:
        unit._connection.execute(insert(tables.jobs), job | {"received_ns": START, "size": 10})
    document = client.get("/v1/status").json()
    assert document["version"] == "1.2.3"
    assert document["store"] == {"kind": "sqlite", "revision": HEAD}
    assert (document["work"]["jobs"], document["work"]["bytes"]) == (1, 10)
    assert document["work"]["oldest_seconds"] > 0
    assert (document["sensor_count"], document["open_streams"]) == (4, 0)
    assert [sensor["name"] for sensor in document["sensors"]] == NAMES
