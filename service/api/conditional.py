"""Entity tags: who has the answer already is told so, and nobody overwrites what he has not seen (RFC 9110, 13)."""

from __future__ import annotations

from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from starlette.requests import Request

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Not Modified: what the entity tag in If-None-Match names is still so"}
}
"""For the OpenAPI description of a route."""

PRECONDITION: list[dict[str, Any]] = [
    {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "Entity tag of what the change is meant for; 412 if it is something else by now",
        "schema": {"type": "string", "examples": ['"3f786850e387550fdab836ed7e6dc881"']},
    }
]


def tag_of(model: BaseModel) -> str:
    """Return the strong entity tag of a document."""
    return _tag(model.model_dump_json().encode())


def tagged(
    request: Request, model: BaseModel, headers: Mapping[str, str] | None = None, status: int = HTTPStatus.OK
) -> Response:
    """Return a document with its entity tag, or 304 without it if the request has that one already."""
    body = model.model_dump_json().encode()
    tag = _tag(body)
    # It may be kept, and has to be asked about each time.
    headers = {**(headers or {}), "ETag": tag, "Cache-Control": "private, no-cache"}
    if request.method in ("GET", "HEAD") and _names(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, status, headers, "application/json")


def check_unchanged(request: Request, model: BaseModel) -> None:
    """Raise HTTPException 412 if the request is meant for another state than this document."""
    wanted = request.headers.getlist("if-match")
    # Of a change, a weak tag never says enough.
    if wanted and not _names(wanted, tag_of(model), weak=False):
        raise HTTPException(
            HTTPStatus.PRECONDITION_FAILED, "If-Match: it has changed since; GET it again and decide anew"
        )


def _tag(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def _names(fields: list[str], tag: str, *, weak: bool = True) -> bool:
    # Our own tags hold no comma, so nothing is lost by parting at each.
    given = [each.strip() for field in fields for each in field.split(",")]
    return "*" in given or tag in given or (weak and f"W/{tag}" in given)
