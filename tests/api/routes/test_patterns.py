from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.export.document import pattern_document, version_document
from service.patterns.catalogue import judge
from service.patterns.pattern import Event, Status
from tests.api.client import the_fields, the_problem
from tests.builders import a_pattern

if TYPE_CHECKING:
    import httpx

    from service.store.sql import SqlStore
    from tests.api.client import Client

PATTERNS = [a_pattern(id=f"p{number}", sensor="edge" if number else "core") for number in range(3)]


@pytest.fixture(autouse=True)
def _stored(store: SqlStore) -> None:
    with store.begin() as unit:
        unit.save_patterns(PATTERNS)


def test_a_pattern_is_shown_whole(client: Client) -> None:
    answer = client.get("/v1/patterns/p1")
    assert answer.status_code == 200
    assert answer.json() == pattern_document(PATTERNS[1])


def test_patterns_are_listed_last_first(client: Client) -> None:
    answer = client.get("/v1/patterns")
    assert answer.json() == {"items": [pattern_document(pattern) for pattern in PATTERNS[::-1]], "next": None}


def test_patterns_of_one_sensor(client: Client) -> None:
    answer = client.get("/v1/patterns?sensor=core")
    assert [pattern["id"] for pattern in answer.json()["items"]] == ["p0"]


def test_the_link_keeps_the_filter(client: Client) -> None:
    first = client.get("/v1/patterns?sensor=edge&limit=1")
    second = client.get(first.links["next"]["url"])
    assert [pattern["id"] for pattern in first.json()["items"] + second.json()["items"]] == ["p2", "p1"]
    assert second.json()["next"] is None
    assert "next" not in second.links


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("status=benign", ["p1"]),
        ("state=live", ["p2", "p1", "p0"]),
        ("state=retired", []),
        ("service=tcp/22&sensor=core", ["p0"]),
        ("service=tcp/2", []),
        ("status=new&limit=1", ["p2"]),
    ],
)
def test_filters(client: Client, query: str, wanted: list[str]) -> None:
    client.request("PATCH", "/v1/patterns/p1", json={"status": "benign"})
    answer = client.get(f"/v1/patterns?{query}")
    assert answer.status_code == 200, answer.text
    assert [pattern["id"] for pattern in answer.json()["items"]] == wanted


@pytest.mark.parametrize(
    ("query", "field"), [("status=good", "status"), ("state=gone", "state"), ("service=ssh", "service")]
)
def test_a_filter_that_makes_no_sense_is_named(client: Client, query: str, field: str) -> None:
    assert the_fields(client.get(f"/v1/patterns?{query}")) == [field]


@pytest.mark.parametrize("url", ["/v1/patterns", "/v1/patterns/p1", "/v1/patterns?limit=1"])
def test_who_has_the_answer_already_is_told_so(client: Client, url: str) -> None:
    first = client.get(url)
    tag = first.headers["etag"]
    for sent in (tag, f'"other", W/{tag}', "*"):
        again = client.get(url, headers={"If-None-Match": sent})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers.get("link") == first.headers.get("link")
    assert client.get(url, headers={"If-None-Match": '"other"'}).json() == first.json()
    client.request("PATCH", "/v1/patterns/p1", json={"status": "benign"})
    client.request("PATCH", "/v1/patterns/p2", json={"status": "benign"})
    changed = client.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_nobody_overwrites_what_he_has_not_seen(client: Client) -> None:
    tag = client.get("/v1/patterns/p1").headers["etag"]

    def patch(status: str, wanted: str) -> httpx.Response:
        return client.request("PATCH", "/v1/patterns/p1", json={"status": status}, headers={"If-Match": wanted})

    first = patch("benign", tag)
    assert first.status_code == 200
    assert "If-Match" in the_problem(patch("muted", tag), 412)["detail"]
    the_problem(patch("muted", f"W/{first.headers['etag']}"), 412)
    assert client.get("/v1/patterns/p1").json()["status"] == "benign"
    assert patch("muted", f'"other", {first.headers["etag"]}').status_code == 200
    assert patch("known", "*").status_code == 200


def test_a_filter_of_alerts_is_none_of_patterns(client: Client) -> None:
    assert the_fields(client.get("/v1/patterns?kind=vertical")) == ["kind"]


def test_a_person_says_what_a_pattern_is(client: Client, store: SqlStore) -> None:
    answer = client.request("PATCH", "/v1/patterns/p1", json={"status": "benign"})
    assert (answer.status_code, answer.json()["status"], answer.json()["judged"]) == (200, "benign", True)
    with store.read() as reader:
        stored = reader.pattern("p1")
        (version,) = reader.versions("p1")
    assert stored is not None
    assert (stored.status, stored.version) == (Status.BENIGN, PATTERNS[1].version + 1)
    assert (version.event, version.status) == (Event.JUDGED, Status.BENIGN)
    assert client.get("/v1/patterns/p1").json() == answer.json() == pattern_document(stored)


def test_the_versions_of_a_pattern_are_shown_oldest_first(client: Client, store: SqlStore) -> None:
    muted, first = judge(PATTERNS[1], Status.MUTED, 1)
    known, second = judge(muted, Status.KNOWN, 2)
    with store.begin() as unit:
        unit.save_patterns([known], [first, second])
    answer = client.get("/v1/patterns/p1/versions")
    assert answer.json() == {"items": [version_document(first), version_document(second)]}
    assert client.get("/v1/patterns/p2/versions").json() == {"items": []}


@pytest.mark.parametrize("body", [{"status": "new"}, {"status": "x"}, {"status": None}, {}])
def test_what_is_no_judgement_is_refused(client: Client, body: dict[str, Any]) -> None:
    assert the_fields(client.request("PATCH", "/v1/patterns/p1", json=body)) == ["status"]
    assert client.get("/v1/patterns/p1").json() == pattern_document(PATTERNS[1])


def test_a_judgement_is_short_json(client: Client) -> None:
    def patch(content: bytes, kind: str = "application/json") -> httpx.Response:
        return client.request("PATCH", "/v1/patterns/p1", content=content, headers={"Content-Type": kind})

    the_problem(patch(b" " * 40_000), 413)
    the_problem(patch(b'{"status"'), 400)
    the_problem(patch(b'{"status": "known"}', "text/plain"), 415)
    assert the_fields(patch(b'{"status": "known", "name": "x"}')) == ["name"]


def test_what_is_unknown_is_not_found(client: Client) -> None:
    the_problem(client.request("PATCH", "/v1/patterns/p9", json={"status": "known"}), 404)
    the_problem(client.get("/v1/patterns/p9/versions"), 404)
    assert "GET /v1/patterns" in the_problem(client.get("/v1/patterns/p9"), 404)["detail"]
    assert "cursor" in the_problem(client.get("/v1/patterns?cursor=x"), 404)["detail"]
