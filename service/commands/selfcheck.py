"""`yocho selfcheck`: whether a running service finds scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def selfcheck(
        url: Annotated[
            str | None, typer.Option(metavar="URL", help="Where it runs.", show_default="http://127.0.0.1:8000")
        ] = None,
        token_file: Annotated[
            Path | None, typer.Option(metavar="FILE", help="File with the token for it (scopes ingest and read).")
        ] = None,
    ) -> None:
        """Send generated scans of every kind to a running service, and say which it found; code 1 if not all."""
        from service.report import print_findings

        with Progress(console=screen.err, transient=True, disable=not screen.err.is_terminal) as bar:
            task = bar.add_task("Checking", total=None)
            findings = list(parts.selfcheck(url, token_file, lambda done: bar.update(task, completed=done)))
        print_findings(screen.out, findings)
        if not all(finding.right for finding in findings):
            raise typer.Exit(1)
