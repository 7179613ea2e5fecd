"""`yocho calibrate`: what budgets of false alarms let through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.screen import PATHS

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def calibrate(
        paths: Annotated[list[Path], typer.Argument(help=PATHS, metavar="PATH…")],
        picture: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Draw alerts by the day into this HTML file.")
        ] = None,
    ) -> None:
        """Replay your traffic and show how many alerts a day each budget of false alarms lets through."""
        from service.calibration_report import draw_calibration, print_calibration

        with screen.progress(paths) as progress:
            found = parts.calibrate(paths, progress)
        print_calibration(screen.out, found)
        if picture is not None:
            draw_calibration(found, picture)
