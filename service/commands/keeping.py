"""`yocho database backup`, `restore` and `retain`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

if TYPE_CHECKING:
    from service.store.retention import Retained

_Database = Annotated[
    str | None, typer.Option("--database", metavar="DB", help="SQLite file or URL.", show_default="YOCHO_DATABASE")
]
_WORDS = {
    "counts": "counts of windows",
    "windows": "windows",
    "alerts": "alerts",
    "events": "events",
    "jobs": "receipts",
    "audit": "entries of the audit log",
    "patterns": "patterns",
    "pages": "pages of the file",
}


class Keeping(Protocol):
    """See `service.commands.parts.Parts`."""

    def back_up(self, file: Path, database: str | None) -> None:
        """Write all of a database to a new file."""
        ...

    def restore(self, file: Path, database: str | None) -> None:
        """Make a new database of a backup."""
        ...

    def retain(self, database: str | None) -> Retained:
        """Let go of what is too old."""
        ...


def add_keeping(app: typer.Typer, keeping: Keeping) -> None:
    """Add the commands to those on databases."""

    @app.command()
    def backup(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A new one.")], database: _Database = None
    ) -> None:
        """Write all of the database to a file; the service may go on. PostgreSQL: by pg_dump."""
        keeping.back_up(file, database)
        typer.echo(f"{file}: {file.stat().st_size} bytes, checked")

    @app.command()
    def restore(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="One that `backup` has written.")],
        database: _Database = None,
    ) -> None:
        """Make a database of a backup; one that has tables already is refused."""
        keeping.restore(file, database)
        typer.echo(f"{file}: restored")

    @app.command()
    def retain(database: _Database = None) -> None:
        """Let go of what is older than the settings say, as workers do by themselves; the service may go on."""
        done = keeping.retain(database)
        gone = [f"{number} {_WORDS[kind]}" for kind, number in asdict(done).items() if kind in _WORDS and number]
        typer.echo("let go of " + ", ".join(gone) if gone else "nothing is old enough to go")
        if done.over:
            typer.echo(f"still {done.over} bytes above YOCHO_KEEP_BYTES; nothing is left that may go", err=True)
