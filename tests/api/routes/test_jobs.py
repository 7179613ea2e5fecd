from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.api.app import create_app
from service.intake import IntakeSpec
from tests.api.client import Client, the_problem
from tests.api.fakes import FakeIngest
from tests.api.posts import PCAP, ROW, WINDOW, holds_nothing

if TYPE_CHECKING:
    from service.api.spec import ApiSpec
    from service.store.sql import SqlStore

NOW = {"Prefer": "respond-async"}


@pytest.fixture
def idle(ingest: FakeIngest) -> FakeIngest:
    ingest.idle = True
    return ingest


def test_a_window_is_accepted_before_it_is_done(client: Client, idle: FakeIngest) -> None:
    answer = client.post("/v1/windows", json=WINDOW, headers=NOW)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == job["url"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["receipt"], job["problem"]) == ("waiting", None, None)
    assert job["window_url"] == f"/v1/windows/{job['window']}"
    assert client.get(job["window_url"]).status_code == 404
    assert "preference-applied" not in answer.headers
    assert client.get(job["url"]).json() == job
    idle.idle = False
    done = client.get(job["url"]).json()
    assert done["state"] == "done"
    assert done["receipt"]["id"] == job["window"]
    assert client.get(job["window_url"]).status_code == 200


def test_the_same_window_is_one_job(client: Client, idle: FakeIngest) -> None:
    first = client.post("/v1/windows", json=WINDOW, headers=NOW)
    again = client.post("/v1/windows", json=WINDOW, headers=NOW)
    assert (again.status_code, again.json()) == (200, first.json())
    assert "location" not in again.headers
    other = client.post("/v1/windows", json=WINDOW | {"rows": [ROW | {"answered": 3}]}, headers=NOW)
    assert first.json()["window"] in the_problem(other, 409)["detail"]
    idle.idle = False
    client.get(first.json()["url"])
    done = client.post("/v1/windows", json=WINDOW, headers=NOW)
    assert (done.status_code, done.json()["state"], done.json()["id"]) == (200, "done", first.json()["id"])


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=0", "wait=0"),
        ("respond-async, wait=0; foo=bar", "wait=0"),
        ('WAIT="0"', "wait=0"),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait", None),
        ("waiting=0", None),
    ],
)
def test_a_preference_is_applied_if_it_is_understood(
    client: Client, idle: FakeIngest, prefer: str, applied: str | None
) -> None:
    answer = client.post("/v1/windows", json=WINDOW, headers={"Prefer": prefer})
    assert answer.status_code == 202
    assert answer.headers.get("preference-applied") == applied


def test_nobody_waits_longer_than_a_minute(client: Client) -> None:
    answer = client.post("/v1/windows", json=WINDOW, headers={"Prefer": "wait=999999999"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (201, "wait=60")


def test_a_job_that_failed_tells_its_problem(client: Client) -> None:
    answer = client.post("/v1/windows", content=b"GIF89a", headers=PCAP | NOW)
    assert answer.status_code == 202
    job: dict[str, Any] = client.get(answer.json()["url"]).json()
    assert (job["state"], job["receipt"]) == ("failed", None)
    assert (job["problem"]["status"], job["problem"]["instance"]) == (400, job["url"])
    assert "no pcap" in job["problem"]["detail"]


def test_an_unknown_job_is_not_found(client: Client) -> None:
    assert "job" in the_problem(client.get("/v1/jobs/j1"), 404)["detail"]


def test_a_full_queue_is_a_refusal_that_says_when_to_come_again(spec: ApiSpec, store: SqlStore) -> None:
    ingest = FakeIngest(store, IntakeSpec(jobs=2))
    ingest.idle = True
    client = Client(create_app(spec, ingest, store, "1"))
    for number in range(2):
        answer = client.post("/v1/windows", json=WINDOW | {"sensor": f"sensor {number}"}, headers=NOW)
        assert answer.status_code == 202
    for headers in (NOW, PCAP | NOW):
        answer = client.post("/v1/windows", json=WINDOW, headers=headers | {"Content-Type": "application/json"})
        assert "2 jobs wait" in the_problem(answer, 429)["detail"]
        assert 1 <= int(answer.headers["retry-after"]) <= 300


def test_an_upload_for_which_there_is_no_room_is_refused_while_it_comes(spec: ApiSpec, store: SqlStore) -> None:
    ingest = FakeIngest(store, IntakeSpec(bytes=2_000_000))
    client = Client(create_app(spec, ingest, store, "1"))
    other = ingest.upload("another")
    other.write(b"." * 500_000)
    answer = client.post("/v1/windows", content=b"." * 1_600_000, headers=PCAP | NOW)
    assert "500000 bytes wait or are coming" in the_problem(answer, 429)["detail"]
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    other.drop()
    assert holds_nothing(store)
    assert client.post("/v1/windows", content=b"." * 1_600_000, headers=PCAP | NOW).status_code == 202


def test_a_refused_upload_leaves_nothing(client: Client, store: SqlStore) -> None:
    the_problem(client.post("/v1/windows", content=b"." * 5_000_001, headers=PCAP), 413)
    assert holds_nothing(store)
