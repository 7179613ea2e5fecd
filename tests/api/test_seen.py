from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from service.api.app import create_app
from service.api.examples import WINDOW
from service.api.seen import Outside
from service.observe import Exchange, Silent, current_ids
from service.store.sql import SqlStore
from tests.api.client import Client
from tests.api.fakes import BrokenIngest, FakeIngest

if TYPE_CHECKING:
    from service.api.spec import ApiSpec
    from service.store.sql import SqlStore


class Watcher(Silent):
    """Keeps the requests, and the ids in force when each began."""

    def __init__(self) -> None:
        self.seen: list[tuple[Exchange, dict[str, str]]] = []

    @contextmanager
    def request(self, exchange: Exchange, /) -> Iterator[None]:
        ids = current_ids()
        try:
            yield
        finally:
            self.seen.append((exchange, ids))


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def client(spec: ApiSpec, store: SqlStore, watcher: Watcher) -> Client:
    return Client(create_app(spec, FakeIngest(store), store, "1", Outside(watcher)))


def test_an_id_that_came_is_kept_and_answered(client: Client, watcher: Watcher) -> None:
    answer = client.get("/v1/alerts", headers={"X-Request-ID": "proxy-17.a_b"})
    assert answer.headers.get_list("x-request-id") == ["proxy-17.a_b"]
    assert watcher.seen[0][1] == {"request": "proxy-17.a_b"}


@pytest.mark.parametrize("bad", ["", "-a", "a b", "a" * 65, "ä", 'a"b', "a\tb", "yo'; --"])
def test_an_id_that_is_not_well_formed_is_replaced(client: Client, bad: str) -> None:
    first, second = (
        client.get("/healthz", headers={"X-Request-ID": bad.encode()}).headers["x-request-id"] for _ in range(2)
    )
    assert bad not in (first, second) or not bad
    assert len(first) == len(second) == 32
    assert first != second


def test_what_is_observed_is_the_route_and_not_what_anybody_invents(client: Client, watcher: Watcher) -> None:
    client.get("/v1/alerts/a17")
    client.get("/v1/nothing/at/all")
    client.post("/v1/windows", json=WINDOW)
    client.request("BREW", "/v1/windows")
    assert [(seen.method, seen.route, seen.status) for seen, _ in watcher.seen] == [
        ("GET", "/v1/alerts/{alert_id}", 404),
        ("GET", "", 404),
        ("POST", "/v1/windows", 201),
        ("BREW", "/v1/windows", 405),
    ]


def test_the_answer_to_a_defect_has_an_id_which_its_log_names(
    spec: ApiSpec, store: SqlStore, caplog: pytest.LogCaptureFixture, watcher: Watcher
) -> None:
    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ids.append(current_ids())

    ids: list[dict[str, str]] = []
    keeper = Keeper()
    logging.getLogger("service.api.problems").addHandler(keeper)
    try:
        app = create_app(spec, BrokenIngest(), store, "1", Outside(watcher))
        answer = Client(app).post("/v1/windows", json=WINDOW, headers={"X-Request-ID": "r1"})
    finally:
        logging.getLogger("service.api.problems").removeHandler(keeper)
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "r1")
    assert ids == [{"request": "r1"}]
    assert watcher.seen[0][0].status == 500


def test_the_caller_s_trace_is_handed_on(client: Client, watcher: Watcher) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.get("/healthz", headers={"traceparent": parent, "cookie": "secret"})
    assert watcher.seen[0][0].trace == {"traceparent": parent}
