"""What all routes have in common that take a small JSON document."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from service.api.body import CODING, media_type, read_body, refuse_type
from service.api.problems import problem_responses
from service.api.strict_json import parse_json, validated

if TYPE_CHECKING:
    from starlette.requests import Request

JSON = "application/json"

MAX_BYTES = 32 << 10
"""Of such a document."""

Model = TypeVar("Model", bound=BaseModel)

PROBLEMS = problem_responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""What can be wrong with one."""


def body_of(model: type[BaseModel], *parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI description of a request with such a body."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    described: dict[str, Any] = {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}
    return described | {"parameters": [CODING, *parameters]}


async def read_model(request: Request, model: type[Model]) -> Model:
    """Return the body as a model; raises HTTPException or RequestValidationError for one that is none."""
    if media_type(request) != JSON:
        raise refuse_type(media_type(request), (JSON,))
    return validated(model, parse_json(await read_body(request, MAX_BYTES)))


def actor(request: Request) -> str:
    """Return who sends the request: the name of the token, where tokens are asked for."""
    return str(getattr(request.state, "actor", "anonymous"))
