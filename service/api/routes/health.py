"""Whether the service can do its work."""

from http import HTTPStatus

from fastapi import APIRouter

from service.api.answers import Health
from service.api.problems import problem_responses
from service.store.repository import PatternQuery, Store


class HealthRoutes:
    """Answers load balancers and container supervisors."""

    def __init__(self, store: Store, version: str) -> None:
        self._store = store
        self._version = version

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["health"])
        router.add_api_route(
            "/healthz",
            self.show,
            summary="Tell whether the store can be read",
            responses=problem_responses(HTTPStatus.SERVICE_UNAVAILABLE),
        )
        return router

    def show(self) -> Health:
        """Read from the store, and fail with 503 if that fails."""
        with self._store.read() as reader:
            reader.patterns(PatternQuery(limit=1))
        return Health(status="ok", version=self._version)
