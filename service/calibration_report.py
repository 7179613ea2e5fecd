"""A calibration as people read it: a table, and a picture."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from rich.box import SIMPLE_HEAD
from rich.table import Table

from service.alerts.reason import scale
from service.calibrate import BUDGETS

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from service.calibrate import Calibration

_DAY = 86_400


def print_calibration(console: Console, found: Calibration) -> None:
    """Print how many alerts each budget lets through, a day and in all."""
    table = Table(
        title="Alerts on groups", title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for heading in ("Budget of false alarms", "Alerts", "A day", "In windows of"):
        table.add_column(heading, justify="left" if heading.startswith("In") else "right", no_wrap=True)
    for each in found.budgets:
        lengths = ", ".join(f"{scale(length)}: {count}" for length, count in each.by_length.items())
        table.add_row(_rate(each.budget), str(each.groups), f"{each.groups / max(found.days, 1e-9):.2f}", lengths)
    console.print(table)
    console.print(
        f"{found.days:.1f} days of traffic; {found.alone} alerts on single sources besides, which no budget moves. "
        "Alerts on groups that scan are among these: false ones are at most so many. YOCHO_FALSE_ALARMS sets the "
        "budget, a day.",
        highlight=False,
    )


def draw_calibration(found: Calibration, path: Path) -> None:
    """Draw the alerts of each day into an HTML file that needs nothing else."""
    days = [datetime.fromtimestamp(day * _DAY, UTC).date().isoformat() for day in found.by_day]
    figure = go.Figure()
    for place, name in enumerate(("single sources", f"groups, {_rate(max(BUDGETS))}")):
        figure.add_bar(name=name, x=days, y=[counts[place] for counts in found.by_day.values()])
    figure.update_layout(barmode="stack", yaxis_title="alerts", legend={"orientation": "h"})
    path.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")


def _rate(budget: float) -> str:
    return f"{budget:.0f} a day" if budget >= 1 else f"1 in {1 / budget:.0f} days"
