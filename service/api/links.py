"""Where things are found."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from service.api.answers import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

WINDOWS = "/v1/windows"
PATTERNS = "/v1/patterns"
ALERTS = "/v1/alerts"
SOURCES = "/v1/sources"
SENSORS = "/v1/sensors"
DAYS = "/v1/days"
ALLOW_RULES = "/v1/allow-rules"
SETTINGS = "/v1/settings"
STATUS = "/v1/status"
JOBS = "/v1/jobs"
AUDIT = "/v1/audit"
OUTPUTS = "/v1/outputs"


def references(folder: str, ids: Iterable[str]) -> list[Reference]:
    """Return a reference to each id under a path such as `PATTERNS`."""
    return [Reference(id=item_id, url=f"{folder}/{item_id}") for item_id in ids]


def next_link(request: Request, cursor: str) -> str:
    """Return the Link header (RFC 8288) to the page at the cursor, with the filters of this request."""
    query = {**request.query_params, "cursor": cursor}
    return f'<{request.url.path}?{urlencode(query)}>; rel="next"'
