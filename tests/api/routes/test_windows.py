from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.windows.posted import PostedRow, posted_window
from tests.api.client import Client, the_fields, the_problem
from tests.api.posts import PCAP, ROW, TOTALS, WINDOW, holds_nothing, post_json, with_row
from tests.builders import a_window

if TYPE_CHECKING:
    from service.store.sql import SqlStore


def test_a_window_is_taken_in(client: Client) -> None:
    answer = client.post("/v1/windows", json=WINDOW)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == body["url"] == f"/v1/windows/{body['id']}"
    assert body["patterns"] == [{"id": "p1", "url": "/v1/patterns/p1"}]
    assert body["alerts"] == [{"id": "a1", "url": "/v1/alerts/a1"}]
    assert set(body) == {"id", "url", "patterns", "alerts"}
    for url in (body["url"], "/v1/patterns/p1", "/v1/alerts/a1"):
        assert client.get(url).status_code == 200


def test_the_counts_are_those_that_were_posted(client: Client, store: SqlStore) -> None:
    answer = client.post("/v1/windows", json=WINDOW)
    start = 1_772_366_400 * 10**9
    wanted = posted_window("edge", start, start + 60 * 10**9, [PostedRow("192.0.2.1", "tcp/23", 41, 41, 2)])
    with store.read() as reader:
        assert reader.window_digest(answer.json()["id"]) == wanted.digest()


def test_the_same_window_twice_gets_the_same_answer(client: Client) -> None:
    first = client.post("/v1/windows", json=WINDOW)
    again = client.post("/v1/windows", json=WINDOW)
    spelled = client.post(
        "/v1/windows",
        json={
            "rows": [ROW | {"source": "::ffff:192.0.2.1"}],
            "end": 1772366460,
            "start": 1772366400,
            "sensor": "edge",
        },
    )
    assert (first.status_code, again.status_code, spelled.status_code) == (201, 200, 200)
    assert again.content == first.content == spelled.content
    assert "location" not in again.headers


def test_other_content_for_the_same_window_is_refused(client: Client) -> None:
    first = client.post("/v1/windows", json=WINDOW)
    before = client.get(first.headers["location"]).content
    other = client.post("/v1/windows", json=WINDOW | {"rows": [ROW | {"answered": 3}]})
    assert first.json()["id"] in the_problem(other, 409)["detail"]
    assert client.get(first.headers["location"]).content == before


def test_a_window_may_be_empty(client: Client) -> None:
    answer = client.post("/v1/windows", json=WINDOW | {"rows": []})
    assert answer.status_code == 201
    shown = client.get(answer.headers["location"]).json()
    assert (shown["row_count"], shown["source_count"], shown["rows"], shown["sources"]) == (0, 0, [], [])


@pytest.mark.parametrize(
    "start",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01t13:00:00.000+01:00",
        1772366400,
        1772366400.0,
        "2026-03-01T12:00:00.0-00:00",
    ],
)
def test_times_have_several_forms(client: Client, start: object) -> None:
    answer = client.post("/v1/windows", json=WINDOW | {"start": start})
    assert answer.status_code == 201
    shown = client.get(answer.headers["location"]).json()
    assert (shown["start"], shown["end"]) == ("2026-03-01T12:00:00.000000Z", "2026-03-01T12:01:00.000000Z")


def test_numbers_keep_their_nanoseconds(client: Client, store: SqlStore) -> None:
    text = json.dumps(WINDOW).replace('"2026-03-01T12:00:00Z"', "1772366400.123456789")
    answer = post_json(client, text)
    assert answer.status_code == 201
    with store.read() as reader:
        record = reader.window(answer.json()["id"])
        assert record is not None
        assert record.counts.start == 1_772_366_400_123_456_789


