from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service.alerts.alert import Kind
from service.export.document import alert_document
from service.export.formats import Format, write
from tests.api.client import the_fields, the_problem
from tests.builders import MINUTE, START, an_alert

if TYPE_CHECKING:
    import httpx

    from service.alerts.alert import Alert
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


def shown(alert: Alert, **said: Any) -> dict[str, Any]:
    """Return the document of an alert of which nobody has said anything else."""
    nothing = {
        "excess": alert.excess,
        "state": "open",
        "acknowledged": False,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "muted_until": None,
        "muted_by": None,
        "comment_count": 0,
    }
    return alert_document(alert) | nothing | said


def listed(client: Client, query: str) -> list[str]:
    answer = client.get(f"/v1/alerts?{query}")
    assert answer.status_code == 200, answer.text
    return [alert["id"] for alert in answer.json()["items"]]


def test_an_alert_is_shown_whole(client: Client) -> None:
    answer = client.get("/v1/alerts/a3")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == shown(ALERTS[3])


def test_alerts_are_listed_last_first(client: Client) -> None:
    answer = client.get("/v1/alerts")
    assert answer.json() == {"items": [shown(alert) for alert in ALERTS[::-1]], "next": None}
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("kind=vertical", ["a5", "a3", "a1"]),
        ("kind=block", []),
        ("source=192.0.2.1", ["a2", "a1", "a0"]),
        ("source=::ffff:192.0.2.1", ["a2", "a1", "a0"]),
        ("source=2001:DB8:0::1", ["a5", "a4", "a3"]),
        ("source=192.0.2.0/24", ["a2", "a1", "a0"]),
        ("source=192.0.2.1/31", ["a2", "a1", "a0"]),
        ("source=2001:db8::/32", ["a5", "a4", "a3"]),
        ("source=10.0.0.0/8", []),
        ("service=tcp/22&limit=1", ["a5"]),
        ("service=udp/22", []),
        ("pattern=p1&limit=1", ["a5"]),
        ("pattern=p", []),
        ("until=1700000000", []),
        ("until=1700000000.000000001&limit=1", ["a5"]),
        ("min_score=1.66&limit=1", ["a5"]),
        ("min_score=1.67", []),
        ("state=open&limit=1", ["a5"]),
        ("state=ended", []),
        ("state=acknowledged", []),
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
        ("source=192.0.2.0/33", "source", "does not appear to be an IPv4 or IPv6 network"),
        ("source=fe80::%25eth0/64", "source", "zone id"),
        ("service=telnet", "service", "unknown service"),
        ("min_score=nan", "min_score", "finite"),
        ("min_score=-1", "min_score", "greater than or equal to 0"),
        ("state=closed", "state", "'open', 'ended', 'acknowledged' or 'muted'"),
        ("until=tomorrow", "until", "write RFC 3339 with a zone"),
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


# What people say


def patch(client: Client, document: Any, alert_id: str = "a3", **headers: str) -> httpx.Response:
    return client.request("PATCH", f"/v1/alerts/{alert_id}", json=document, headers=headers)


def test_an_alert_is_acknowledged_and_that_is_taken_back(client: Client) -> None:
    first = patch(client, {"acknowledged": True})
    assert first.status_code == 200
    assert first.json() == shown(
        ALERTS[3],
        acknowledged=True,
        acknowledged_by="anonymous",
        acknowledged_at=first.json()["acknowledged_at"],
    )
    assert patch(client, {"acknowledged": True}).json() == first.json() == client.get("/v1/alerts/a3").json()
    assert listed(client, "state=acknowledged") == ["a3"]
    assert patch(client, {"acknowledged": False}).json() == shown(ALERTS[3])
    assert listed(client, "state=acknowledged") == []


def test_an_alert_is_muted_until_a_time(client: Client) -> None:
    muted = patch(client, {"muted_until": "2200-01-01T00:00:00Z", "acknowledged": True}).json()
    assert (muted["muted_until"], muted["muted_by"]) == ("2200-01-01T00:00:00.000000Z", "anonymous")
    assert muted["acknowledged"]
    assert listed(client, "state=muted") == ["a3"]
    patch(client, {"muted_until": 1772366400})
    assert listed(client, "state=muted") == []
    assert patch(client, {"muted_until": None}).json()["muted_by"] is None


def test_what_is_said_survives_growth(client: Client, store: SqlStore) -> None:
    patch(client, {"acknowledged": True, "muted_until": 7000000000})
    client.post("/v1/alerts/a3/comments", json={"text": "Seen."})
    before = client.get("/v1/alerts/a3").json()
    with store.begin() as unit:
        unit.save_alerts([an_alert(id="a3", updates=7)])
    after = client.get("/v1/alerts/a3").json()
    assert after["updates"] == 7
    for field in ("acknowledged", "acknowledged_at", "muted_until", "muted_by", "comment_count"):
        assert after[field] == before[field] not in (None, False, 0)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "body"),
        ({"acknowledged": None}, "acknowledged"),
        ({"acknowledged": 1}, "acknowledged"),
        ({"muted_until": "soon"}, "muted_until"),
        ({"muted_until": 1.5}, "muted_until"),
        ({"muted_until": -1}, "muted_until"),
        ({"muted": True}, "muted"),
        ([], "body"),
    ],
)
def test_what_says_nothing_is_refused(client: Client, document: Any, field: str) -> None:
    assert the_fields(patch(client, document)) == [field]
    assert client.get("/v1/alerts/a3").json() == shown(ALERTS[3])


