"""The web application, who is let in, and the worker beside it."""

from __future__ import annotations

import os
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from service.access.rates import RateSpec
from service.api.access import AccessSpec, Gate
from service.api.app import create_app
from service.api.seen import Outside
from service.api.spec import ApiSpec
from service.disk import temporary_folder
from service.doctor import database_folder
from service.errors import SettingsError
from service.intake import Intake, IntakeSpec
from service.listening import is_loopback
from service.readiness import Readiness, ReadinessSpec, StoreGauges
from service.relay import Exposition
from service.settings import PREFIX
from service.specs import read_allow_list_file
from service.store.issue import admit_setting
from service.store.sql import SqlStore
from service.web.days import day_routes
from service.web.docs import docs_routes
from service.web.page import page_routes
from service.work.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi import FastAPI

    from service.instruments import Instruments
    from service.settings import Settings


def web_application(
    settings: Settings,
    url: str,
    instruments: Instruments,
    host: str,
    figures: Path | None,
    works: Callable[[], bool] = lambda: True,
) -> FastAPI:
    """Return the web application: the API and the page, for an address that is to be listened on.

    `url` is the database's. In the folder `figures` other processes write their metrics; `works` tells whether the
    worker beside it can do its work. Raises SettingsError if all the network could come in.
    """
    store = SqlStore(url, observer=instruments.observer)
    folders = (database_folder(url), *temporary_folder())
    ready = ReadinessSpec(folders, settings.min_free_bytes, settings.stuck_seconds)
    instruments.registry.register(StoreGauges(store))
    outside = Outside(
        instruments.observer,
        Readiness(ready, store, works=works).failures,
        Exposition(instruments.registry, figures).page,
    )
    spec = ApiSpec(
        max_json_bytes=settings.max_json_bytes,
        max_capture_bytes=settings.max_capture_bytes,
        max_body_bytes=settings.max_body_bytes,
        max_rows=settings.max_rows,
        false_alarms=settings.false_alarms,
        allow_rules=tuple(rule.text for rule in read_allow_list_file(settings.allow_list).rules),
    )
    queue = IntakeSpec(settings.queue_jobs, settings.queue_bytes)
    intake = Intake(queue, store, observer=instruments.observer)
    app = create_app(spec, intake, store, version("yocho"), outside, _gate(settings, store, host))
    app.include_router(page_routes(store, version("yocho")))
    app.include_router(day_routes(store, version("yocho")))
    app.include_router(docs_routes())
    return app


def worker_beside(settings: Settings, database: str | None, figures: Path) -> Supervisor:
    """Return what keeps a worker running on the same database, which writes its metrics into a folder."""
    code = "from service.wiring import main; main()"
    command = [sys.executable, "-c", code, "worker", "--with-parent"]
    # All that is set, by flag, file or variable, as variables: it gets no other ones of ours.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = settings.model_copy(update={"metrics": f"file:{figures}/worker.prom", "admin_token": ""})
    return Supervisor(
        command + (["--database", database] if database else []),
        inherited | given.as_environment(),
    )


def _gate(settings: Settings, store: SqlStore, host: str) -> Gate:
    """Return who lets visitors in; raises SettingsError if all the network could come in."""
    if settings.admin_token:
        admit_setting(store, settings.admin_token, time.time_ns())
    local = is_loopback(host)
    with store.read() as reader:
        if not local and not reader.tokens.any_valid(time.time_ns()):
            raise SettingsError(
                f"--host {host}: without tokens only this machine may be served; make one first: "
                "yocho token create NAME --scope admin"
            )
    rates = RateSpec(settings.rate, burst=4 * settings.rate)
    return Gate(store, AccessSpec(open_without_tokens=local, rates=rates))
