from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.alerts.alert import Kind
from service.export.document import alert_document
from tests.api.client import the_fields, the_problem
from tests.builders import MINUTE, START, an_alert

if TYPE_CHECKING:
    from service.store.sql import SqlStore
    from tests.api.client import Client

# Event time of START: 2023-11-14T22:13:20Z.
ALERTS = [
    an_alert(
        id=f"a{number}",
        kind=Kind.VERTICAL if number % 2 else Kind.HORIZONTAL,
        sensor="core" if number > 3 else "edge",
        sources=("192.0.2.1",) if number < 3 else ("2001:db8::1",),
        last_seen=START + number * MINUTE,
    )
    for number in range(6)
]


@pytest.fixture(autouse=True)
def _stored(store: SqlStore) -> None:
    with store.begin() as unit:
        unit.save_alerts(ALERTS)


def listed(client: Client, query: str) -> list[str]:
    answer = client.get(f"/v1/alerts?{query}")
    assert answer.status_code == 200, answer.text
    return [alert["id"] for alert in answer.json()["items"]]


def test_an_alert_is_shown_whole(client: Client) -> None:
    answer = client.get("/v1/alerts/a3")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == alert_document(ALERTS[3])


def test_alerts_are_listed_last_first(client: Client) -> None:
    answer = client.get("/v1/alerts")
    assert answer.json() == {"items": [alert_document(alert) for alert in ALERTS[::-1]], "next": None}
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("kind=vertical", ["a5", "a3", "a1"]),
        ("kind=block", []),
        ("source=192.0.2.1", ["a2", "a1", "a0"]),
        ("source=::ffff:192.0.2.1", ["a2", "a1", "a0"]),
        ("source=2001:DB8:0::1", ["a5", "a4", "a3"]),
        ("sensor=core", ["a5", "a4"]),
        ("sensor=", []),
        ("since=2023-11-14T22:17:20Z", ["a5", "a4"]),
        ("since=2023-11-14T23:17:20.000%2B01:00", ["a5", "a4"]),
        ("since=1700000240", ["a5", "a4"]),
        ("since=1700000240.000000001", ["a5"]),
        ("kind=vertical&source=2001:db8::1&since=1700000180&sensor=edge", ["a3"]),
        ("limit=2", ["a5", "a4"]),
        ("limit=1000", ["a5", "a4", "a3", "a2", "a1", "a0"]),
    ],
)
def test_filters(client: Client, query: str, wanted: list[str]) -> None:
    assert listed(client, query) == wanted


def test_the_link_leads_through_all_pages(client: Client) -> None:
    found, url = [], "/v1/alerts?limit=2&kind=vertical"
    for _ in range(2):
        answer = client.get(url)
        found += [alert["id"] for alert in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url", "")
        assert (answer.json()["next"] is None) == (url == "")
    assert found == ["a5", "a3", "a1"]


def test_a_page_goes_on_with_its_cursor(client: Client, store: SqlStore) -> None:
    cursor = client.get("/v1/alerts?limit=4").json()["next"]
    with store.begin() as unit:
        unit.save_alerts([an_alert(id="new")])
    assert listed(client, f"cursor={cursor}") == ["a1", "a0"]


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("kind=sideways", "kind", "'vertical', 'horizontal', 'block' or 'coordinated'"),
        ("source=nobody", "source", "does not appear to be an IPv4 or IPv6 address"),
        ("source=fe80::1%25eth0", "source", "zone id"),
        ("since=yesterday", "since", "write RFC 3339 with a zone"),
        ("since=2023-11-14T22:17:20", "since", "write RFC 3339 with a zone"),
        ("since=99999999999", "since", "after the year 2262"),
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=1001", "limit", "less than or equal to 1000"),
        ("limit=many", "limit", "valid integer"),
        ("limit=" + "9" * 5000, "limit", "integer"),
        ("knid=vertical", "knid", "not permitted"),
    ],
)
def test_a_query_that_makes_no_sense_is_named(client: Client, query: str, field: str, message: str) -> None:
    answer = client.get(f"/v1/alerts?{query}")
    assert the_fields(answer) == [field]
    assert message in the_problem(answer, 422)["errors"][0]["message"]


@pytest.mark.parametrize("cursor", ["", "1", "%00", "%ED%A0%80", "cGF0dGVybnM6NQ"])
def test_a_bad_cursor_is_not_found(client: Client, cursor: str) -> None:
    assert "cursor" in the_problem(client.get(f"/v1/alerts?cursor={cursor}"), 404)["detail"]


@pytest.mark.parametrize("alert_id", ["a99", "%00", "%ED%A0%80", "a" * 1000])
def test_an_unknown_alert_is_not_found(client: Client, alert_id: str) -> None:
    assert "GET /v1/alerts" in the_problem(client.get(f"/v1/alerts/{alert_id}"), 404)["detail"]
