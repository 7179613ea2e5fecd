"""`yocho settings`: what is set, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import typer

    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def settings() -> None:
        """Show all settings, their values, and where each was set."""
        table = Table("Setting", "Value", "Set by", "What")
        for each in parts.settings():
            table.add_row(each.name, escape(each.value), escape(each.origin) or "default", escape(each.help))
        screen.out.print(table)
