"""Sensors: what has come from whom."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from service.alerts.history import HistorySpec
from service.alerts.incidents import DAY
from service.api.links import SENSORS, next_link
from service.api.problems import problem_responses
from service.api.resources import SensorOut, SensorPage
from service.errors import NotFoundError
from service.export.document import format_time
from service.store.cursor import read_place, write_place
from service.store.overview import SensorFigures
from service.store.sql import SqlStore

_LISTING = "sensors"
_UNKNOWN = "sensor: nothing has come from one of this name; GET /v1/sensors lists them"


class SensorRoutes:
    """Shows sensors."""

    def __init__(self, store: SqlStore, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    def readers(self) -> APIRouter:
        """Return the routes."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=SENSORS, tags=["sensors"], responses=problems)
        router.add_api_route("", self.list, summary="List sensors")
        router.add_api_route("/{name:path}", self.show, summary="Show a sensor")
        return router

    def list(
        self,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=100, description="Items of a page, at most")] = 100,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    ) -> SensorPage:
        """List sensors in the order of their names. The Link header leads to the next page."""
        after = "" if cursor is None else read_place(_LISTING, cursor)[1]
        with self._store.read() as unit:
            names = [name for name in unit.overview.names() if name > after]
            found = [unit.overview.sensor(name) for name in names[:limit]]
        following = write_place(_LISTING, 0, names[limit - 1]) if len(names) > limit else None
        if following is not None:
            response.headers["Link"] = next_link(request, following)
        now = self._clock()
        return SensorPage(items=[sensor_document(each, now) for each in found if each], next=following)

    def show(self, name: Annotated[str, Path(description="Name of the sensor", examples=["edge"])]) -> SensorOut:
        """Show what has come from one sensor, and how far it is behind."""
        with self._store.read() as unit:
            figures = unit.overview.sensor(name)
        if figures is None:
            raise NotFoundError(_UNKNOWN)
        return sensor_document(figures, self._clock())


def sensor_document(figures: SensorFigures, now: int) -> SensorOut:
    """Return the document of a sensor at a time, ns since the epoch."""
    latest, started = figures.latest_end, figures.started
    days = 0.0 if latest is None or started is None else (latest - started) / DAY
    return SensorOut(
        name=figures.name,
        url=f"{SENSORS}/{quote(figures.name, safe='')}",
        windows=figures.windows,
        attempts=figures.attempts,
        shed=figures.shed,
        dropped=figures.dropped,
        first_window=None if started is None else format_time(started),
        latest_window=None if latest is None else format_time(latest),
        lag_seconds=None if latest is None else (now - latest) / 1e9,
        heard_at=None if figures.heard is None else format_time(figures.heard),
        open_alerts=figures.open_alerts,
        history_days=max(0.0, min(days, HistorySpec().days)),
    )
