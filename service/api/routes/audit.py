"""The audit log: who changed what, and when."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.links import AUDIT, next_link
from service.api.problems import problem_responses
from service.api.resources import ChangeOut, ChangePage
from service.api.schemas import AuditFilter
from service.export.document import format_time
from service.store.audit import AuditQuery, Change
from service.store.sql import SqlStore


class AuditRoutes:
    """Shows the audit log."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def readers(self) -> APIRouter:
        """Return the route."""
        problems = problem_responses(
            HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
        )
        router = APIRouter(prefix=AUDIT, tags=["audit"], responses=problems)
        router.add_api_route("", self.list, summary="List what was changed, and by whom")
        return router

    def list(self, request: Request, response: Response, wanted: Annotated[AuditFilter, Query()]) -> ChangePage:
        """List requests that changed something or were to, refused ones too, latest first.

        It takes the scope admin. The Link header leads to the next page.
        """
        query = AuditQuery(wanted.limit, wanted.cursor, wanted.actor, wanted.method, wanted.since, wanted.until)
        with self._store.read() as unit:
            changes, following = unit.audit.page(query)
        if following is not None:
            response.headers["Link"] = next_link(request, following)
        return ChangePage(items=[*map(_document, changes)], next=following)


def _document(change: Change) -> ChangeOut:
    return ChangeOut(
        id=str(change.sequence),
        time=format_time(change.at),
        actor=change.actor,
        method=change.action,
        path=change.target,
        status=change.status,
        request=change.request,
    )
