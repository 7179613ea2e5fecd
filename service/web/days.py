"""A page of a year: the scans that began each day, and the sums of windows that are no longer kept."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from fastapi import APIRouter, Response

from service.alerts.reason import scale
from service.store.days import DAY
from service.web.page import COLOURS, HEADERS, drawn, template_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from service.store.days import Day
    from service.store.sql import SqlStore

_SHOWN = 366
"""Days."""


def day_routes(store: SqlStore, version: str, clock: Callable[[], int] = time.time_ns) -> APIRouter:
    """Return the route of the page; `clock` gives ns since the epoch."""
    router = APIRouter(include_in_schema=False)
    template = template_named("days.html")

    @router.get("/days")
    def page() -> Response:
        until = clock() // DAY * DAY + DAY
        since = until - _SHOWN * DAY
        with store.read() as unit:
            days, alerts = unit.days.totals(since, until), unit.overview.alerts_by_day(since, until)
        html = template.render(
            version=version,
            days=sorted(days, key=lambda day: (-day.start, day.length)),
            alerts=sum(alerts.values()),
            date=_date,
            scale=scale,
            pictures={"scans": _scans(alerts), "attempts": _attempts(days)},
        )
        return Response(html, media_type="text/html", headers=HEADERS)

    return router


def _scans(alerts: Mapping[tuple[int, str], int]) -> str:
    """Return a picture of how many scans began on each day, by kind."""
    figure = go.Figure()
    for kind in sorted({kind for _, kind in alerts}):
        mine = {day: number for (day, of), number in alerts.items() if of == kind}
        figure.add_bar(name=kind, x=[*map(_date, mine)], y=[*mine.values()], marker_color=COLOURS[kind])
    return _stacked(figure)


def _attempts(days: Sequence[Day]) -> str:
    """Return a picture of the attempts of each day; windows of other lengths tell of the same ones again."""
    figure = go.Figure()
    for length in sorted({day.length for day in days}):
        mine = [day for day in days if day.length == length]
        figure.add_scatter(
            name=f"windows of {scale(length)}",
            mode="lines+markers",
            x=[_date(day.start) for day in mine],
            y=[day.attempts for day in mine],
            hovertext=[f"{day.windows} windows, {day.answered} answered, {day.shed} shed" for day in mine],
        )
    return _stacked(figure)


def _stacked(figure: go.Figure) -> str:
    figure.update_layout(
        barmode="stack",
        xaxis_type="date",
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 30},
        yaxis={"automargin": True, "rangemode": "tozero"},
        legend={"orientation": "h"},
        showlegend=True,
    )
    return drawn(figure)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day / 1e9, UTC).strftime("%Y-%m-%d")