@pytest.mark.parametrize(
    ("window", "field", "message"),
    [
        (with_row(attempts=-1), "rows[1].attempts", "greater than or equal to 1"),
        (with_row(answered=-1), "rows[1].answered", "greater than or equal to 0"),
        (with_row(answered=42), "rows[1].answered", "more than the 41 targets"),
        (with_row(targets=42), "rows[1].targets", "more than the 41 attempts"),
        (with_row(attempts=2**63), "rows[1].attempts", "less than or equal to 1000000000000"),
        (with_row(attempts=10**30), "rows[1].attempts", "less than or equal to 1000000000000"),
        (with_row(attempts=41.0), "rows[1].attempts", "valid integer"),
        (with_row(attempts="41"), "rows[1].attempts", "valid integer"),
        (with_row(attempts=True), "rows[1].attempts", "valid integer"),
        (with_row(attempts=None), "rows[1].attempts", "valid integer"),
        (with_row(service="tcp/99999"), "rows[1].service", "write tcp/PORT"),
        (with_row(service="ssh"), "rows[1].service", "unknown service 'ssh'"),
        (with_row(service="x" * 33), "rows[1].service", "at most 32 characters"),
        (with_row(source="router-7"), "rows[1].source", "write an IPv4 or IPv6 address"),
        (with_row(source="224.0.0.251"), "rows[1].source", "multicast"),
        (with_row(source=7), "rows[1].source", "valid string"),
        (with_row(service="tcp/22"), "rows[1]", "repeats rows[0]"),
        (with_row(color="red"), "rows[1].color", "not permitted"),
        (WINDOW | {"rows": [1]}, "rows[0]", "should be an object"),
        (WINDOW | {"rows": {}}, "rows", "valid list"),
        (WINDOW | {"rows": None}, "rows", "valid list"),
        (WINDOW | {"end": WINDOW["start"]}, "end", "not after the start"),
        (WINDOW | {"end": "2026-03-01T11:59:59Z"}, "end", "not after the start"),
        (WINDOW | {"end": "2026-03-02T12:00:00.000000001Z"}, "end", "more than 24 hours"),
        (WINDOW | {"start": "2026-03-01T12:00:00"}, "start", "write RFC 3339 with a zone"),
        (WINDOW | {"start": "2026-02-30T12:00:00Z"}, "start", "is no time"),
        (WINDOW | {"start": "1969-12-31T23:59:59Z"}, "start", "before 1970"),
        (WINDOW | {"start": -1}, "start", "before 1970"),
        (WINDOW | {"start": 10**30}, "start", "after the year 2262"),
        (WINDOW | {"start": True}, "start", "is no time"),
        (WINDOW | {"start": None}, "start", "is no time"),
        (WINDOW | {"sensor": ""}, "sensor", "at least 1 character"),
        (WINDOW | {"sensor": "a\0"}, "sensor", "can't be printed"),
        (WINDOW | {"sensor": "x" * 101}, "sensor", "at most 100 characters"),
        (WINDOW | {"extra": 1}, "extra", "not permitted"),
        ({key: WINDOW[key] for key in ("start", "end", "rows")}, "sensor", "required"),
        (WINDOW | {"sources": [TOTALS | {"targets": 40}]}, "sources[0].targets", "must be 41"),
        (WINDOW | {"sources": [TOTALS | {"source": "192.0.2.2"}]}, "sources[0].source", "has no rows"),
        (
            WINDOW | {"sources": [TOTALS | {"targets_sample": ["x"]}]},
            "sources[0].targets_sample[0]",
            "address",
        ),
        ([WINDOW], "body", "should be an object"),
        ("text", "body", "should be an object"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(
    client: Client, store: SqlStore, window: object, field: str, message: str
) -> None:
    answer = client.post("/v1/windows", json=window)
    assert the_fields(answer) == [field]
    problem = the_problem(answer, 422)
    assert message in problem["errors"][0]["message"]
    assert problem["detail"] == f"{field}: {problem['errors'][0]['message']}"
    assert holds_nothing(store)


def test_totals_make_a_window_exact(client: Client) -> None:
    sampled = TOTALS | {"targets_sample": ["198.51.100.7"]}
    answer = client.post("/v1/windows", json=WINDOW | {"sources": [sampled]})
    shown = client.get(answer.headers["location"]).json()
    assert shown["exact"] is True
    assert shown["sources"] == [TOTALS]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"{\n  1", "not JSON: Expecting property name enclosed in double quotes at line 2, column 3"),
        (b'{"sensor": "caf\xe9"}', "not UTF-8: byte 15 is 0xe9"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8: byte 0 is 0xff"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"start": NaN}', "NaN, which JSON does not have"),
        (b'{"start": -Infinity}', "-Infinity, which JSON does not have"),
        (b'{"start": 1, "start": 2}', "the key 'start' twice"),
        (b'{"rows": [{"a": 1, "a": 1}]}', "the key 'a' twice"),
        (b"[" * 9_000, "nested too deeply"),
        (b'{"a":' * 1_500, "nested too deeply"),
        (b'{"start": 1' + b"0" * 5_000 + b"}", "a number of 5001 digits"),
        (b'{"start": 1.' + b"0" * 5_000 + b"}", "a number of 5002 characters"),
        (b'{"start": 1e99999999999999999999999}', "out of range"),
    ],
)
def test_what_is_not_json_is_refused(client: Client, store: SqlStore, text: bytes, message: str) -> None:
    assert message in the_problem(post_json(client, text), 400)["detail"]
    assert holds_nothing(store)


@pytest.mark.parametrize("number", ["1e99999999", "1e-99999999", "1e400", "-0.5", "1772366400.1234567891"])
def test_odd_numbers_are_no_times(client: Client, number: str) -> None:
    text = json.dumps(WINDOW).replace('"2026-03-01T12:00:00Z"', number)
    assert the_fields(post_json(client, text)) == ["start"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (json.dumps(WINDOW | {"sensor": "\ud800"}), "sensor"),
        (json.dumps(WINDOW | {"\ud800": 1}), "body"),
        (json.dumps(with_row(service="\ud800")), "rows[1].service"),
    ],
)
def test_half_a_surrogate_pair_is_refused(client: Client, text: str, field: str) -> None:
    assert the_fields(post_json(client, text)) == [field]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    changes=st.dictionaries(st.sampled_from(["sensor", "start", "end", "rows", "sources", "x"]), JSON_VALUES),
    row=st.dictionaries(st.sampled_from([*ROW, "x"]), JSON_VALUES),
)
@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_document_is_met_with_a_defect(client: Client, changes: dict[str, Any], row: dict[str, Any]) -> None:
    answer = post_json(client, json.dumps(WINDOW | {"rows": [ROW | row]} | changes))
    assert answer.status_code in (200, 201, 400, 409, 413, 422)


