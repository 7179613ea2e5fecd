"""How the service is doing."""

import time
from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter

from service.api.links import STATUS
from service.api.problems import problem_responses
from service.api.resources import StatusOut, StoreOut, WorkOut
from service.api.routes.sensors import sensor_document
from service.api.streams import AlertStreams
from service.export.document import format_time
from service.store.gauges import Gauges
from service.store.schema import HEAD
from service.store.sql import SqlStore

LISTED = 100
"""Sensors."""


class StatusRoutes:
    """Shows figures for people; supervisors ask /healthz."""

    def __init__(
        self, store: SqlStore, streams: AlertStreams, version: str, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._store = store
        self._streams = streams
        self._version = version
        self._clock = clock

    def readers(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(tags=["status"], responses=problem_responses(HTTPStatus.SERVICE_UNAVAILABLE))
        router.add_api_route(STATUS, self.show, summary="Show how the service is doing")
        return router

    def show(self) -> StatusOut:
        """Show the version, the store, the work that waits, and how far each sensor is behind."""
        with self._store.read() as unit:
            kind, gauges, names = unit.overview.kind(), unit.gauges.read(), unit.overview.names()
            sensors = [unit.overview.sensor(name) for name in names[:LISTED]]
        now = self._clock()
        return StatusOut(
            version=self._version,
            time=format_time(now),
            store=StoreOut(kind=kind, revision=HEAD),
            work=_work(gauges, now),
            open_streams=self._streams.open,
            sensor_count=len(names),
            sensors=[sensor_document(each, now) for each in sensors if each],
        )


def _work(gauges: Gauges, now: int) -> WorkOut:
    waited = None if gauges.oldest_waiting is None else (now - gauges.oldest_waiting) / 1e9
    return WorkOut(jobs=gauges.waiting, bytes=gauges.waiting_bytes, oldest_seconds=waited)
