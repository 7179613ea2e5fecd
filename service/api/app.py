"""The HTTP application, put together from parts that are handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api import answers, job_answers, problems, resources
from service.api.access import AccessMiddleware
from service.api.body_room import BodyRoom
from service.api.headers import HeadersMiddleware
from service.api.routes.alert_stream import AlertStreamRoutes
from service.api.routes.alerts import AlertRoutes
from service.api.routes.allow import AllowRoutes
from service.api.routes.audit import AuditRoutes
from service.api.routes.days import DayRoutes
from service.api.routes.health import HealthRoutes, MetricRoutes
from service.api.routes.jobs import JobRoutes
from service.api.routes.outputs import OutputRoutes
from service.api.routes.patterns import PatternRoutes
from service.api.routes.sensors import SensorRoutes
from service.api.routes.settings import SettingRoutes
from service.api.routes.sources import SourceRoutes
from service.api.routes.status import StatusRoutes
from service.api.routes.windows import WindowRoutes
from service.api.schemas import AlertChange, AllowRuleIn, CommentIn, Judgement, SettingsChange, WindowIn
from service.api.seen import Outside, Seen
from service.api.streams import AlertStreams
from service.observe import SILENT, Observer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from service.api.access import Gate
    from service.api.ingest import Ingest
    from service.api.spec import ApiSpec
    from service.store.sql import SqlStore

_DESCRIPTION = """
Finds the search that comes before an attack: scans and their port patterns, in network traffic.

Times go out as ISO 8601 in UTC. Every failure is a problem document (RFC 9457).
"""

_TAGS = [
    {"name": "windows", "description": "Traffic comes in, as counts or as a capture."},
    {"name": "alerts", "description": "Scans that were found."},
    {"name": "patterns", "description": "Services that are tried together, and by whom."},
    {"name": "sources", "description": "What is known of one address."},
    {"name": "sensors", "description": "What has come from whom."},
    {"name": "allow-rules", "description": "Sources that may scan."},
    {"name": "settings", "description": "What changes while the service runs."},
    {"name": "outputs", "description": "Alerts that go by themselves."},
    {"name": "audit", "description": "Who changed what, and when."},
    {"name": "status", "description": "How the service is doing."},
    {"name": "health", "description": "For supervisors."},
]


_NOBODY = Outside()
_POSTED = (WindowIn, Judgement, AlertChange, CommentIn, SettingsChange, AllowRuleIn)


def create_app(
    spec: ApiSpec,
    ingest: Ingest,
    store: SqlStore,
    version: str,
    outside: Outside = _NOBODY,
    gate: Gate | None = None,
) -> FastAPI:
    """Return the application; it closes neither the store nor anything else that it was given.

    Without a `gate` everybody may do everything. `state.streams` of the application are open streams of alerts, to
    be closed before it is stopped.
    """
    app = _Application(
        title="Yocho",
        version=version,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        redoc_url=None,
        docs_url=None,
        redirect_slashes=False,
    )
    app.observer = outside.observer
    problems.install(app)
    if gate is not None:
        app.add_middleware(AccessMiddleware, gate=gate)
    app.add_middleware(HeadersMiddleware)
    bodies = BodyRoom(spec.max_body_bytes, outside.observer)
    app.include_router(WindowRoutes(spec, ingest, store, bodies).router())
    app.include_router(JobRoutes(ingest).router())
    streams = AlertStreams(store, spec.streams)
    app.state.streams = streams
    patterns, alerts = PatternRoutes(store), AlertRoutes(store, version)
    settings, rules = SettingRoutes(store, spec.false_alarms), AllowRoutes(store, spec.allow_rules)
    outputs = OutputRoutes(store)
    # Before the alerts: an id would be read out of its path.
    app.include_router(AlertStreamRoutes(streams).readers())
    for readers in (
        patterns,
        alerts,
        SourceRoutes(store),
        SensorRoutes(store),
        DayRoutes(store),
        rules,
        settings,
        StatusRoutes(store, streams, version),
        outputs,
        AuditRoutes(store),
    ):
        app.include_router(readers.readers())
    for writers in (patterns, alerts, rules, settings, outputs):
        app.include_router(writers.writers())
    app.include_router(HealthRoutes(outside.failures, version).router())
    app.include_router(MetricRoutes(outside.metrics).router())
    return app


class _Application(FastAPI):
    """Describes also the documents that FastAPI does not see: what is posted, and problems."""

    observer: Observer = SILENT

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application as the server calls it; outermost: the answer to a defect has an id as well."""
        return Seen(super().build_middleware_stack(), self.observer)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI description."""
        document = super().openapi()
        _, schemas = models_json_schema(
            [*((model, "validation") for model in _POSTED), *((model, "serialization") for model in _sent())],
            ref_template="#/components/schemas/{model}",
        )
        described = document.setdefault("components", {}).setdefault("schemas", {})
        # FastAPI leaves out what is null, in examples too; so what goes out is described again.
        described.update(schemas["$defs"])
        for schema in described.values():
            if "enum" in schema:
                schema.setdefault("examples", schema["enum"][:1])
        return document


def _sent() -> list[type[BaseModel]]:
    """Return the models of all documents that go out."""
    return [
        value
        for module in (answers, job_answers, problems, resources)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == module.__name__
    ]
