"""Alerts: scans that were found, and what people say of them."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api.alert_page import alert_page
from service.api.answers import AlertOut, AlertPage
from service.api.conditional import NOT_MODIFIED, PRECONDITION, check_unchanged, tagged
from service.api.formats import VARY, wanted_format, written, written_responses
from service.api.links import ALERTS, next_link
from service.api.problems import problem_responses
from service.api.resources import CommentOut, CommentPage
from service.api.schemas import MAX_PAGE, AlertChange, AlertFilter, CommentIn
from service.api.writes import PROBLEMS, actor, body_of, read_model
from service.errors import NotFoundError
from service.export.document import format_time
from service.export.formats import Format
from service.store.desk import Comment, Filed
from service.store.repository import AlertQuery
from service.store.sql import SqlStore

AlertId = Annotated[str, Path(description="Id of the alert", examples=["a1c0ffee"])]

_UNKNOWN = "alert: none has this id; GET /v1/alerts lists them"


class AlertRoutes:
    """Shows alerts, and takes what people say of them."""

    def __init__(self, store: SqlStore, version: str, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._version = version
        self._clock = clock

    def readers(self) -> APIRouter:
        """Return the routes that read."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=ALERTS, tags=["alerts"], responses=problems)
        add = router.add_api_route
        forms = NOT_MODIFIED | problem_responses(HTTPStatus.NOT_ACCEPTABLE) | written_responses()
        add("", self.list, summary="List alerts", response_model=AlertPage, responses=forms)
        add("/{alert_id}", self.show, summary="Show an alert", response_model=AlertOut, responses=forms)
        add("/{alert_id}/comments", self.comments, summary="List the comments of an alert")
        return router

    def writers(self) -> APIRouter:
        """Return the routes that write."""
        problems = PROBLEMS | problem_responses(HTTPStatus.NOT_FOUND)
        router = APIRouter(prefix=ALERTS, tags=["alerts"], responses=problems)
        router.add_api_route(
            "/{alert_id}",
            self.change,
            methods=["PATCH"],
            summary="Acknowledge or mute an alert",
            response_model=AlertOut,
            responses=problem_responses(HTTPStatus.PRECONDITION_FAILED),
            openapi_extra=body_of(AlertChange, *PRECONDITION),
        )
        router.add_api_route(
            "/{alert_id}/comments",
            self.comment,
            methods=["POST"],
            summary="Comment on an alert",
            status_code=HTTPStatus.CREATED,
            openapi_extra=body_of(CommentIn),
        )
        return router

    def list(self, request: Request, wanted: Annotated[AlertFilter, Query()]) -> Response:
        """List alerts that fit all filters, last begun first. The Link header leads to the next page.

        As `format` or the Accept header asks: own JSON, or the same alerts in another format, page by page too.
        """
        form = wanted_format(request, wanted.format)
        with self._store.read() as unit:
            page = unit.desk.alerts(alert_query(wanted), self._clock(), wanted.state)
        headers = {"Link": next_link(request, page.next)} if page.next is not None else {}
        if form is not Format.JSON:
            return written(form, [filed.alert for filed in page.items], self._clock(), self._version, headers)
        return tagged(request, AlertPage(items=[*map(alert_page, page.items)], next=page.next), headers | VARY)

    def show(
        self,
        request: Request,
        alert_id: AlertId,
        format: Annotated[  # noqa: A002  (the parameter's name)
            Format | None, Query(description="What to write it as, instead of what Accept asks for")
        ] = None,
    ) -> Response:
        """Show one alert as it is by now: it grows while the scan goes on. In other formats too, as the list."""
        form = wanted_format(request, format)
        with self._store.read() as unit:
            filed = unit.desk.alert(alert_id)
        if filed is None:
            raise NotFoundError(_UNKNOWN)
        if form is not Format.JSON:
            return written(form, [filed.alert], self._clock(), self._version)
        return tagged(request, alert_page(filed), VARY)

    async def change(self, request: Request, alert_id: AlertId) -> Response:
        """Say that somebody has taken care of an alert, or that nobody wants to hear of it for a while.

        Both stay while the alert grows, and can be taken back.
        """
        change = await read_model(request, AlertChange)
        filed = await run_in_threadpool(self._change, request, alert_id, change)
        return tagged(request, alert_page(filed))

    def _change(self, request: Request, alert_id: str, change: AlertChange) -> Filed:
        with self._store.begin() as unit:
            filed = unit.desk.alert(alert_id)
            if filed is None:
                raise NotFoundError(_UNKNOWN)
            check_unchanged(request, alert_page(filed))
            if "acknowledged" in change.model_fields_set:
                who = actor(request) if change.acknowledged else None
                filed = unit.desk.acknowledge(alert_id, who, self._clock())
            if "muted_until" in change.model_fields_set:
                filed = unit.desk.mute(alert_id, change.muted_until, actor(request))
        return filed

    def comments(
        self,
        request: Request,
        response: Response,
        alert_id: AlertId,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items of a page, at most")] = 100,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    ) -> CommentPage:
        """List what people wrote about an alert, oldest first. The Link header leads to the next page."""
        with self._store.read() as unit:
            page = unit.desk.comments(alert_id, limit, cursor)
        if page.next is not None:
            response.headers["Link"] = next_link(request, page.next)
        return CommentPage(items=[*map(_comment, page.items)], next=page.next)

    async def comment(self, request: Request, alert_id: AlertId) -> CommentOut:
        """Write something about an alert; it stays while the alert grows."""
        comment = await read_model(request, CommentIn)
        return _comment(await run_in_threadpool(self._comment, alert_id, actor(request), comment.text))

    def _comment(self, alert_id: str, author: str, text: str) -> Comment:
        with self._store.begin() as unit:
            return unit.desk.comment(alert_id, author, text, self._clock())


def alert_query(wanted: AlertFilter) -> AlertQuery:
    """Return what a request asks of the store, but for the state."""
    return AlertQuery(
        kind=wanted.kind,
        source=wanted.source,
        since=wanted.since,
        sensor=wanted.sensor,
        limit=wanted.limit,
        cursor=wanted.cursor,
        allowed=wanted.allowed,
        until=wanted.until,
        service=wanted.service,
        pattern=wanted.pattern,
        least=wanted.min_score,
    )


def _comment(comment: Comment) -> CommentOut:
    return CommentOut(
        id=str(comment.number), time=format_time(comment.at), author=comment.author, text=comment.text
    )
