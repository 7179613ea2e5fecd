from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from service.api.app import create_app
from service.api.seen import Outside
from tests.api.client import Client, the_problem
from tests.api.fakes import BrokenIngest, BrokenStore

if TYPE_CHECKING:
    from service.api.spec import ApiSpec


def app_with(spec: ApiSpec, outside: Outside) -> Client:
    store = BrokenStore()
    return Client(create_app(spec, BrokenIngest(), store, "1.2.3", outside))


def test_a_process_that_lives_says_so_whatever_else_is_broken(spec: ApiSpec) -> None:
    answer = app_with(spec, Outside(failures=lambda: ["the disk is full"])).get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": "1.2.3"})


def test_a_service_that_can_work_is_ready(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "version": "1.2.3"})


def test_a_service_that_can_not_says_all_that_is_wrong(spec: ApiSpec) -> None:
    answer = app_with(spec, Outside(failures=lambda: ["the store can't be read", "the disk is full"])).get(
        "/readyz"
    )
    assert the_problem(answer, 503)["detail"] == "the store can't be read; the disk is full"


def test_metrics_are_the_page_that_was_handed_in(spec: ApiSpec) -> None:
    answer = app_with(spec, Outside(metrics=lambda: b"# TYPE x gauge\nx 1.0\n")).get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    (family,) = text_string_to_metric_families(answer.text)
    assert (family.name, family.samples[0].value) == ("x", 1.0)
