"""Every failure as a problem document (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from service.errors import (
    BusyError,
    CaptureError,
    FullError,
    InputError,
    NotFoundError,
    StoreError,
    WindowConflictError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"

MAX_ERRORS = 20
"""Faulty fields that are listed; one mistake is often made in every row."""

_LONGEST_FIELD = 200

_STORE_RETRY, _FULL_RETRY = "5", "30"
"""Seconds."""

_log = logging.getLogger(__name__)


class FieldError(BaseModel):
    """One value of the request that makes no sense."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"field": "rows[3].service", "message": "unknown service 'ssh'"}]},
    )

    field: str
    """Path of the value in the body, or name of a parameter."""
    message: str
    line: int | None = None
    """Of a body with a document in each line, from 1."""


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Entity",
                    "status": 422,
                    "detail": "rows[3].service: unknown service 'ssh'; write tcp/PORT or udp/PORT",
                    "instance": "/v1/windows",
                    "errors": [
                        {
                            "field": "rows[3].service",
                            "message": "unknown service 'ssh'; write tcp/PORT or udp/PORT",
                        }
                    ],
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    """What was wrong, where, and what to do."""
    instance: str
    """Path of the request."""
    errors: list[FieldError] | None = None
    """The faulty fields, at most 20; with status 422 only."""


def problem_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the problems that a route may answer."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Let the app answer every failure with a problem document."""
    app.exception_handler(HTTPException)(_on_http)
    app.exception_handler(RequestValidationError)(_on_validation)
    app.exception_handler(InputError)(_on_input)
    app.exception_handler(CaptureError)(_on_capture)
    app.exception_handler(NotFoundError)(_on_missing)
    app.exception_handler(WindowConflictError)(_on_conflict)
    app.exception_handler(BusyError)(_on_busy)
    app.exception_handler(StoreError)(_on_store)
    app.exception_handler(ClientDisconnect)(_on_disconnect)
    app.exception_handler(Exception)(_on_defect)


def _problem(
    request: Request,
    status: int,
    detail: str,
    errors: Iterable[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=None if errors is None else list(errors),
    )
    # Escaped to ASCII: a message may quote bytes that are no text, which UTF-8 can't carry.
    content = json.dumps(problem.model_dump(exclude_none=True))
    return Response(content, status, headers, MEDIA_TYPE)


def _on_http(request: Request, error: HTTPException) -> Response:
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        # What the router says when it knows no better.
        detail = f"{request.method} {request.url.path}: {detail.lower()}; /docs lists what there is"
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    return _problem(request, error.status_code, detail, headers=headers)


def _allowed(request: Request) -> str:
    """Return the methods of a path: the router names only those of the first route that it found."""
    return ", ".join(
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    )


def _on_validation(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    errors = [
        FieldError(field=_path(item["loc"]), message=_message(item), line=item.get("line"))
        for item in found[:MAX_ERRORS]
    ]
    rest = f", and {len(found) - 1} more" if len(found) > 1 else ""
    line = "" if errors[0].line is None else f"line {errors[0].line}: "
    detail = f"{line}{errors[0].field}: {errors[0].message}{rest}"
    return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


def _path(location: tuple[int | str, ...]) -> str:
    """Write ``("body", "rows", 3, "service")`` as ``rows[3].service``."""
    path = ""
    for step in location[1:]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path[:_LONGEST_FIELD] or str(location[0])


def _message(item: dict[str, Any]) -> str:
    if item["type"] == "model_type":
        # Pydantic's own words name a class of ours.
        return "Input should be an object"
    message: str = item["msg"]
    return message.removeprefix("Value error, ")


def _on_input(request: Request, error: InputError) -> Response:
    errors = [FieldError(field=error.field, message=error.message)]
    return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors)


def _on_capture(request: Request, error: CaptureError) -> Response:
    return _problem(request, HTTPStatus.BAD_REQUEST, str(error))


def _on_missing(request: Request, error: NotFoundError) -> Response:
    return _problem(request, HTTPStatus.NOT_FOUND, str(error))


def _on_conflict(request: Request, error: WindowConflictError) -> Response:
    return _problem(request, HTTPStatus.CONFLICT, str(error))


def _on_store(request: Request, error: StoreError) -> Response:
    # The message may name files of this machine; it is for the log.
    if isinstance(error, FullError):
        _log.warning("request refused", extra={"reason": str(error)})
        detail, retry = "no room is left on a disk of the service; nothing was stored; try again later", _FULL_RETRY
    else:
        _record(request, HTTPStatus.SERVICE_UNAVAILABLE, error)
        detail, retry = "the store can't be used now; try again later", _STORE_RETRY
    return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": retry})


def _on_busy(request: Request, error: BusyError) -> Response:
    headers = {"Retry-After": str(error.retry_after)}
    return _problem(request, HTTPStatus.TOO_MANY_REQUESTS, str(error), headers=headers)


def _on_disconnect(request: Request, _error: ClientDisconnect) -> Response:
    # Nobody is there to read it, but the request has to end somehow.
    return _problem(request, HTTPStatus.BAD_REQUEST, "the connection ended before the body did")


def _on_defect(request: Request, error: Exception) -> Response:
    _record(request, HTTPStatus.INTERNAL_SERVER_ERROR, error)
    detail = "the request met a defect of Yocho, which is logged"
    return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _record(request: Request, status: HTTPStatus, error: Exception) -> None:
    _log.error(
        "request failed",
        extra={"method": request.method, "path": request.url.path, "status": int(status)},
        exc_info=error,
    )


def refuse(request: Request, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem for what is answered before the app sees the request."""
    return _problem(request, status, detail, headers=headers)
