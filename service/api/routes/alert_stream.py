"""Alerts as they happen."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from service.api.access import sender_of
from service.api.links import ALERTS
from service.api.problems import problem_responses
from service.api.schemas import StreamFilter
from service.api.streams import AlertStreams, Wanted
from service.store.span import Span

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events until the client hangs up; a comment says why the service ends a stream",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "string",
                    "description": "Server-sent events; data is an AlertOut in one line",
                    "examples": ['id: 17\nevent: opened\ndata: {"id": "a1c0ffee", "kind": "horizontal"}\n\n'],
                }
            }
        },
    }
}


class AlertStreamRoutes:
    """Tells whoever listens."""

    def __init__(self, streams: AlertStreams) -> None:
        self._streams = streams

    def readers(self) -> APIRouter:
        """Return the route."""
        problems = problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
        router = APIRouter(prefix=ALERTS, tags=["alerts"], responses=problems)
        router.add_api_route(
            "/stream",
            self.stream,
            summary="Listen to what happens to alerts",
            response_class=Response,
            responses=_STREAM,
        )
        return router

    async def stream(
        self,
        request: Request,
        wanted: Annotated[StreamFilter, Query()],
        last_event_id: Annotated[
            int | None,
            Header(
                ge=0, le=(1 << 63) - 1, description="Id of the event to go on after; clients send it by themselves"
            ),
            WithJsonSchema({"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1, "examples": [17]}),
        ] = None,
    ) -> Response:
        """Listen to events: opened, grew (doubled), ended, acknowledged, muted, commented.

        An event's id is its place: whoever comes back with it misses nothing and hears nothing twice. Without it
        the stream begins now. A silent stream sends a comment every 15 seconds. Who reads too slowly is hung up on,
        and so is whose token was revoked or has expired, within ten seconds.
        """
        fits = Wanted(
            sensor=wanted.sensor,
            kind=wanted.kind,
            span=None if wanted.source is None else Span.of(wanted.source),
            least=wanted.min_score,
            with_allowed=wanted.with_allowed,
        )
        after = wanted.after if last_event_id is None else last_event_id
        admitted: Callable[[], bool] = getattr(request.state, "admitted", None) or (lambda: True)
        return await self._streams.stream(fits, after, admitted, sender_of(request))
