"""What supervisors ask: whether it lives, whether it can work, and what it counts."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from service.api.answers import Health
from service.api.problems import problem_responses

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class HealthRoutes:
    """Answers load balancers and container supervisors."""

    def __init__(self, failures: Callable[[], Sequence[str]], version: str) -> None:
        self._failures = failures
        self._version = version

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["health"])
        router.add_api_route("/healthz", self.live, summary="Tell whether the process lives")
        router.add_api_route(
            "/readyz",
            self.ready,
            summary="Tell whether the service can do its work",
            responses=problem_responses(HTTPStatus.SERVICE_UNAVAILABLE),
        )
        return router

    async def live(self) -> Health:
        """Answer, without a look at anything else: a process that does so need not be started again."""
        return Health(status="ok", version=self._version)

    def ready(self) -> Health:
        """Fail with 503 if the store can't be read, waiting work does not move, or the disk is full."""
        if failures := self._failures():
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(failures))
        return Health(status="ready", version=self._version)


class MetricRoutes:
    """Answers Prometheus."""

    def __init__(self, page: Callable[[], bytes]) -> None:
        self._page = page

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(tags=["health"])
        router.add_api_route(
            "/metrics",
            self.show,
            summary="Show what is counted, for Prometheus",
            response_class=Response,
            responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        )
        return router

    def show(self) -> Response:
        """Show all metrics in the text format of Prometheus; docs/operations.md lists them."""
        return Response(self._page(), headers={"content-type": PROMETHEUS})
