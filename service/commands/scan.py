"""`yocho scan`: who scans in captures and logs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.capture.inputs import Input
from service.capture.tunnels import Tunnels
from service.commands.screen import PATHS, ReportFormat

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def scan(
        paths: Annotated[list[Path], typer.Argument(help=PATHS, metavar="PATH…")],
        window: Annotated[
            int | None,
            typer.Option(min=1, max=86400, help="Length of a window in seconds.", show_default="60, of logs 3600"),
        ] = None,
        kind: Annotated[
            Input | None,
            typer.Option("--input", help="What all files are.", show_default="what the first lines of each show"),
        ] = None,
        format: Annotated[  # noqa: A002
            ReportFormat,
            typer.Option(help="Tables; alerts and figures, one JSON object a line; or alerts for other programs."),
        ] = ReportFormat.TABLE,
        save: Annotated[
            str | None, typer.Option(metavar="DB", help="Keep windows, patterns and alerts in this SQLite file.")
        ] = None,
        tunnels: Annotated[
            Tunnels, typer.Option(help="Of a packet in a tunnel follow the one inside, or the one that carries it.")
        ] = Tunnels.INNER,
    ) -> None:
        """Name the scanners in captures and logs, with the port patterns that they follow."""
        with screen.progress(paths) as progress:
            report = parts.scan(paths, kind, window, save, progress, tunnels)
        screen.report(report, format)
