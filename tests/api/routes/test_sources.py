from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.client import the_fields, the_problem
from tests.builders import MINUTE, START, a_pattern, a_record, a_window, an_alert

if TYPE_CHECKING:
    from service.store.sql import SqlStore
    from tests.api.client import Client


@pytest.fixture
def _stored(store: SqlStore) -> None:
    with store.begin() as unit:
        unit.save_patterns([a_pattern()])
        unit.save_alerts([an_alert(), an_alert(id="a2", allowed_by="192.0.2.1", first_seen=START + MINUTE)])
        for minute in range(3):
            unit.add_window(a_record(start=START + minute * MINUTE))


def test_of_a_stranger_nothing_is_known(client: Client) -> None:
    assert client.get("/v1/sources/2001:DB8::9").json() == {
        "source": "2001:db8::9",
        "first_seen": None,
        "last_seen": None,
        "incident_count": 0,
        "incidents": [],
        "patterns": [],
        "windows": {"items": [], "next": None},
        "windows_url": "/v1/sources/2001:db8::9/windows",
    }


@pytest.mark.usefixtures("_stored")
def test_a_source_is_shown_with_all_that_it_did(client: Client) -> None:
    document = client.get("/v1/sources/192.0.2.1").json()
    assert (document["first_seen"], document["last_seen"]) == (
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:18:20.000000Z",
    )
    assert document["incident_count"] == 2
    assert [(incident["id"], incident["allowed_by"]) for incident in document["incidents"]] == [
        ("a2", "192.0.2.1"),
        ("a1", None),
    ]
    assert client.get(document["incidents"][0]["url"]).json()["id"] == "a2"
    assert [(pattern["id"], pattern["share"]) for pattern in document["patterns"]] == [("p1", 0.9)]
    latest = document["windows"]["items"][0]
    assert latest == {
        "id": a_window(start=START + 2 * MINUTE).id,
        "url": f"/v1/windows/{latest['id']}",
        "sensor": "edge",
        "start": "2023-11-14T22:15:20.000000Z",
        "end": "2023-11-14T22:16:20.000000Z",
        "attempts": 7,
        "targets": 4,
        "service_count": 2,
        "services": [
            {"service": "tcp/23", "attempts": 4, "targets": 4, "answered": 1},
            {"service": "tcp/22", "attempts": 3, "targets": 3, "answered": 0},
        ],
        "first_seen": "2023-11-14T22:15:20.000000Z",
        "last_seen": "2023-11-14T22:15:20.000000Z",
    }


@pytest.mark.usefixtures("_stored")
def test_who_was_seen_in_windows_only_is_known_too(client: Client) -> None:
    document = client.get("/v1/sources/2001:db8::1").json()
    assert (document["first_seen"], document["last_seen"]) == (
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:16:19.999999Z",
    )
    assert document["incidents"] == document["patterns"] == []
    assert len(document["windows"]["items"]) == 3


@pytest.mark.usefixtures("_stored")
def test_windows_of_a_source_in_pages(client: Client) -> None:
    url, found = "/v1/sources/192.0.2.1/windows?limit=2", []
    while url:
        answer = client.get(url)
        found += [window["start"] for window in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url", "")
    assert found == [f"2023-11-14T22:{minute}:20.000000Z" for minute in (15, 14, 13)]
    assert len(client.get("/v1/sources/192.0.2.1/windows?since=1700000120").json()["items"]) == 1
    assert len(client.get("/v1/sources/192.0.2.1/windows?until=1700000060").json()["items"]) == 1
    assert client.get("/v1/sources/192.0.2.1/windows?sensor=core").json()["items"] == []


def test_what_is_no_source_is_named(client: Client) -> None:
    for path in ("nobody", "192.0.2.0%2F24", "fe80::1%25eth0", "x" * 100):
        answer = client.get(f"/v1/sources/{path}/windows")
        assert answer.status_code == 404 or the_fields(answer) == ["source"]
    assert the_fields(client.get("/v1/sources/nobody")) == ["source"]
    assert "cursor" in the_problem(client.get("/v1/sources/192.0.2.1/windows?cursor=x"), 404)["detail"]
