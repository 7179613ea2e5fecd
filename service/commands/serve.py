"""`yocho serve`: the API and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def serve(
        database: Annotated[str | None, typer.Option(help="SQLite file.", show_default="yocho.db")] = None,
        host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
        port: Annotated[
            int | None, typer.Option(min=0, max=65535, help="Port; 0: any free one.", show_default="8000")
        ] = None,
        worker: Annotated[bool, typer.Option(help="Do what is posted; else run `yocho worker` beside it.")] = True,
    ) -> None:
        """Serve the API and a page that shows what was found, and do what is posted."""
        parts.serve(database, host, port, screen.serving, worker=worker)
