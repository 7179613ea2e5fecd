"""`yocho collect`: NetFlow and IPFIX from exporters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.commands.parts import Parts
    from service.commands.screen import Screen


def add(app: typer.Typer, parts: Parts, _screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def collect(
        listen: Annotated[str, typer.Option(metavar="URL", help="Where exporters send to.")] = "udp://0.0.0.0:2055",
        sensor: Annotated[
            list[str] | None,
            typer.Option(
                metavar="ADDRESS=NAME", help="Name of the sensor that an exporter is; may be given again."
            ),
        ] = None,
        named_only: Annotated[
            bool, typer.Option("--named-only", help="Hear only the exporters that --sensor names.")
        ] = False,
        lateness: Annotated[
            int,
            typer.Option(
                min=0, max=86400, help="Seconds that a window stays open: more than the exporters' active timeout."
            ),
        ] = 120,
        database: Annotated[str | None, typer.Option(help="SQLite file.", show_default="yocho.db")] = None,
    ) -> None:
        """Collect NetFlow v5, v9 and IPFIX from exporters; each is a sensor of its own."""
        parts.collect(listen, sensor or [], database, lateness, named_only=named_only)
