"""`yocho demo`: the example capture, scanned and served."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.screen import ReportFormat

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def demo(
        serve: Annotated[bool, typer.Option(help="Serve the result afterwards.")] = True,
    ) -> None:
        """Scan the example capture, show what is found, and serve it."""
        with tempfile.TemporaryDirectory(prefix="yocho-demo-") as folder:
            database = str(Path(folder) / "demo.db")
            with screen.progress([parts.example]) as progress:
                report = parts.scan([parts.example], None, None, database, progress)
            screen.report(report, ReportFormat.TABLE)
            if serve:
                parts.serve(database, None, None, screen.serving)
