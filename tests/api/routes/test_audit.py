from __future__ import annotations

import pytest

from service.store.audit import Change
from service.store.sql import SqlStore
from tests.api.client import Client, the_fields, the_problem

SECOND = 10**9


@pytest.fixture
def _changed(store: SqlStore) -> None:
    with store.begin() as unit:
        for at in range(5):
            actor, method = ("anna", "bert")[at % 2], ("PATCH", "DELETE")[at % 2]
            unit.audit.add(Change(at * SECOND, actor, f"r{at}", method, f"/v1/alerts/a{at}", 200 + at))


def seconds(client: Client, query: str) -> list[str]:
    return [item["time"][17:19] for item in client.get(f"/v1/audit{query}").json()["items"]]


@pytest.mark.usefixtures("_changed")
def test_what_was_changed_is_listed_latest_first(client: Client) -> None:
    first = client.get("/v1/audit?limit=1")
    document = first.json()
    assert document["items"] == [
        {
            "id": "5",
            "time": "1970-01-01T00:00:04.000000Z",
            "actor": "anna",
            "method": "PATCH",
            "path": "/v1/alerts/a4",
            "status": 204,
            "request": "r4",
        }
    ]
    assert first.headers["link"] == f'</v1/audit?limit=1&cursor={document["next"]}>; rel="next"'
    rest = client.get(f"/v1/audit?cursor={document['next']}").json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (["4", "3", "2", "1"], None)


@pytest.mark.usefixtures("_changed")
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?actor=bert", ["03", "01"]),
        ("?method=PATCH&since=1", ["04", "02"]),
        ("?since=1970-01-01T00:00:01Z&until=3", ["02", "01"]),
        ("?actor=carl", []),
    ],
)
def test_it_is_filtered(client: Client, query: str, wanted: list[str]) -> None:
    assert seconds(client, query) == wanted


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("since=x", "since"), ("method=GET", "method"), ("token=anna", "token")],
)
def test_what_makes_no_sense_is_refused(client: Client, query: str, field: str) -> None:
    assert the_fields(client.get(f"/v1/audit?{query}")) == [field]


def test_a_cursor_of_another_listing_is_refused(client: Client) -> None:
    assert "cursor" in the_problem(client.get("/v1/audit?cursor=cGF0dGVybnM6NQ"), 404)["detail"]
