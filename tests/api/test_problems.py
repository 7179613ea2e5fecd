from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from service.api.app import create_app
from tests.api.client import Client, the_problem
from tests.api.fakes import AwayIngest, BrokenIngest, BrokenStore, FakeIngest, UnprintableIngest
from tests.api.posts import PCAP, WINDOW, holds_nothing

if TYPE_CHECKING:
    import pytest
    from starlette.types import Message

    from service.api.spec import ApiSpec
    from service.store.sql import SqlStore


def test_many_mistakes_are_listed_but_not_all(client: Client) -> None:
    bad = {f"key{number}": 1 for number in range(30)}
    problem = the_problem(client.post("/v1/windows", json=WINDOW | bad), 422)
    assert len(problem["errors"]) == 20
    assert problem["detail"].endswith("and 29 more")


def test_a_defect_tells_nothing_and_is_logged(
    spec: ApiSpec, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(create_app(spec, BrokenIngest(), store, "1"))
    answer = client.post("/v1/windows", json=WINDOW)
    the_problem(answer, 500)
    assert "secret" not in answer.text
    assert "LookupError" not in answer.text
    record = next(record for record in caplog.records if record.name == "service.api.problems")
    assert (record.__dict__["method"], record.__dict__["path"], record.__dict__["status"]) == (
        "POST",
        "/v1/windows",
        500,
    )
    assert record.exc_info is not None
    assert "line 17" in str(record.exc_info[1])


def test_any_message_can_be_told(spec: ApiSpec, store: SqlStore) -> None:
    client = Client(create_app(spec, UnprintableIngest(), store, "1"))
    answer = client.post("/v1/windows", content=b"x", headers=PCAP)
    assert the_problem(answer, 400)["detail"] == "\udcff is no capture"


def test_a_failing_store_is_temporary(spec: ApiSpec, caplog: pytest.LogCaptureFixture) -> None:
    store = BrokenStore()
    client = Client(create_app(spec, AwayIngest(), store, "1"))
    for answer in (
        client.post("/v1/windows", json=WINDOW),
        client.get("/v1/windows/w1"),
        client.get("/v1/alerts"),
    ):
        the_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert "secret" not in answer.text
    assert "disk I/O error" in caplog.text


def test_a_caller_who_hangs_up_is_no_defect(
    spec: ApiSpec, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(spec, FakeIngest(store), store, "1")
    came: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return came.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/windows",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    anyio.run(app, scope, receive, send)
    assert sent[0]["status"] == 400
    assert caplog.records == []
    assert holds_nothing(store)
