"""`yocho watch`: who scans on a live interface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.screen import Format

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.commands.parts import Parts
    from service.commands.screen import Screen
    from service.sensor.run import SensorSpec


def add(app: typer.Typer, parts: Parts, screen: Screen) -> None:
    """Add the command."""

    @app.command()
    def watch(
        interface: Annotated[str, typer.Argument(help="Network interface, such as eth0.", metavar="IFACE")],
        bpf: Annotated[str, typer.Option(metavar="EXPR", help="Look only at what this filter takes.")] = "",
        window: Annotated[
            int | None, typer.Option(min=1, max=86400, help="Length of a window in seconds.", show_default="60")
        ] = None,
        format: Annotated[Format, typer.Option(help="Lines, or one JSON object a line.")] = Format.TABLE,  # noqa: A002
        save: Annotated[
            str | None, typer.Option(metavar="DB", help="Keep windows, patterns and alerts in this SQLite file.")
        ] = None,
        user: Annotated[
            str | None,
            typer.Option(
                metavar="NAME", help="Become this user once the interface is open.", show_default="who called sudo"
            ),
        ] = None,
        to: Annotated[
            str | None,
            typer.Option(metavar="URL", help="Send the windows to this service, which judges them."),
        ] = None,
        token_file: Annotated[
            Path | None, typer.Option(metavar="FILE", help="File with the token for it (scope ingest).")
        ] = None,
        spool: Annotated[
            Path, typer.Option(metavar="DIR", help="Folder where windows wait while the service is away.")
        ] = Path("yocho-spool"),
        spool_bytes: Annotated[
            int, typer.Option(min=1 << 20, help="Most bytes in it; beyond, the oldest windows are shed.")
        ] = 1 << 30,
        sensor: Annotated[
            str | None, typer.Option(metavar="NAME", help="Send as this sensor.", show_default="IFACE")
        ] = None,
    ) -> None:
        """Name the scanners on a live interface until Ctrl-C; needs root or CAP_NET_RAW, and gives both up."""
        if to is None:
            _watch(parts, screen, format, (interface, bpf, user, window, save))
            return
        from service.sensor.run import SensorSpec
        from service.sensor.spool import SpoolSpec

        spec = SensorSpec(sensor or interface, to, SpoolSpec(spool, spool_bytes), token_file)
        _forward(parts, screen, (interface, bpf, user, window), spec)


def _forward(
    parts: Parts, screen: Screen, wanted: tuple[str, str, str | None, int | None], spec: SensorSpec
) -> None:
    from service.report import print_figures

    sent = parts.forward(
        *wanted,
        spec,
        lambda: screen.say(f"listening on {wanted[0]}, sending to {spec.url} as {spec.name}; Ctrl-C ends it"),
        lambda count: screen.say(f"{count} packets dropped by the kernel up to now"),
    )
    print_figures(screen.out, sent.summary)
    screen.say(
        f"windows: {sent.sent} sent, {sent.refused} refused, {sent.shed} shed, {sent.waiting} wait in "
        f"{spec.spool.folder}"
    )


def _watch(
    parts: Parts,
    screen: Screen,
    form: Format,
    wanted: tuple[str, str, str | None, int | None, str | None],
) -> None:
    from service.report import alert_line, print_alert, print_figures, summary_line

    def tell(alert: Alert) -> None:
        if form is Format.TABLE:
            print_alert(screen.out, alert)
        else:
            screen.line(alert_line(alert))

    def tell_drops(count: int) -> None:
        screen.say(f"{count} packets dropped by the kernel up to now")

    def ready() -> None:
        screen.say(f"listening on {wanted[0]}; Ctrl-C ends it")

    summary = parts.watch(*wanted, ready, tell, tell_drops)
    if form is Format.TABLE:
        print_figures(screen.out, summary)
    else:
        screen.line(summary_line(summary))
