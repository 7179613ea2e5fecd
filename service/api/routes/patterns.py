"""Patterns: services that are tried together."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.links import PATTERNS, next_link
from service.api.problems import problem_responses
from service.api.schemas import Filter, PatternOut, PatternPage
from service.errors import NotFoundError
from service.export.document import pattern_document
from service.store.repository import PatternQuery, Store


class PatternRoutes:
    """Reads patterns."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def router(self) -> APIRouter:
        """Return the routes."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=PATTERNS, tags=["patterns"], responses=problems)
        router.add_api_route("", self.list, summary="List patterns")
        router.add_api_route("/{pattern_id}", self.show, summary="Show a pattern")
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
            raise NotFoundError("pattern: none has this id; GET /v1/patterns lists them")
        return PatternOut(**pattern_document(pattern))
