"""Days: what is left of windows that are no longer kept."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.links import DAYS, next_link
from service.api.problems import problem_responses
from service.api.resources import DayOut, DayPage
from service.api.schemas import DayFilter
from service.export.document import format_time
from service.store.cursor import read_place, write_place
from service.store.days import Day
from service.store.sql import SqlStore

_LISTING = "days"
_EVER = (1 << 63) - 1


class DayRoutes:
    """Shows days."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def readers(self) -> APIRouter:
        """Return the route."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=DAYS, tags=["sensors"], responses=problems)
        router.add_api_route("", self.list, summary="List the sums of days")
        return router

    def list(self, request: Request, response: Response, wanted: Annotated[DayFilter, Query()]) -> DayPage:
        """List a sensor's days, latest first: the sums of its windows that are no longer kept, by their length.

        Windows that are kept are not in them. The Link header leads to the next page.
        """
        until = _EVER if wanted.until is None else wanted.until
        with self._store.read() as unit:
            days = unit.days.between(wanted.since or 0, until, wanted.sensor)
        days = sorted(days, key=_place)
        if wanted.cursor is not None:
            start, length = read_place(_LISTING, wanted.cursor)
            days = [day for day in days if _place(day) > (-start, length)]
        page, rest = days[: wanted.limit], days[wanted.limit :]
        following = write_place(_LISTING, *_cursor(page[-1])) if rest else None
        if following is not None:
            response.headers["Link"] = next_link(request, following)
        return DayPage(items=[*map(_document, page)], next=following)


def _place(day: Day) -> tuple[int, str]:
    start, length = _cursor(day)
    return -start, length


def _cursor(day: Day) -> tuple[int, str]:
    """Return where a day stands; lengths have as many digits as the largest number, so that they sort as text."""
    return day.start, f"{day.length:019}"


def _document(day: Day) -> DayOut:
    return DayOut(
        sensor=day.sensor,
        day=format_time(day.start),
        window_seconds=day.length / 1e9,
        windows=day.windows,
        attempts=day.attempts,
        answered=day.answered,
        most_sources=day.most_sources,
        most_services=day.most_services,
        shed=day.shed,
    )
