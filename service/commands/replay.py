"""`yocho replay`: a folder of captures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, _screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def replay(
        folder: Annotated[Path, typer.Argument(help="Folder of captures; each file is a sensor of its own.")],
        database: Annotated[str | None, typer.Option(help="SQLite file.", show_default="yocho.db")] = None,
        once: Annotated[bool, typer.Option("--once", help="Stop when all files are replayed.")] = False,
    ) -> None:
        """Replay the captures that are in a folder, and those that come to it."""
        parts.replay(folder, database, once=once)
