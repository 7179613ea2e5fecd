from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.api.app import create_app
from tests.api.client import Client, the_fields, the_problem

if TYPE_CHECKING:
    from service.api.spec import ApiSpec
    from service.store.sql import SqlStore
    from tests.api.fakes import FakeIngest


@pytest.fixture
def client(spec: ApiSpec, ingest: FakeIngest, store: SqlStore) -> Client:
    return Client(create_app(replace(spec, allow_rules=("udp/161",)), ingest, store, "1"))


def rules(client: Client) -> list[tuple[str, str]]:
    return [(rule["rule"], rule["origin"]) for rule in client.get("/v1/allow-rules").json()["items"]]


def test_the_file_s_rules_are_shown_and_stay(client: Client) -> None:
    (rule,) = client.get("/v1/allow-rules").json()["items"]
    assert (rule["rule"], rule["origin"], rule["created_at"]) == ("udp/161", "file", None)
    url = f"/v1/allow-rules/{rule['id']}"
    assert client.get(url).json() == rule
    assert "remove it there" in the_problem(client.request("DELETE", url), 409)["detail"]
    again = client.post("/v1/allow-rules", json={"rule": "udp/161"})
    assert (again.status_code, again.json()) == (200, rule)
    assert rules(client) == [("udp/161", "file")]


def test_a_rule_is_added_once_and_removed(client: Client, store: SqlStore) -> None:
    added = client.post("/v1/allow-rules", json={"rule": " 192.0.2.0/28   tcp/443 ", "note": "our scanner"})
    assert added.status_code == 201
    assert (added.json()["rule"], added.json()["note"]) == ("192.0.2.0/28 tcp/443", "our scanner")
    assert (added.json()["origin"], added.json()["created_by"]) == ("api", "anonymous")
    again = client.post("/v1/allow-rules", json={"rule": "192.0.2.0/28 tcp/443", "note": "other words"})
    assert (again.status_code, again.json()) == (200, added.json())
    assert client.get(added.headers["location"]).json() == added.json()
    assert rules(client) == [("udp/161", "file"), ("192.0.2.0/28 tcp/443", "api")]
    with store.read() as unit:
        assert unit.tuning().allow_rules == ("192.0.2.0/28 tcp/443",)
    removed = client.request("DELETE", added.headers["location"])
    assert (removed.status_code, removed.content) == (204, b"")
    the_problem(client.request("DELETE", added.headers["location"]), 404)
    the_problem(client.get(added.headers["location"]), 404)
    assert rules(client) == [("udp/161", "file")]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"rule": "everybody"}, "rule"),
        ({"rule": "10.0.0.0/8 10.1.0.0/16"}, "rule"),
        ({"rule": "tcp/9-1"}, "rule"),
        ({"rule": "# nothing"}, "rule"),
        ({"rule": " "}, "rule"),
        ({"rule": ""}, "rule"),
        ({"rule": "x" * 201}, "rule"),
        ({"note": "none"}, "rule"),
        ({"rule": "udp/1", "note": "x" * 501}, "note"),
        ({"rule": "udp/1", "note": "\0"}, "note"),
        ({"rule": "udp/1", "until": 1}, "until"),
    ],
)
def test_what_is_no_rule_is_named(client: Client, document: Any, field: str) -> None:
    answer = client.post("/v1/allow-rules", json=document)
    assert the_fields(answer) == [field]
    assert "line" not in the_problem(answer, 422)["detail"]
    assert len(rules(client)) == 1
