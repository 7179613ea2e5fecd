"""Alerts in the format that a request asks for."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.export.accept import negotiate
from service.export.formats import Format, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from service.alerts.alert import Alert

VARY = {"Vary": "Accept"}
"""What caches have to know."""


def wanted_format(request: Request, named: Format | None) -> Format:
    """Return the format that is named, or else what the Accept header likes best.

    Raises HTTPException 406 if it takes none.
    """
    form = named or negotiate(request.headers.get("accept"))
    if form is None:
        known = ", ".join(each.media_type for each in Format)
        raise HTTPException(
            HTTPStatus.NOT_ACCEPTABLE, f"Accept: takes none of {known}; or name one with ?format=", VARY
        )
    return form


def written(
    form: Format, alerts: Sequence[Alert], now: int, version: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return alerts in a format at a time, ns since the epoch."""
    body = write(form, alerts, now, version)
    told = {**(headers or {}), **VARY, "Cache-Control": "private, no-cache", "Content-Type": form.media_type}
    return Response(body, headers=told)


def written_responses() -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of all formats but JSON, which the routes describe."""
    bundle = {"type": "object", "description": "A bundle of STIX 2.1"}
    others = {form.media_type: {"schema": {"type": "string"}} for form in Format if form is not Format.JSON}
    return {200: {"content": others | {Format.STIX.media_type: {"schema": bundle}}}}