def test_nobody_overwrites_what_he_has_not_seen(client: Client) -> None:
    tag = client.get("/v1/alerts/a3").headers["etag"]
    assert client.get("/v1/alerts/a3", headers={"If-None-Match": tag}).status_code == 304
    assert patch(client, {"acknowledged": True}, **{"If-Match": tag}).status_code == 200
    the_problem(patch(client, {"acknowledged": False}, **{"If-Match": tag}), 412)
    assert client.get("/v1/alerts/a3", headers={"If-None-Match": tag}).status_code == 200
    listing = client.get("/v1/alerts").headers["etag"]
    assert client.get("/v1/alerts", headers={"If-None-Match": listing}).status_code == 304


def test_comments_are_listed_oldest_first(client: Client) -> None:
    written = [client.post("/v1/alerts/a3/comments", json={"text": f"No. {number}"}) for number in range(3)]
    assert [answer.status_code for answer in written] == [201] * 3
    assert written[0].json()["author"] == "anonymous"
    first = client.get("/v1/alerts/a3/comments?limit=2")
    rest = client.get(first.links["next"]["url"])
    assert first.json()["items"] + rest.json()["items"] == [answer.json() for answer in written]
    assert rest.json()["next"] is None
    assert client.get("/v1/alerts/a2/comments").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    "document", [{"text": ""}, {"text": " \n"}, {"text": "a\0b"}, {"text": "x" * 4001}, {"text": None}, {}]
)
def test_what_is_no_comment_is_refused(client: Client, document: Any) -> None:
    assert the_fields(client.post("/v1/alerts/a3/comments", json=document)) == ["text"]
    assert client.get("/v1/alerts/a3/comments").json()["items"] == []


def test_of_an_unknown_alert_nothing_is_said(client: Client) -> None:
    the_problem(patch(client, {"acknowledged": True}, "a99"), 404)
    the_problem(client.post("/v1/alerts/a99/comments", json={"text": "Who?"}), 404)
    the_problem(client.get("/v1/alerts/a99/comments"), 404)
    the_problem(
        client.request("PATCH", "/v1/alerts/a3", content=b"{}", headers={"Content-Type": "text/plain"}), 415
    )


# Formats


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.JSON])
def test_alerts_leave_in_every_format(client: Client, form: Format) -> None:
    named = client.get(f"/v1/alerts?kind=vertical&limit=2&format={form.value}")
    asked = client.get("/v1/alerts?kind=vertical&limit=2", headers={"Accept": form.media_type})
    for answer in (named, asked):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == form.media_type
        assert answer.headers["vary"] == "Accept"
        assert answer.links["next"]
        if form not in (Format.STIX, Format.BLOCKLIST):  # they say when they were written
            assert answer.content == write(form, [ALERTS[5], ALERTS[3]], START, "1.2.3")
    one = client.get(f"/v1/alerts/a3?format={form.value}")
    assert (one.status_code, one.headers["content-type"]) == (200, form.media_type)
    assert one.links == {}


def test_the_next_page_has_the_same_format(client: Client) -> None:
    first = client.get("/v1/alerts?format=jsonl&limit=4")
    rest = client.get(first.links["next"]["url"])
    found = [json.loads(line)["id"] for line in (first.text + rest.text).splitlines()]
    assert found == ["a5", "a4", "a3", "a2", "a1", "a0"]


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", "text/html, */*;q=0.1", "text/csv;q=0.2, application/*"]
)
def test_own_json_is_what_most_ask_for(client: Client, accept: str) -> None:
    answer = client.get("/v1/alerts/a3", headers={"Accept": accept})
    assert answer.json() == shown(ALERTS[3])
    assert answer.headers["vary"] == "Accept"


def test_a_name_comes_before_the_header(client: Client) -> None:
    answer = client.get("/v1/alerts?format=json", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "application/json"


def test_what_is_written_by_nobody_is_not_acceptable(client: Client) -> None:
    for url in ("/v1/alerts", "/v1/alerts/a3"):
        answer = client.get(url, headers={"Accept": "image/png"})
        assert "text/csv" in the_problem(answer, 406)["detail"]
        assert answer.headers["vary"] == "Accept"
    assert the_fields(client.get("/v1/alerts?format=xml")) == ["format"]
    assert the_fields(client.get("/v1/alerts/a3?format=xml")) == ["format"]


def test_a_comment_that_is_no_text_is_refused(client: Client) -> None:
    answer = client.post(
        "/v1/alerts/a3/comments",
        content=b'{"text": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert the_fields(answer) == ["text"]


@pytest.mark.parametrize("time", ["1e400", "-1e400", "1e-400", "9" * 40, "1.5", "0e99"])
def test_times_of_absurd_size_mute_nothing(client: Client, time: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.request("PATCH", "/v1/alerts/a1", content=f'{{"muted_until": {time}}}', headers=headers)
    assert answer.status_code == (200 if time == "0e99" else 422)
