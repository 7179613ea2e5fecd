"""`yocho database`: what operators do with the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from service.commands.keeping import add_keeping

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from service.commands.parts import Parts
    from service.commands.screen import Screen

_Database = Annotated[
    str | None, typer.Option("--database", metavar="DB", help="SQLite file or URL.", show_default="YOCHO_DATABASE")
]


class Schema(Protocol):
    """The tables of a database; see `service.store.schema.Schema`."""

    def current(self) -> str | None:
        """Return the revision of the tables, or None if there are none."""
        ...

    def prepare(self) -> None:
        """Make the tables, or bring them up to date."""
        ...

    def downgrade(self, revision: str) -> None:
        """Take the tables back to an older revision."""
        ...


def add(app: typer.Typer, parts: Parts, _screen: Screen) -> None:
    """Add the commands."""
    commands = database_commands(parts.schema)
    add_keeping(commands, parts)
    app.add_typer(commands, name="database")


def database_commands(open_schema: Callable[[str | None], AbstractContextManager[Schema]]) -> typer.Typer:
    """Return the commands on the tables of a database, the one that is configured unless it is named."""
    app = typer.Typer(help="Look after the database.", no_args_is_help=True)

    @app.command()
    def current(database: _Database = None) -> None:
        """Show the revision of the tables."""
        with open_schema(database) as schema:
            typer.echo(schema.current() or "no tables yet")

    @app.command()
    def upgrade(database: _Database = None) -> None:
        """Bring the tables up to date, as every start of the service does."""
        with open_schema(database) as schema:
            schema.prepare()
            typer.echo(schema.current())

    @app.command()
    def downgrade(
        revision: Annotated[str, typer.Argument(metavar="REVISION", help="One that `current` has shown before.")],
        database: _Database = None,
    ) -> None:
        """Take the tables back for an older Yocho; stop the service first. What only newer ones know is lost."""
        with open_schema(database) as schema:
            schema.downgrade(revision)
            typer.echo(schema.current())

    return app
