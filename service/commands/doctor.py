"""`yocho doctor`: whether the service can do its work here."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def doctor(
        interface: Annotated[
            str | None, typer.Argument(metavar="IFACE", help="Network interface that is to be watched.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    ) -> None:
        """Check permissions, interface, store, clock, disk and more; code 1 if something fails."""
        from service.doctor import Grade

        failed = False
        for check in parts.doctor(interface):
            failed = failed or check.grade is Grade.FAIL
            if as_json:
                screen.line(json.dumps(asdict(check)))
            else:
                advice = f"; {check.advice}" if check.advice else ""
                screen.line(f"{check.grade.value:<5} {check.name}: {check.found}{advice}")
        if failed:
            raise typer.Exit(1)
