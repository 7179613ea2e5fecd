from __future__ import annotations

from typing import TYPE_CHECKING

from service.api.app import create_app
from tests.api.client import Client, the_problem
from tests.api.fakes import BrokenIngest, BrokenStore

if TYPE_CHECKING:
    from service.api.spec import ApiSpec


def test_a_healthy_service_says_its_version(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": "1.2.3"}


def test_a_service_without_its_store_is_not_healthy(spec: ApiSpec) -> None:
    store = BrokenStore()
    answer = Client(create_app(spec, BrokenIngest(), store, "1.2.3")).get("/healthz")
    assert "secret" not in the_problem(answer, 503)["detail"]
