from __future__ import annotations

import time
from dataclasses import replace

import pytest

from service.store.deliveries import Delivery
from service.store.sql import SqlStore
from tests.api.client import Client, the_problem
from tests.builders import an_alert

SECOND = 10**9


@pytest.fixture
def _begun(store: SqlStore) -> None:
    """Let an output tell one of three events, give that up, and fail at the next one."""
    now = time.time_ns()
    with store.begin() as unit:
        unit.deliveries.enrol("soc", 0)
        unit.deliveries.enrol("eve", 0)
        unit.save_alerts([an_alert(id=f"a{number}") for number in range(3)])
        first, *_ = unit.events.after(0, 10)
        unit.deliveries.bury("soc", first, 70 * SECOND, "answered 422")
        failed = Delivery("soc", first.sequence, tries=2, until=now + 50 * SECOND, failure="answered 503")
        unit.deliveries.change(replace(failed, position=0, tries=0, until=0, failure=None), failed)


@pytest.mark.usefixtures("_begun")
def test_outputs_are_shown(client: Client) -> None:
    eve, soc = client.get("/v1/outputs").json()["items"]
    assert (eve["name"], eve["position"], eve["behind"], eve["failure"]) == ("eve", 0, 3, None)
    assert (soc["position"], soc["behind"], soc["tries"], soc["failure"]) == (1, 2, 2, "answered 503")
    assert (soc["dead_letters"], soc["put_back"]) == (1, 0)
    assert 0 < soc["next_try_seconds"] <= 50
    assert soc["behind_seconds"] >= 0
    shown = client.get(soc["url"]).json()
    assert {key: shown[key] for key in shown if not key.endswith("seconds")} == {
        key: soc[key] for key in soc if not key.endswith("seconds")
    }


@pytest.mark.usefixtures("_begun")
def test_what_an_output_gave_up_is_listed_and_tried_again(client: Client, store: SqlStore) -> None:
    letters = client.get("/v1/outputs/soc/dead-letters").json()
    (letter,) = letters["items"]
    assert letters["next"] is None
    assert (letter["reason"], letter["event"], letter["sequence"]) == ("answered 422", "opened", 1)
    assert letter["time"] == "1970-01-01T00:01:10.000000Z"
    assert letter["alert"] == {"id": "a0", "url": "/v1/alerts/a0"}
    answer = client.post("/v1/outputs/soc/retry")
    assert answer.status_code == 200
    document = answer.json()
    assert (document["dead_letters"], document["put_back"], document["tries"]) == (0, 1, 0)
    assert client.get("/v1/outputs/soc/dead-letters").json()["items"] == []
    with store.read() as reader:
        assert [letter.event.alert for letter in reader.deliveries.returned("soc", 9)] == ["a0"]


@pytest.mark.usefixtures("_begun")
def test_dead_letters_come_page_by_page(client: Client, store: SqlStore) -> None:
    with store.begin() as unit:
        for event in unit.events.after(1, 10):
            unit.deliveries.bury("soc", event, 71 * SECOND, "answered 422")
    first = client.get("/v1/outputs/soc/dead-letters?limit=2")
    following = first.json()["next"]
    assert f"cursor={following}" in first.headers["link"]
    rest = client.get(f"/v1/outputs/soc/dead-letters?limit=2&cursor={following}").json()
    assert [letter["id"] for page in (first.json(), rest) for letter in page["items"]] == ["3", "2", "1"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nobody"), ("GET", "/nobody/dead-letters"), ("POST", "/nobody/retry")]
)
def test_an_output_that_never_began_is_not_found(client: Client, method: str, path: str) -> None:
    problem = the_problem(client.request(method, f"/v1/outputs{path}"), 404)
    assert problem["detail"].startswith("output nobody: none of this name has begun")
