from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from service.api import examples, schemas
from service.api.app import create_app
from service.api.schemas import WindowIn
from service.api.strict_json import parse_json
from service.store.memory import MemoryStore
from tests.api.client import Client, the_problem
from tests.api.fakes import FakeIngest

if TYPE_CHECKING:
    from service.api.spec import ApiSpec


@pytest.fixture
def described(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


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
        ("PUT", "/v1/patterns/p1", "GET"),
        ("POST", "/healthz", "GET"),
    ],
)
def test_another_method_is_not_allowed(client: Client, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert "method not allowed" in the_problem(answer, 405)["detail"]
    assert answer.headers["allow"] == allowed


def test_two_applications_share_nothing(spec: ApiSpec, client: Client) -> None:
    client.post("/v1/windows", json=examples.WINDOW)
    other = MemoryStore()
    assert Client(create_app(spec, FakeIngest(other), other, "1")).get("/v1/alerts").json()["items"] == []
    assert len(client.get("/v1/alerts").json()["items"]) == 1


def test_every_operation_is_described(described: dict[str, Any]) -> None:
    operations = {
        (method, path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {
        ("post", "/v1/windows"),
        ("get", "/v1/windows/{window_id}"),
        ("get", "/v1/patterns"),
        ("get", "/v1/patterns/{pattern_id}"),
        ("patch", "/v1/patterns/{pattern_id}"),
        ("get", "/v1/patterns/{pattern_id}/versions"),
        ("get", "/v1/alerts"),
        ("get", "/v1/alerts/{alert_id}"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }
    tags = {tag["name"] for tag in described["tags"]}
    for (_, path), operation in operations.items():
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        assert operation["description"]
        for status, response in operation["responses"].items():
            answered = "text/plain" if path == "/metrics" else "application/json"
            wanted = answered if status.startswith("2") else "application/problem+json"
            assert list(response["content"]) == [wanted]
    assert described["info"]["version"] == "1.2.3"


def test_every_reference_of_the_description_leads_somewhere(described: dict[str, Any]) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        if isinstance(node, list):
            return [found for value in node for found in references(value)]
        return []

    found = set(references(described))
    assert "#/components/schemas/WindowIn" in found
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert found <= known


def test_every_document_has_an_example(described: dict[str, Any]) -> None:
    documents = {
        name: schema for name, schema in described["components"]["schemas"].items() if "properties" in schema
    }
    assert {"WindowIn", "RowIn", "TotalsIn", "AlertOut", "PatternOut", "Problem"} <= set(documents)
    assert [name for name, schema in documents.items() if not schema.get("examples")] == []


def models() -> list[type[BaseModel]]:
    return [
        value
        for value in vars(schemas).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == schemas.__name__
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
