"""Windows that come together: NDJSON, one in each line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service.api import window_bodies
from service.api.app import create_app
from service.api.spec import ApiSpec
from service.intake import IntakeSpec
from tests.api.client import Client, the_fields, the_problem
from tests.api.fakes import FakeIngest
from tests.api.posts import ROW, WINDOW, holds_nothing, in_pieces, with_row

if TYPE_CHECKING:
    import httpx

    from service.store.sql import SqlStore

NDJSON = {"Content-Type": "application/x-ndjson"}
OTHER = WINDOW | {"sensor": "lab"}
NOW = {"Prefer": "wait=0"}


def lines(*documents: Any, end: str = "\n") -> str:
    return "".join((each if isinstance(each, str) else json.dumps(each)) + end for each in documents)


def post(client: Client, content: Any, **headers: str) -> httpx.Response:
    return client.post("/v1/windows", content=content, headers=NDJSON | headers)


def test_each_line_is_a_window(client: Client, ingest: FakeIngest) -> None:
    ingest.idle = True
    answer = post(client, lines(WINDOW, OTHER), **NOW)
    assert answer.status_code == 202
    jobs = answer.json()["jobs"]
    assert [job["state"] for job in jobs] == ["waiting", "waiting"]
    assert "location" not in answer.headers
    ingest.idle = False
    for job, sensor in zip(jobs, ("edge", "lab"), strict=True):
        assert client.get(job["url"]).json()["state"] == "done"
        assert client.get(job["window_url"]).json()["sensor"] == sensor


def test_who_waits_hears_what_was_found(client: Client) -> None:
    answer = post(client, lines(WINDOW, OTHER))
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=10"
    assert [len(job["receipt"]["alerts"]) for job in answer.json()["jobs"]] == [1, 0]


@pytest.mark.parametrize("body", [lines(WINDOW, OTHER, end="\r\n"), "\n \n" + lines(WINDOW, "", OTHER).rstrip()])
def test_empty_lines_mean_nothing(client: Client, body: str) -> None:
    assert len(post(client, body).json()["jobs"]) == 2


def test_it_may_come_in_small_pieces(client: Client) -> None:
    body = ("\n\n" + lines(WINDOW, OTHER)).encode()
    assert len(post(client, in_pieces(body, 7)).json()["jobs"]) == 2


def test_a_repetition_is_the_first_job_again(client: Client) -> None:
    first = post(client, lines(WINDOW)).json()["jobs"][0]
    both = post(client, lines(WINDOW, OTHER, OTHER))
    assert both.status_code == 201
    jobs = both.json()["jobs"]
    assert jobs[0]["id"] == first["id"]
    assert jobs[1] == jobs[2]
    again = post(client, lines(WINDOW, OTHER))
    assert again.status_code == 200
    assert [job["id"] for job in again.json()["jobs"]] == [jobs[0]["id"], jobs[1]["id"]]


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        (with_row(service="ssh"), "rows[1].service", "unknown service 'ssh'"),
        (with_row(attempts=-1), "rows[1].attempts", "greater than or equal to 1"),
        (with_row(service="tcp/22"), "rows[1]", "repeats rows[0]"),
        ([], "body", "should be an object"),
        (WINDOW | {"color": "red"}, "color", "not permitted"),
    ],
)
def test_one_bad_line_refuses_all(client: Client, store: SqlStore, line: object, field: str, message: str) -> None:
    answer = post(client, lines(OTHER, "", line, WINDOW))
    problem = the_problem(answer, 422)
    assert the_fields(answer) == [field]
    assert problem["errors"][0]["line"] == 3
    assert message in problem["errors"][0]["message"]
    assert problem["detail"] == f"line 3: {field}: {problem['errors'][0]['message']}"
    assert holds_nothing(store)


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("{", 400, "line 2: is not JSON: Expecting property name enclosed in double quotes at column 2"),
        ('{"sensor": NaN}', 400, "line 2: holds NaN"),
        (WINDOW | {"rows": [ROW] * 6}, 413, "line 2: rows: 6 are more than 5"),
        (WINDOW | {"rows": [ROW | {"answered": 1}], "sensor": "lab"}, 409, "comes twice here"),
    ],
)
def test_a_line_that_can_t_be_taken_is_named(
    client: Client, store: SqlStore, line: object, status: int, message: str
) -> None:
    problem = the_problem(post(client, lines(OTHER, line)), status)
    assert message in problem["detail"]
    assert problem["detail"].startswith("line 2: ")
    assert holds_nothing(store)


def test_other_content_than_before_refuses_all(client: Client, store: SqlStore) -> None:
    post(client, lines(WINDOW))
    problem = the_problem(post(client, lines(OTHER, "", WINDOW | {"rows": []})), 409)
    assert problem["detail"].startswith("line 3: window w")
    with store.read() as reader:
        assert reader.overview.names() == ["edge"]
        assert reader.jobs.backlog().jobs == 0


def test_there_is_a_bound_of_lines_and_of_bytes(
    client: Client, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_bodies, "MOST_LINES", 2)
    windows = [WINDOW | {"sensor": f"s{number}"} for number in range(3)]
    assert "line 3: more than 2" in the_problem(post(client, lines(*windows)), 413)["detail"]
    long = lines(WINDOW) + " " * 10_000
    assert "more than 10000 bytes" in the_problem(post(client, in_pieces(long.encode())), 413)["detail"]
    assert holds_nothing(store)
    assert post(client, lines(*windows[:2])).status_code == 201


@pytest.mark.parametrize("body", ["", "\n\r\n \n", "\n" * 100_000])
def test_no_line_at_all_is_refused(client: Client, body: str) -> None:
    problem = the_problem(post(client, body), 400 if len(body) < 10_000 else 413)
    assert "line" in problem["detail"] or "bytes" in problem["detail"]


ZEEK = '{"ts": 1772366400.5, "uid": "C1", "id.orig_h": "192.0.2.1", "conn_state": "S0"}'
EVE = '{"timestamp": "2026-03-01T12:00:00.0+0000", "event_type": "flow", "src_ip": "192.0.2.1"}'


@pytest.mark.parametrize("first", [ZEEK, EVE, "\n" + EVE, "#separator \\x09"])
def test_the_first_line_tells_a_log(client: Client, ingest: FakeIngest, first: str) -> None:
    body = lines(first, ZEEK)
    answer = client.post("/v1/windows?sensor=logs", content=in_pieces(body.encode(), 9), headers=NDJSON)
    assert "no pcap" in the_problem(answer, 400)["detail"]
    assert ingest.captures == [("logs", len(body))]


def test_a_log_among_windows_is_none(client: Client, store: SqlStore) -> None:
    problem = the_problem(post(client, lines(WINDOW, EVE)), 422)
    assert problem["errors"][0]["line"] == 2
    assert holds_nothing(store)


def test_a_service_without_room_takes_none(store: SqlStore) -> None:
    ingest = FakeIngest(store, IntakeSpec(jobs=1))
    ingest.idle = True
    client = Client(create_app(ApiSpec(), ingest, store, "1"))
    assert client.post("/v1/windows", json=WINDOW, headers=NOW).status_code == 202
    assert the_problem(post(client, lines(OTHER)), 429)
