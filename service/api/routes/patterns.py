"""Patterns: services that are tried together."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api.answers import PatternHistory, PatternOut, PatternPage, VersionOut
from service.api.conditional import NOT_MODIFIED, PRECONDITION, check_unchanged, tagged
from service.api.links import PATTERNS, next_link
from service.api.problems import problem_responses
from service.api.schemas import Judgement, PatternFilter
from service.api.writes import PROBLEMS, body_of, read_model
from service.errors import NotFoundError
from service.export.document import pattern_document, version_document
from service.patterns.catalogue import judge
from service.patterns.pattern import Pattern, Status
from service.store.repository import PatternQuery, Store

PatternId = Annotated[str, Path(description="Id of the pattern", examples=["p1c0ffee"])]

_UNKNOWN = "pattern: none has this id; GET /v1/patterns lists them"


class PatternRoutes:
    """Shows patterns, and takes what a person says of them."""

    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    def readers(self) -> APIRouter:
        """Return the routes that read."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=PATTERNS, tags=["patterns"], responses=problems)
        add = router.add_api_route
        add("", self.list, summary="List patterns", response_model=PatternPage, responses=NOT_MODIFIED)
        add("/{pattern_id}", self.show, summary="Show a pattern", response_model=PatternOut, responses=NOT_MODIFIED)
        add("/{pattern_id}/versions", self.versions, summary="Show what happened to a pattern")
        return router

    def writers(self) -> APIRouter:
        """Return the routes that write."""
        problems = PROBLEMS | problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)
        router = APIRouter(prefix=PATTERNS, tags=["patterns"], responses=problems)
        router.add_api_route(
            "/{pattern_id}",
            self.judge,
            methods=["PATCH"],
            summary="Say what a pattern is",
            response_model=PatternOut,
            openapi_extra=body_of(Judgement, *PRECONDITION),
        )
        return router

    def list(self, request: Request, wanted: Annotated[PatternFilter, Query()]) -> Response:
        """List patterns that fit all filters, last found first. The Link header leads to the next page."""
        query = PatternQuery(
            wanted.sensor, wanted.limit, wanted.cursor, wanted.status, wanted.state, wanted.service
        )
        with self._store.read() as reader:
            page = reader.patterns(query)
        headers = {"Link": next_link(request, page.next)} if page.next is not None else {}
        return tagged(request, PatternPage(items=[*map(_document, page.items)], next=page.next), headers)

    def show(self, request: Request, pattern_id: PatternId) -> Response:
        """Show one pattern as it was in its latest window."""
        with self._store.read() as reader:
            pattern = reader.pattern(pattern_id)
        if pattern is None:
            raise NotFoundError(_UNKNOWN)
        return tagged(request, _document(pattern))

    async def judge(self, request: Request, pattern_id: PatternId) -> Response:
        """Give a pattern a status that no window changes; the pattern's versions tell when."""
        judgement = await read_model(request, Judgement)
        judged = await run_in_threadpool(self._judge, request, pattern_id, judgement)
        return tagged(request, _document(judged))

    def _judge(self, request: Request, pattern_id: str, judgement: Judgement) -> Pattern:
        with self._store.begin() as unit:
            pattern = unit.pattern(pattern_id)
            if pattern is None:
                raise NotFoundError(_UNKNOWN)
            check_unchanged(request, _document(pattern))
            judged, version = judge(pattern, Status(judgement.status), self._clock())
            unit.save_patterns([judged], [version])
        return judged

    def versions(self, pattern_id: PatternId) -> PatternHistory:
        """Show the latest versions of a pattern: birth, drift, splits, mergers, retirement, return, judgements."""
        with self._store.read() as reader:
            pattern, versions = reader.pattern(pattern_id), reader.versions(pattern_id)
        if pattern is None:
            raise NotFoundError(_UNKNOWN)
        return PatternHistory(items=[VersionOut(**version_document(version)) for version in versions])


def _document(pattern: Pattern) -> PatternOut:
    return PatternOut(**pattern_document(pattern))
