"""Patterns: services that are tried together."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api.answers import PatternHistory, PatternOut, PatternPage, VersionOut
from service.api.body import check_encoding, media_type, read_body, refuse_type
from service.api.links import PATTERNS, next_link
from service.api.problems import problem_responses
from service.api.schemas import Filter, Judgement
from service.api.strict_json import parse_json, validated
from service.errors import NotFoundError
from service.export.document import pattern_document, version_document
from service.patterns.catalogue import judge
from service.patterns.pattern import Status
from service.store.repository import PatternQuery, Store

JSON = "application/json"

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Judgement"}}},
    }
}
_LONGEST_BODY = 1024
"""Bytes; a status takes twenty."""
_UNKNOWN = "pattern: none has this id; GET /v1/patterns lists them"


class PatternRoutes:
    """Shows patterns, and takes what a person says of them."""

    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    def router(self) -> APIRouter:
        """Return the routes."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=PATTERNS, tags=["patterns"], responses=problems)
        router.add_api_route("", self.list, summary="List patterns")
        router.add_api_route("/{pattern_id}", self.show, summary="Show a pattern")
        router.add_api_route(
            "/{pattern_id}",
            self.judge,
            methods=["PATCH"],
            summary="Say what a pattern is",
            responses=problem_responses(
                HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            ),
            openapi_extra=_BODY,
        )
        router.add_api_route("/{pattern_id}/versions", self.versions, summary="Show what happened to a pattern")
        return router

    def list(self, request: Request, response: Response, wanted: Annotated[Filter, Query()]) -> PatternPage:
        """List patterns, last found first. The Link header leads to the next page."""
        with self._store.read() as reader:
            page = reader.patterns(PatternQuery(wanted.sensor, wanted.limit, wanted.cursor))
        if page.next is not None:
            response.headers["Link"] = next_link(request, page.next)
        items = [PatternOut(**pattern_document(pattern)) for pattern in page.items]
        return PatternPage(items=items, next=page.next)

    def show(self, pattern_id: str) -> PatternOut:
        """Show one pattern as it was in its latest window."""
        with self._store.read() as reader:
            pattern = reader.pattern(pattern_id)
        if pattern is None:
            raise NotFoundError(_UNKNOWN)
        return PatternOut(**pattern_document(pattern))

    async def judge(self, request: Request, pattern_id: str) -> PatternOut:
        """Give a pattern a status that no window changes; the pattern's versions tell when."""
        if media_type(request) != JSON:
            raise refuse_type(media_type(request), (JSON,))
        check_encoding(request, ("identity",))
        body = await read_body(request, _LONGEST_BODY)
        return await run_in_threadpool(self._judge, pattern_id, validated(Judgement, parse_json(body)))

    def _judge(self, pattern_id: str, judgement: Judgement) -> PatternOut:
        with self._store.begin() as unit:
            pattern = unit.pattern(pattern_id)
            if pattern is None:
                raise NotFoundError(_UNKNOWN)
            judged, version = judge(pattern, Status(judgement.status), self._clock())
            unit.save_patterns([judged], [version])
        return PatternOut(**pattern_document(judged))

    def versions(self, pattern_id: str) -> PatternHistory:
        """Show the latest versions of a pattern: birth, drift, splits, mergers, retirement, return, judgements."""
        with self._store.read() as reader:
            pattern, versions = reader.pattern(pattern_id), reader.versions(pattern_id)
        if pattern is None:
            raise NotFoundError(_UNKNOWN)
        return PatternHistory(items=[VersionOut(**version_document(version)) for version in versions])
