"""`yocho alerts`: the alerts of a running service."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.client.patience import Patience
from service.commands.screen import Format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.client.steps import Event
    from service.commands.parts import Parts
    from service.commands.screen import Screen

_ALWAYS = 1 << 30
"""Tries"""


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def alerts(
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help="Go on with what happens to alerts, until Ctrl-C.")
        ] = False,
        after: Annotated[
            int | None,
            typer.Option(min=0, help="Follow from behind the event with this id.", show_default="from now on"),
        ] = None,
        url: Annotated[
            str | None, typer.Option(metavar="URL", help="The service.", show_default="http://127.0.0.1:8000")
        ] = None,
        token_file: Annotated[
            Path | None, typer.Option(metavar="FILE", help="File with the token for it (scope read).")
        ] = None,
        format: Annotated[Format, typer.Option(help="Lines, or one JSON object a line.")] = Format.TABLE,  # noqa: A002
        limit: Annotated[int, typer.Option(min=1, help="Most alerts that are listed.")] = 100,
        sensor: Annotated[str | None, typer.Option(help="Only those of this sensor.")] = None,
        kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
        source: Annotated[str | None, typer.Option(help="Only those of this address or network.")] = None,
    ) -> None:
        """List the alerts of a running service, last begun first; or follow them, each with its id."""
        given = {"sensor": sensor, "kind": kind, "source": source}
        filters = {name: value for name, value in given.items() if value is not None}
        with parts.client(url, token_file) as client:
            if not follow and after is None:
                for document in client.alerts(limit, **filters):
                    screen.line(_line(document) if format is Format.TABLE else json.dumps(document))
                return
            # What is wrong with URL or token is known at once; a service that goes away later is waited for.
            client.status()
        with parts.client(url, token_file, Patience(tries=_ALWAYS)) as client, suppress(KeyboardInterrupt):
            for event in client.follow(after, **filters):
                screen.line(_event_line(event) if format is Format.TABLE else _event_document(event))


def _event_document(event: Event) -> str:
    return json.dumps({"id": event.id, "event": event.kind, "alert": event.alert})


def _event_line(event: Event) -> str:
    return _plain(f"{event.id} {event.kind} ") + _line(event.alert)


def _line(alert: Mapping[str, Any]) -> str:
    """Write what people want to know of an alert; it comes from elsewhere, so nothing is taken for granted."""
    sources = alert.get("sources")
    count = len(sources) if isinstance(sources, list) else 0
    who = (
        f"{count} sources" if count > 1 else str(sources[0]) if isinstance(sources, list) and sources else "nobody"
    )
    words = (alert.get("last_seen"), alert.get("id"), alert.get("sensor"), alert.get("kind"), f"{who}:")
    return _plain(" ".join(str(word) for word in (*words, alert.get("reason"))))


def _plain(text: str) -> str:
    """Return text that can't steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
