from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from service.api import answers, examples, resources, schemas
from service.api.app import create_app
from service.api.schemas import WindowIn
from service.api.strict_json import parse_json
from service.store.sql import SqlStore
from tests.api.client import Client, the_problem
from tests.api.fakes import FakeIngest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.api.spec import ApiSpec


@pytest.fixture
def other(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path}/other.db")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/nothing", "/v1/alerts/", "/v2/alerts", "/v1/alerts/a/b", "/%ED%A0%80"]
)
def test_an_unknown_path_is_not_found(client: Client, path: str) -> None:
    assert "/docs" in the_problem(client.get(path), 404)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/windows", "POST"),
        ("DELETE", "/v1/windows/w1", "GET"),
        ("POST", "/v1/alerts", "GET"),
        ("PUT", "/v1/patterns/p1", "GET, PATCH"),
        ("OPTIONS", "/v1/allow-rules", "GET, POST"),
        ("POST", "/v1/allow-rules/r1", "DELETE, GET"),
        ("POST", "/healthz", "GET"),
    ],
)
def test_another_method_is_not_allowed(client: Client, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert "method not allowed" in the_problem(answer, 405)["detail"]
    assert answer.headers["allow"] == allowed


def test_two_applications_share_nothing(spec: ApiSpec, client: Client, other: SqlStore) -> None:
    client.post("/v1/windows", json=examples.WINDOW)
    assert Client(create_app(spec, FakeIngest(other), other, "1")).get("/v1/alerts").json()["items"] == []
    assert len(client.get("/v1/alerts").json()["items"]) == 1


def models() -> list[type[BaseModel]]:
    return [
        value
        for module in (answers, resources, schemas)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == module.__name__
    ]


def examples_of(model: type[BaseModel]) -> list[Any]:
    extra: Any = model.model_config["json_schema_extra"]
    shown: list[Any] = extra["examples"]
    return shown


@pytest.mark.parametrize("model", [model for model in models() if "json_schema_extra" in model.model_config])
def test_every_example_is_one(model: type[BaseModel]) -> None:
    for example in examples_of(model):
        # A request's fractions are decimals, an answer's are floats.
        read = parse_json(json.dumps(example).encode()) if model is WindowIn else example
        model.model_validate(read)


def test_the_examples_of_windows_can_be_posted(client: Client) -> None:
    answers = [
        client.post("/v1/windows", json=example | {"sensor": f"sensor {number}"})
        for number, example in enumerate(examples_of(WindowIn))
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
