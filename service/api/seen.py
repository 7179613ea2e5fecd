"""Requests as they are seen from outside: each has an id, and is observed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from service.observe import SILENT, Exchange, Observer, identified

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"

_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the application tells of itself, and to whom."""

    observer: Observer = SILENT
    failures: Callable[[], Sequence[str]] = lambda: ()
    """Return why the service can't do its work now, a sentence each."""
    metrics: Callable[[], bytes] = lambda: b""
    """Return the page that Prometheus reads."""


class Seen:
    """Gives each request an id, which its logs and its answer name, and lets an observer enclose it.

    The caller's own X-Request-ID is taken if it is well formed: up to 64 letters, digits, dots, dashes and
    underscores.
    """

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request = _request_id(headers)
        trace = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        exchange = Exchange(scope["method"], trace)

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.route = getattr(scope.get("route"), "path", "")
                MutableHeaders(scope=message)[REQUEST_ID] = request
            await send(message)

        with identified(request=request), self._observer.request(exchange):
            await self._app(scope, receive, seen)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
