"""`yocho token`: who may use the service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from service.access.token import Scope, new_secret

if TYPE_CHECKING:
    from service.access.token import Token
    from service.commands.parts import Parts
    from service.commands.screen import Screen

_Database = Annotated[
    str | None, typer.Option("--database", metavar="DB", help="SQLite file or URL.", show_default="YOCHO_DATABASE")
]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Who holds it, such as sensor-office.")]


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the commands."""
    tokens = typer.Typer(help="Create, list and revoke tokens of the API.", no_args_is_help=True)
    app.add_typer(tokens, name="token")

    @tokens.command()
    def create(
        name: _Name,
        scope: Annotated[list[Scope], typer.Option(help="What it is for; may be given again.")],
        sensor: Annotated[
            list[str] | None,
            typer.Option(metavar="SENSOR", help="Let it send as these sensors only.", show_default="any"),
        ] = None,
        days: Annotated[
            int | None, typer.Option(min=1, max=36500, help="Days until it expires.", show_default="never")
        ] = None,
        database: _Database = None,
    ) -> None:
        """Make a token, and show it this once; only its hash is kept."""
        typer.echo(parts.create_token(name, scope, sensor, days, database))

    @tokens.command()
    def new() -> None:
        """Show a token that nobody knows yet, for YOCHO_ADMIN_TOKEN; nothing is kept."""
        typer.echo(new_secret())

    @tokens.command()
    def revoke(name: _Name, database: _Database = None) -> None:
        """Let a token be good for nothing from now on."""
        parts.revoke_token(name, database)
        screen.say(f"token {name} is revoked; services that know it forget it within seconds")

    @tokens.command("list")
    def list_(database: _Database = None) -> None:
        """Show all tokens, without what is secret of them."""
        table = Table("Name", "Scopes", "Sensors", "Created", "Used", "Ends")
        for token in parts.tokens(database):
            table.add_row(*_row(token))
        screen.out.print(table)


def _row(token: Token) -> tuple[str, ...]:
    ends = f"revoked {_day(token.revoked)}" if token.revoked else _day(token.expires)
    sensors = "any" if token.sensors is None else ", ".join(sorted(token.sensors))
    return token.name, ", ".join(sorted(token.scopes)), sensors, _day(token.created), _day(token.used), ends


def _day(time: int | None) -> str:
    return "never" if time is None else f"{datetime.fromtimestamp(time / 1e9, UTC):%Y-%m-%d %H:%M}"
