"""One page: which scans were found, when, and the port patterns behind them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import plotly.offline
from fastapi import APIRouter, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from starlette.exceptions import HTTPException

from service.alerts.reason import scale, usual_before, who
from service.store.repository import AlertQuery, PatternQuery, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.alerts.alert import Alert
    from service.patterns.pattern import Pattern

_HERE = Path(__file__).parent
_SHOWN = 100
_SHOWN_PATTERNS = 20
_SHOWN_SERVICES = 40
_SECOND = 1_000_000_000
COLOURS = {"vertical": "#c1440e", "horizontal": "#2a6f97", "block": "#6a4c93", "coordinated": "#3a7d44"}
HEADERS = {
    # Data travels as JSON in the page and is drawn by our own script, so no inline script has to be allowed.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_routes(store: Store, version: str) -> APIRouter:
    """Return the routes of the page and of the files that it loads."""
    router = APIRouter(include_in_schema=False)
    template = template_named("page.html")

    @router.get("/")
    def page() -> Response:
        with store.read() as unit:
            alerts = unit.alerts(AlertQuery(limit=_SHOWN)).items
            patterns = unit.patterns(PatternQuery(limit=_SHOWN_PATTERNS)).items
        html = template.render(
            version=version,
            alerts=alerts,
            patterns=patterns,
            when=_clock,
            who=who,
            usual=usual_before,
            pictures={"timeline": _timeline(alerts), "patterns": _heat(patterns)},
        )
        return Response(html, media_type="text/html", headers=HEADERS)

    @router.get("/assets/plotly.js")
    def plotly_script() -> Response:
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(plotly.offline.get_plotlyjs(), media_type="text/javascript", headers=headers)

    @router.get("/assets/{name}")
    def asset(name: str) -> Response:
        kinds = {"page.js": "text/javascript", "page.css": "text/css"}
        if name not in kinds:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return Response((_HERE / "assets" / name).read_text(), media_type=kinds[name])

    return router


def template_named(name: str) -> Template:
    """Return a template of ours; what it is given is escaped."""
    folder = FileSystemLoader(_HERE / "templates")
    return Environment(
        loader=folder, autoescape=select_autoescape(["html"]), undefined=StrictUndefined
    ).get_template(name)


def _timeline(alerts: Sequence[Alert]) -> str:
    """Return a picture of who scanned when, a bar for each scan."""
    figure = go.Figure()
    for kind in sorted({alert.kind.value for alert in alerts}):
        mine = [alert for alert in alerts if alert.kind.value == kind]
        figure.add_bar(
            orientation="h",
            name=kind,
            base=[_clock(alert.first_seen) for alert in mine],
            x=[max((alert.last_seen - alert.first_seen) / 1e6, 1000.0) for alert in mine],
            y=[f"{who(alert)} {alert.services[0].partition('/')[0]}" for alert in mine],
            hovertext=[alert.reason for alert in mine],
            hoverinfo="text",
            marker_color=COLOURS[kind],
        )
    figure.update_layout(
        barmode="overlay",
        xaxis_type="date",
        height=90 + 26 * max(len(alerts), 3),
        margin={"l": 10, "r": 10, "t": 10, "b": 30},
        yaxis={"automargin": True, "autorange": "reversed"},
        legend={"orientation": "h"},
    )
    return drawn(figure)


def _heat(patterns: Sequence[Pattern]) -> str:
    """Return a picture of the patterns' heaviest services."""
    weights: dict[str, float] = {}
    for pattern in patterns:
        for service, weight in pattern.services:
            weights[service] = max(weights.get(service, 0.0), weight)
    services = sorted(weights, key=lambda service: (-weights[service], service))[:_SHOWN_SERVICES]
    rows = [[dict(pattern.services).get(service, 0.0) for service in services] for pattern in patterns]
    figure = go.Figure(
        go.Heatmap(
            z=rows,
            x=services,
            y=[f"{pattern.id} {scale(pattern.length)} {pattern.name}"[:60] for pattern in patterns],
            colorscale=[[0.0, "#ffffff"], [0.05, "#cfe3ee"], [1.0, "#12446b"]],
            zmin=0.0,
            zmax=1.0,
            hovertemplate="%{y}<br>%{x}: %{z:.1%}<extra></extra>",
        )
    )
    figure.update_layout(
        height=110 + 24 * max(len(patterns), 3),
        margin={"l": 10, "r": 10, "t": 10, "b": 30},
        xaxis={"type": "category", "tickangle": -60, "automargin": True},
        yaxis={"automargin": True, "autorange": "reversed"},
    )
    return drawn(figure)


def drawn(figure: go.Figure) -> str:
    """Return a figure as JSON that can stand inside a script element."""
    text: str = figure.to_json()
    return json.dumps(json.loads(text)).replace("<", "\\u003c")


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / _SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
