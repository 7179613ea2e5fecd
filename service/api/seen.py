"""Requests as they are seen from outside: each has an id, and is observed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from service.observe import SILENT, Exchange, Observer, identified

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"
_ID = REQUEST_ID.lower().encode()
_TOLD = frozenset({_ID, b"traceparent", b"tracestate"})
"""What a caller says of a request itself."""

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
        told = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _TOLD}
        request = _request_id(told.pop(_ID, ""))
        exchange = Exchange(scope["method"], {name.decode(): value for name, value in told.items()})

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.route = getattr(scope.get("route"), "path", "")
                MutableHeaders(scope=message)[REQUEST_ID] = request
            await send(message)

        with identified(request=request), self._observer.request(exchange):
            await self._app(scope, receive, seen)


def _request_id(given: str) -> str:
    return given if _WELL_FORMED.fullmatch(given) else secrets.token_hex(16)
