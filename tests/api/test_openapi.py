"""The description of the API leaves nothing to guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from service.export.formats import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.client import Client

Operation = dict[str, Any]

OPERATIONS = {
    "post /v1/windows",
    "get /v1/jobs/{job_id}",
    "get /v1/windows/{window_id}",
    "get /v1/patterns",
    "get /v1/patterns/{pattern_id}",
    "patch /v1/patterns/{pattern_id}",
    "get /v1/patterns/{pattern_id}/versions",
    "get /v1/alerts",
    "get /v1/alerts/stream",
    "get /v1/alerts/{alert_id}",
    "patch /v1/alerts/{alert_id}",
    "get /v1/alerts/{alert_id}/comments",
    "post /v1/alerts/{alert_id}/comments",
    "get /v1/sources/{source}",
    "get /v1/sources/{source}/windows",
    "get /v1/sensors",
    "get /v1/sensors/{name}",
    "get /v1/days",
    "get /v1/allow-rules",
    "post /v1/allow-rules",
    "get /v1/allow-rules/{identifier}",
    "delete /v1/allow-rules/{identifier}",
    "get /v1/settings",
    "patch /v1/settings",
    "get /v1/status",
    "get /v1/audit",
    "get /v1/outputs",
    "get /v1/outputs/{name}",
    "get /v1/outputs/{name}/dead-letters",
    "post /v1/outputs/{name}/retry",
    "get /healthz",
    "get /readyz",
    "get /metrics",
}
ALL_FORMATS = [form.media_type for form in Format]
KINDS = {
    "get /v1/alerts/stream": ["text/event-stream"],
    "get /v1/alerts": ALL_FORMATS,
    "get /v1/alerts/{alert_id}": ALL_FORMATS,
    "get /metrics": ["text/plain"],
}
OF_THE_PROCESS = {"get /healthz", "get /metrics"}
"""They ask nothing of the store."""
BODILESS_WRITES = {"post /v1/outputs/{name}/retry"}
BODILESS = {"204", "304"}


@pytest.fixture
def described(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


@pytest.fixture
def operations(described: dict[str, Any]) -> dict[str, Operation]:
    return {
        f"{method} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_there(described: dict[str, Any], operations: dict[str, Operation]) -> None:
    assert set(operations) == OPERATIONS
    assert described["info"]["version"] == "1.2.3"


def test_every_operation_is_described(described: dict[str, Any], operations: dict[str, Operation]) -> None:
    tags = {tag["name"] for tag in described["tags"]}
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
        assert len(operation["tags"]) == 1, name


def test_every_parameter_is_described(operations: dict[str, Operation]) -> None:
    bare = [
        f"{name} {parameter['name']}"
        for name, operation in operations.items()
        for parameter in operation.get("parameters", [])
        if not (parameter.get("description") or parameter["schema"].get("description"))
    ]
    assert bare == []


def test_every_answer_says_what_it_is(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        for status, response in operation["responses"].items():
            kinds = list(response.get("content", {}))
            if status in BODILESS:
                assert kinds == [], name
            elif status.startswith("2"):
                assert kinds == KINDS.get(name, ["application/json"]), name
            else:
                assert kinds == ["application/problem+json"], (name, status)


def test_every_operation_says_how_it_fails(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        wanted = set() if name in OF_THE_PROCESS else {"503"}
        if operation.get("parameters") or "requestBody" in operation:
            wanted |= {"422"}
        if "requestBody" in operation:
            wanted |= {"400", "413", "415"}
        if any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", [])):
            wanted |= {"412"}
        assert wanted <= set(operation["responses"]), name


def test_every_body_is_described(described: dict[str, Any], operations: dict[str, Operation]) -> None:
    bodies = {
        name: operation["requestBody"] for name, operation in operations.items() if "requestBody" in operation
    }
    assert set(bodies) == {name for name in OPERATIONS if name.startswith(("post", "patch"))} - BODILESS_WRITES
    for body in bodies.values():
        assert body["required"]
        assert body["content"]["application/json"]["schema"]["$ref"].startswith("#/components/schemas/")


def test_every_schema_has_a_description_and_an_example(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert {"WindowIn", "AlertOut", "PatternOut", "SourceOut", "SensorOut", "Problem", "Kind"} <= set(schemas)
    for wanted in ("description", "examples"):
        assert [name for name, schema in schemas.items() if not schema.get(wanted)] == []


def test_every_example_fits_its_schema(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    for name, schema in schemas.items():
        validator = jsonschema.Draft202012Validator(schema | {"components": {"schemas": schemas}})
        for example in schema["examples"]:
            assert [error.message for error in validator.iter_errors(example)] == [], name


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    found = set(references(described))
    assert "#/components/schemas/WindowIn" in found
    assert found <= {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
