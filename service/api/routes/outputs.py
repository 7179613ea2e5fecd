"""Outputs of alerts: how far they are, and what they gave up."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from service.api.answers import Reference
from service.api.links import ALERTS, OUTPUTS, next_link
from service.api.problems import problem_responses
from service.api.resources import DeadLetterOut, DeadLetterPage, OutputList, OutputOut
from service.api.schemas import MAX_PAGE
from service.export.document import format_time
from service.store.deliveries import DeadLetter, Standing
from service.store.sql import SqlStore

Name = Annotated[str, Path(description="Name of the output", examples=["soc"])]


class OutputRoutes:
    """Shows outputs, and lets them try again what they gave up."""

    def __init__(self, store: SqlStore, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    def readers(self) -> APIRouter:
        """Return the routes that read."""
        router = APIRouter(
            prefix=OUTPUTS, tags=["outputs"], responses=problem_responses(HTTPStatus.SERVICE_UNAVAILABLE)
        )
        missing = problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
        router.add_api_route("", self.list, summary="List outputs")
        router.add_api_route("/{name}", self.show, summary="Show an output", responses=missing)
        router.add_api_route(
            "/{name}/dead-letters", self.letters, summary="List what an output gave up", responses=missing
        )
        return router

    def writers(self) -> APIRouter:
        """Return the route that writes."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=OUTPUTS, tags=["outputs"], responses=problems)
        router.add_api_route(
            "/{name}/retry", self.retry, methods=["POST"], summary="Let an output try again what it gave up"
        )
        return router

    def list(self) -> OutputList:
        """List all outputs that have begun, also those that are configured no more."""
        with self._store.read() as unit:
            standings = unit.deliveries.standings()
        now = self._clock()
        return OutputList(items=[_document(each, now) for each in standings])

    def show(self, name: Name) -> OutputOut:
        """Show how far an output is, what it waits for, and how much it gave up."""
        with self._store.read() as unit:
            standing = unit.deliveries.standing(name)
        return _document(standing, self._clock())

    def letters(
        self,
        request: Request,
        response: Response,
        name: Name,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items of a page, at most")] = 100,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    ) -> DeadLetterPage:
        """List events that an output gave up, latest first. The Link header leads to the next page."""
        with self._store.read() as unit:
            unit.deliveries.begun(name)
            found, following = unit.deliveries.letters(name, limit, cursor)
        if following is not None:
            response.headers["Link"] = next_link(request, following)
        return DeadLetterPage(items=[*map(_letter, found)], next=following)

    def retry(self, name: Name) -> OutputOut:
        """Put back what an output gave up: a worker tries these events at once, before all others."""
        with self._store.begin() as unit:
            unit.deliveries.put_back(name)
            standing = unit.deliveries.standing(name)
        return _document(standing, self._clock())


def _document(standing: Standing, now: int) -> OutputOut:
    delivery = standing.delivery
    return OutputOut(
        name=delivery.output,
        url=f"{OUTPUTS}/{delivery.output}",
        position=delivery.position,
        behind=standing.behind,
        behind_seconds=standing.waited(now),
        tries=delivery.tries,
        failure=delivery.failure,
        next_try_seconds=round(delivery.waits(now) / 1e9, 3) if delivery.failure else 0.0,
        dead_letters=standing.dead,
        put_back=standing.returned,
    )


def _letter(letter: DeadLetter) -> DeadLetterOut:
    event = letter.event
    return DeadLetterOut(
        id=str(letter.number),
        time=format_time(letter.at),
        reason=letter.reason,
        sequence=event.sequence,
        event=event.kind.value,
        at=format_time(event.at),
        alert=Reference(id=event.alert, url=f"{ALERTS}/{event.alert}"),
    )
