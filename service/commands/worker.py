"""`yocho worker`: does what was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, _screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def worker(
        database: Annotated[str | None, typer.Option(help="SQLite file.", show_default="yocho.db")] = None,
        once: Annotated[bool, typer.Option("--once", help="Stop when nothing waits.")] = False,
        with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
    ) -> None:
        """Do what was posted to the API; any number of workers may run."""
        parts.work(database, once=once, with_parent=with_parent)
