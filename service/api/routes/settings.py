"""Settings that change while the service runs."""

import time
from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from service.api.links import SETTINGS
from service.api.problems import problem_responses
from service.api.resources import SettingOut, SettingsOut
from service.api.schemas import SettingsChange
from service.api.writes import PROBLEMS, actor, body_of, read_model
from service.export.document import format_time
from service.store.settings import FALSE_ALARMS, Setting
from service.store.sql import SqlStore


class SettingRoutes:
    """Shows and changes settings; `false_alarms` is what is configured."""

    def __init__(self, store: SqlStore, false_alarms: float, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._false_alarms = false_alarms
        self._clock = clock

    def readers(self) -> APIRouter:
        """Return the routes that read."""
        problems = problem_responses(HTTPStatus.SERVICE_UNAVAILABLE)
        router = APIRouter(prefix=SETTINGS, tags=["settings"], responses=problems)
        router.add_api_route("", self.show, summary="Show the settings")
        return router

    def writers(self) -> APIRouter:
        """Return the routes that write."""
        router = APIRouter(prefix=SETTINGS, tags=["settings"], responses=PROBLEMS)
        router.add_api_route(
            "",
            self.change,
            methods=["PATCH"],
            summary="Change settings",
            openapi_extra=body_of(SettingsChange),
        )
        return router

    def show(self) -> SettingsOut:
        """Show what can be changed while the service runs, and who has changed it."""
        with self._store.read() as unit:
            return self._document(unit.settings.all())

    async def change(self, request: Request) -> SettingsOut:
        """Change settings; they hold from the next window on, in all workers, and over restarts."""
        change = await read_model(request, SettingsChange)
        return await run_in_threadpool(self._change, change.false_alarms, actor(request))

    def _change(self, false_alarms: float | None, who: str) -> SettingsOut:
        with self._store.begin() as unit:
            if false_alarms is None:
                unit.settings.reset(FALSE_ALARMS)
            else:
                unit.settings.put(Setting(FALSE_ALARMS, false_alarms, self._clock(), who))
            return self._document(unit.settings.all())

    def _document(self, changed: dict[str, Setting]) -> SettingsOut:
        setting = changed.get(FALSE_ALARMS)
        return SettingsOut(
            false_alarms=SettingOut(
                value=self._false_alarms if setting is None else float(setting.value),
                configured=self._false_alarms,
                changed_at=None if setting is None else format_time(setting.changed),
                changed_by=None if setting is None else setting.changed_by,
            )
        )
