"""`yocho watch`: who scans on a live interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.screen import Format

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.commands.parts import Parts
    from service.commands.screen import Screen


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
    ) -> None:
        """Name the scanners on a live interface until Ctrl-C; needs root or CAP_NET_RAW, and gives both up."""
        _watch(parts, screen, format, (interface, bpf, user, window, save))


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
