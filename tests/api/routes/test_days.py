from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.store.days import DAY, Day
from tests.api.client import the_fields, the_problem

if TYPE_CHECKING:
    from service.store.sql import SqlStore
    from tests.api.client import Client

MINUTE, HOUR = 60 * 10**9, 3600 * 10**9
FIRST = 19_000 * DAY


@pytest.fixture(autouse=True)
def _left(store: SqlStore) -> None:
    with store.begin() as unit:
        unit.days.add(
            Day(sensor, length, FIRST + number * DAY, 24, 100 + number, 7, 30, 4, 2)
            for sensor in ("edge", "a/b")
            for length in (HOUR, MINUTE)
            for number in range(3)
        )


def listed(client: Client, query: str) -> list[tuple[str, float]]:
    url, found = f"/v1/days?{query}", []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        found += [(day["day"][:10], day["window_seconds"]) for day in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url", "")
    return found


def test_a_day_says_what_is_left(client: Client) -> None:
    day = client.get("/v1/days?sensor=edge&limit=1").json()["items"][0]
    assert day == {
        "sensor": "edge",
        "day": "2022-01-10T00:00:00.000000Z",
        "window_seconds": 60.0,
        "windows": 24,
        "attempts": 102,
        "answered": 7,
        "most_sources": 30,
        "most_services": 4,
        "shed": 2,
    }


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_days_come_latest_first_in_pages(client: Client, limit: int) -> None:
    dates = ["2022-01-10", "2022-01-09", "2022-01-08"]
    wanted = [(date, length) for date in dates for length in (60.0, 3600.0)]
    assert listed(client, f"sensor=a/b&limit={limit}") == wanted


def test_days_of_a_time(client: Client) -> None:
    some = listed(client, "sensor=edge&since=2022-01-09T00:00:00Z&until=2022-01-10T00:00:00Z")
    assert some == [("2022-01-09", 60.0), ("2022-01-09", 3600.0)]


def test_a_sensor_without_days_has_none(client: Client) -> None:
    assert listed(client, "sensor=other") == []
    assert listed(client, "sensor=edge&until=0") == []


def test_wrong_questions_are_refused(client: Client) -> None:
    assert the_fields(client.get("/v1/days")) == ["sensor"]
    assert the_fields(client.get("/v1/days?sensor=edge&since=yesterday")) == ["since"]
    the_problem(client.get("/v1/days?sensor=edge&cursor=x"), 404)
