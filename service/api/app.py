"""The HTTP application, put together from parts that are handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.api import problems
from service.api.access import AccessMiddleware
from service.api.headers import HeadersMiddleware
from service.api.problems import Problem
from service.api.routes.alerts import AlertRoutes
from service.api.routes.health import HealthRoutes, MetricRoutes
from service.api.routes.patterns import PatternRoutes
from service.api.routes.windows import WindowRoutes
from service.api.schemas import Judgement, WindowIn
from service.api.seen import Outside, Seen
from service.observe import SILENT, Observer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from service.api.access import Gate
    from service.api.ingest import Ingest
    from service.api.spec import ApiSpec
    from service.store.repository import Store

_DESCRIPTION = """
Finds the search that comes before an attack: scans and their port patterns, in network traffic.

Times go out as ISO 8601 in UTC. Every failure is a problem document (RFC 9457).
"""

_TAGS = [
    {"name": "windows", "description": "Traffic comes in, as counts or as a capture."},
    {"name": "alerts", "description": "Scans that were found."},
    {"name": "patterns", "description": "Services that are tried together, and by whom."},
    {"name": "health", "description": "For supervisors."},
]


_NOBODY = Outside()


def create_app(
    spec: ApiSpec,
    ingest: Ingest,
    store: Store,
    version: str,
    outside: Outside = _NOBODY,
    gate: Gate | None = None,
) -> FastAPI:
    """Return the application; it closes neither the store nor anything else that it was given.

    Without a `gate` everybody may do everything.
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
    app.include_router(WindowRoutes(spec, ingest, store).router())
    app.include_router(PatternRoutes(store).router())
    app.include_router(AlertRoutes(store).router())
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
            [(WindowIn, "validation"), (Judgement, "validation"), (Problem, "serialization")],
            ref_template="#/components/schemas/{model}",
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas["$defs"])
        return document