@given(st.binary(max_size=60))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_bytes_are_met_with_a_defect(client: Client, text: bytes) -> None:
    assert post_json(client, text).status_code in (400, 422)


def test_a_window_is_shown_with_its_totals(client: Client) -> None:
    client.post("/v1/windows?sensor=edge", content=b"capture:w", headers=PCAP)
    shown = client.get(f"/v1/windows/{a_window().id}").json()
    told = ("sensor", "start", "end", "exact", "shed", "sampled_sources", "attempts")
    assert {key: shown[key] for key in told} == {
        "sensor": "edge",
        "start": "2023-11-14T22:13:20.000000Z",
        "end": "2023-11-14T22:14:20.000000Z",
        "exact": True,
        "shed": {"sources": 0, "pairs": 0, "attempts": 0, "sampled": 0},
        "sampled_sources": 0,
        "attempts": 12,
    }
    assert (shown["source_count"], shown["row_count"]) == (2, 3)
    assert shown["rows"][1] == {
        "source": "192.0.2.1",
        "service": "tcp/23",
        "attempts": 4,
        "targets": 4,
        "answered": 1,
        "probed": 3,
        "dark": 0,
        "first_seen": "2023-11-14T22:13:20.000000Z",
        "last_seen": "2023-11-14T22:13:20.000000Z",
    }
    assert [source["source"] for source in shown["sources"]] == ["192.0.2.1", "2001:db8::1"]
    assert shown["sources"][0]["targets"] == 4
    assert shown["patterns"] == [{"id": "p1", "url": "/v1/patterns/p1"}]
    assert shown["alerts"] == [{"id": "a1", "url": "/v1/alerts/a1"}]


@pytest.mark.parametrize(
    ("query", "services", "sources"),
    [
        ("rows=1", ["tcp/22"], ["192.0.2.1"]),
        ("rows=1&offset=1", ["tcp/23"], ["192.0.2.1"]),
        ("offset=2", ["udp/53"], ["2001:db8::1"]),
        ("rows=0", [], []),
        ("offset=99", [], []),
    ],
)
def test_part_of_the_rows(client: Client, query: str, services: list[str], sources: list[str]) -> None:
    client.post("/v1/windows?sensor=edge", content=b"capture:w", headers=PCAP)
    shown = client.get(f"/v1/windows/{a_window().id}?{query}").json()
    assert [row["service"] for row in shown["rows"]] == services
    assert [source["source"] for source in shown["sources"]] == sources
    assert shown["row_count"] == 3


@pytest.mark.parametrize("query", ["rows=-1", "rows=10001", "offset=-1", "rows=x", "offset=99999999999999999999"])
def test_rows_have_bounds(client: Client, query: str) -> None:
    assert the_fields(client.get(f"/v1/windows/w1?{query}")) == [query.partition("=")[0]]


def test_an_unknown_window_is_not_found(client: Client) -> None:
    assert "window" in the_problem(client.get("/v1/windows/w1"), 404)["detail"]
