from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI

from service.store.days import DAY, Day
from service.store.sql import SqlStore
from service.web.days import day_routes
from tests.api.client import Client
from tests.builders import START, an_alert
from tests.web.test_page import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TODAY = START // DAY * DAY
MINUTE, HOUR = 60 * 10**9, 3600 * 10**9


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path / 'a.db'}")
    yield opened
    opened.close()


@pytest.fixture
def client(store: SqlStore) -> Client:
    app = FastAPI()
    app.include_router(day_routes(store, "1.2.3", lambda: START))
    return Client(app)


def test_an_empty_year_says_so(client: Client) -> None:
    page = client.get("/days")
    assert page.status_code == 200
    assert "None: all windows are still kept" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_days_of_all_sensors_are_added_up_and_drawn(client: Client, store: SqlStore) -> None:
    day = Day("edge", MINUTE, TODAY, windows=3, attempts=40, answered=4, most_sources=5, most_services=6, shed=1)
    with store.begin() as unit:
        unit.days.add(
            [
                day,
                replace(day, sensor="<b>core</b>", attempts=2, most_sources=9),
                replace(day, start=TODAY - DAY),
                replace(day, length=HOUR, attempts=39),
                replace(day, start=TODAY - 366 * DAY, attempts=777),
            ]
        )
    page = client.get("/days")
    first, second = pictures(page)["attempts"]["data"]
    assert (first["name"], first["x"], first["y"]) == (
        "windows of 1 min", ["2023-11-13", "2023-11-14"], [40, 42],
    )  # fmt: skip
    assert (second["name"], second["y"]) == ("windows of 1 h", [39])
    assert "<td>42</td>" in page.text
    assert "<td>777</td>" not in page.text
    assert "core" not in page.text


def test_scans_are_counted_by_day_and_kind(client: Client, store: SqlStore) -> None:
    alert = an_alert()
    with store.begin() as unit:
        unit.save_alerts(
            [
                alert,
                replace(alert, id="a2"),
                replace(alert, id="a3", first_seen=alert.first_seen - DAY),
                replace(alert, id="a4", first_seen=alert.first_seen - 400 * DAY),
                replace(alert, id="a5", allowed_by="192.0.2.1"),
            ]
        )
    (bars,) = pictures(client.get("/days"))["scans"]["data"]
    assert (bars["name"], bars["x"], bars["y"]) == (
        alert.kind.value, ["2023-11-13", "2023-11-14"], [1, 2],
    )  # fmt: skip
