"""Sources: what is known of one address."""

from http import HTTPStatus
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response

from service.api.links import ALERTS, PATTERNS, SOURCES, WINDOWS, next_link
from service.api.problems import problem_responses
from service.api.resources import ActivityOut, ActivityPage, Incident, Membership, SourceOut, Tried
from service.api.schemas import ActivityFilter, OneSource
from service.capture.services import format_service
from service.export.document import format_time
from service.patterns.pattern import Pattern
from service.store.desk import Filed
from service.store.repository import AlertQuery, Page
from service.store.sources import Activity, WindowQuery
from service.store.sql import SqlStore

LISTED = 100
"""Incidents of a source."""
LISTED_WINDOWS = 20
"""Windows that are shown with a source."""
LISTED_SERVICES = 20
"""Services of a source in a window."""

Source = Annotated[OneSource, Path(description="An IPv4 or IPv6 address")]


class SourceRoutes:
    """Shows what one address did."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def readers(self) -> APIRouter:
        """Return the routes."""
        problems = problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
        router = APIRouter(prefix=SOURCES, tags=["sources"], responses=problems)
        router.add_api_route("/{source}", self.show, summary="Show what is known of an address")
        router.add_api_route(
            "/{source}/windows",
            self.windows,
            summary="List the windows in which an address was active",
            responses=problem_responses(HTTPStatus.NOT_FOUND),
        )
        return router

    def show(self, source: Source) -> SourceOut:
        """Show the incidents of an address, the patterns that it follows, and what it tried in its latest windows.

        Of an address that nothing is known of, all of this is empty.
        """
        with self._store.read() as unit:
            alerts = [
                filed
                for allowed in (False, True)
                for filed in unit.desk.alerts(AlertQuery(source=source, limit=LISTED, allowed=allowed), 0).items
            ]
            summed, patterns = unit.sources.incidents(source), unit.sources.patterns(source)
            found = unit.sources.windows(WindowQuery(source, limit=LISTED_WINDOWS))
        alerts.sort(key=lambda filed: -filed.alert.first_seen)
        spans = [_span(activity) for activity in found.items]
        first = [time for time in (summed.first_seen, *(span[0] for span in spans)) if time is not None]
        last = [time for time in (summed.last_seen, *(span[1] for span in spans)) if time is not None]
        return SourceOut(
            source=source,
            first_seen=format_time(min(first)) if first else None,
            last_seen=format_time(max(last)) if last else None,
            incident_count=summed.count,
            incidents=[*map(_incident, alerts[:LISTED])],
            patterns=[_membership(pattern, share) for pattern, share in patterns],
            windows=_page(found),
            windows_url=f"{SOURCES}/{source}/windows",
        )

    def windows(
        self, request: Request, response: Response, source: Source, wanted: Annotated[ActivityFilter, Query()]
    ) -> ActivityPage:
        """List what an address tried, window by window, the latest end first. The Link header leads on."""
        query = WindowQuery(source, wanted.sensor, wanted.since, wanted.until, wanted.limit, wanted.cursor)
        with self._store.read() as unit:
            found = unit.sources.windows(query)
        if found.next is not None:
            response.headers["Link"] = next_link(request, found.next)
        return _page(found)


def _incident(filed: Filed) -> Incident:
    alert = filed.alert
    return Incident(
        id=alert.id,
        url=f"{ALERTS}/{alert.id}",
        kind=alert.kind.value,
        sensor=alert.sensor,
        first_seen=format_time(alert.first_seen),
        last_seen=format_time(alert.last_seen),
        excess=alert.excess,
        state="ended" if filed.ended else "open",
        reason=alert.reason,
        allowed_by=alert.allowed_by,
    )


def _membership(pattern: Pattern, share: float) -> Membership:
    return Membership(
        id=pattern.id,
        url=f"{PATTERNS}/{pattern.id}",
        name=pattern.name,
        sensor=pattern.sensor,
        share=share,
        last_seen=format_time(pattern.last_seen),
    )


def _page(found: Page[Activity]) -> ActivityPage:
    return ActivityPage(items=[*map(_activity, found.items)], next=found.next)


def _span(activity: Activity) -> tuple[int, int]:
    """Return when a source was first and last seen in a window, ns since the epoch."""
    rows = activity.counts.rows
    mine = rows.source == activity.source
    return int(rows.first[mine].min()), int(rows.last[mine].max())


def _activity(activity: Activity) -> ActivityOut:
    counts, rows = activity.counts, activity.counts.rows
    mine = np.flatnonzero(rows.source == activity.source)
    heaviest = mine[np.argsort(-rows.attempts[mine], kind="stable")][:LISTED_SERVICES]
    first, last = _span(activity)
    return ActivityOut(
        id=counts.id,
        url=f"{WINDOWS}/{counts.id}",
        sensor=counts.sensor,
        start=format_time(counts.start),
        end=format_time(counts.end),
        attempts=int(rows.attempts[mine].sum()),
        targets=int(counts.totals.targets[activity.source]),
        service_count=len(mine),
        services=[
            Tried(
                service=format_service(int(rows.service[row])),
                attempts=int(rows.attempts[row]),
                targets=int(rows.targets[row]),
                answered=int(rows.answered[row]),
            )
            for row in heaviest.tolist()
        ],
        first_seen=format_time(first),
        last_seen=format_time(last),
    )
