"""Alerts: scans that were found."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.answers import AlertOut, AlertPage
from service.api.links import ALERTS, next_link
from service.api.problems import problem_responses
from service.api.schemas import AlertFilter
from service.errors import NotFoundError
from service.export.document import alert_document
from service.store.repository import AlertQuery, Store


class AlertRoutes:
    """Reads alerts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def router(self) -> APIRouter:
        """Return the routes."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=ALERTS, tags=["alerts"], responses=problems)
        router.add_api_route("", self.list, summary="List alerts")
        router.add_api_route("/{alert_id}", self.show, summary="Show an alert")
        return router

    def list(self, request: Request, response: Response, wanted: Annotated[AlertFilter, Query()]) -> AlertPage:
        """List alerts that fit all filters, last begun first. The Link header leads to the next page."""
        query = AlertQuery(
            wanted.kind, wanted.source, wanted.since, wanted.sensor, wanted.limit, wanted.cursor, wanted.allowed
        )
        with self._store.read() as reader:
            page = reader.alerts(query)
        if page.next is not None:
            response.headers["Link"] = next_link(request, page.next)
        items = [AlertOut(**alert_document(alert)) for alert in page.items]
        return AlertPage(items=items, next=page.next)

    def show(self, alert_id: str) -> AlertOut:
        """Show one alert as it is by now: it grows while the scan goes on."""
        with self._store.read() as reader:
            alert = reader.alert(alert_id)
        if alert is None:
            raise NotFoundError("alert: none has this id; GET /v1/alerts lists them")
        return AlertOut(**alert_document(alert))
