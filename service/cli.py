"""The command line: `yocho` and its commands."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands import (
    alerts,
    calibrate,
    collect,
    database,
    demo,
    doctor,
    outputs,
    replay,
    scan,
    selfcheck,
    serve,
    settings,
    token,
    watch,
    worker,
)
from service.commands.screen import Screen

if TYPE_CHECKING:
    from service.commands.parts import Parts

_EXAMPLES = """
Examples:

  yocho scan capture.pcap                        who scans in a capture

  yocho scan --format jsonl *.pcapng.gz          the same for programs, one alert a line

  tcpdump -w - -i eth0 | yocho scan -            what a program writes, up to its end
  yocho scan conn.log                            the same in logs of flows

  yocho scan --save yocho.db capture.pcap        keep what is found, and then

  yocho watch eth0                               who scans on a live interface

  yocho serve --database yocho.db                show it on http://127.0.0.1:8000

  yocho --config yocho.toml doctor               can it do its work here?
"""


def build_cli(parts: Parts) -> typer.Typer:
    """Return the command line on top of `parts`."""
    app = typer.Typer(
        name="yocho",
        help="Finds the search that comes before an attack: scans and their port patterns, in network traffic.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="markdown",
    )

    @app.callback()
    def main(
        config: Annotated[
            Path | None, typer.Option(metavar="FILE", help="TOML file of settings.", show_default="YOCHO_CONFIG")
        ] = None,
        assignments: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="NAME=VALUE", help="Set this setting; may be given again."),
        ] = None,
        _version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
        ] = False,
    ) -> None:
        parts.configure(config, assignments or [])

    screen = Screen()
    for command in (
        alerts,
        outputs,
        scan,
        watch,
        serve,
        worker,
        replay,
        collect,
        demo,
        selfcheck,
        calibrate,
        doctor,
        settings,
        database,
        token,
    ):
        command.add(app, parts, screen)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer's convention)
    if wanted:
        typer.echo(f"yocho {version('yocho')}")
        raise typer.Exit
