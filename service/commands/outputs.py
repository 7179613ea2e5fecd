"""`yocho outputs`: where the outputs stand."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from service.commands.screen import Format

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen
    from service.outputs.shown import Shown

_Database = Annotated[
    str | None, typer.Option("--database", metavar="DB", help="SQLite file or URL.", show_default="YOCHO_DATABASE")
]


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the commands."""
    outputs = typer.Typer(invoke_without_command=True)

    @outputs.callback()
    def show(
        context: typer.Context,
        database: _Database = None,
        format: Annotated[Format, typer.Option(help="A table, or one JSON object a line.")] = Format.TABLE,  # noqa: A002
    ) -> None:
        """Show how far each output of alerts is, what it waits for, and what it gave up."""
        if context.invoked_subcommand is None:
            _show(screen, [_document(each, time.time_ns()) for each in parts.outputs(database)], format)

    @outputs.command()
    def retry(
        name: Annotated[str, typer.Argument(metavar="NAME", help="The output.")], database: _Database = None
    ) -> None:
        """Let an output try again what it gave up, at once; a running worker does so."""
        screen.say(f"{parts.retry_output(name, database)} events are tried again")

    @outputs.command()
    def forget(
        name: Annotated[str, typer.Argument(metavar="NAME", help="The output.")], database: _Database = None
    ) -> None:
        """Forget an output that is not configured any more: events are kept for it, and its dead letters."""
        parts.forget_output(name, database)

    app.add_typer(outputs, name="outputs")


def _document(shown: Shown, now: int) -> dict[str, Any]:
    standing = shown.standing
    if standing is None:
        return {"name": shown.name, "configured": shown.configured, "position": None}
    delivery = standing.delivery
    return {
        "name": shown.name,
        "configured": shown.configured,
        "position": delivery.position,
        "behind": standing.behind,
        "behind_seconds": standing.waited(now),
        "tries": delivery.tries,
        "failure": delivery.failure,
        "next_try_seconds": round(delivery.waits(now) / 1e9, 3) if delivery.failure else 0.0,
        "dead_letters": standing.dead,
        "put_back": standing.returned,
    }


def _show(screen: Screen, documents: list[dict[str, Any]], form: Format) -> None:
    if form is Format.JSONL:
        for document in documents:
            screen.line(json.dumps(document))
        return
    table = Table("Output", "Position", "Events behind", "for", "Dead letters", "Last failure")
    for document in documents:
        table.add_row(*_cells(document))
    screen.out.print(table)
    if not documents:
        screen.say("there are none; the setting `outputs` names a file of them")


def _cells(document: dict[str, Any]) -> list[str]:
    name = document["name"] + ("" if document["configured"] else " (not configured)")
    if document["position"] is None:
        return [name, "not begun", "", "", "", ""]
    behind = document["behind"]
    dead = f"{document['dead_letters']}"
    if document["put_back"]:
        dead += f", {document['put_back']} put back"
    failure = escape(document["failure"] or "")
    if document["next_try_seconds"]:
        failure += f" (next try in {document['next_try_seconds']:.0f} s)"
    waited = f"{document['behind_seconds']:.0f} s" if behind else ""
    return [name, str(document["position"]), str(behind), waited, dead, failure]
