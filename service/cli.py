"""The command line: `yocho scan`, `watch`, `serve`, `worker`, `collect`, `selfcheck`, `demo`."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from service.capture.folder import files_below
from service.capture.inputs import Input
from service.capture.tunnels import Tunnels
from service.commands.database import database_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from service.alerts.alert import Alert
    from service.calibrate import Calibration
    from service.commands.database import Schema
    from service.scan import Report, Summary
    from service.selfcheck.check import Finding

_PATHS = "pcap or pcapng, plain or in gzip or zstd: files, folders with all below them, or - for standard input"

_PIPE_WIDTH = 116
"""Columns of a table that is not shown on a terminal."""
_NAMED = 10
"""Files that are named where there may be any number."""

_EXAMPLES = """
Examples:

  yocho scan capture.pcap                        who scans in a capture

  yocho scan --format jsonl *.pcapng.gz          the same for programs, one alert a line

  tcpdump -w - -i eth0 | yocho scan -            what a program writes, up to its end
  yocho scan conn.log                            the same in logs of flows

  yocho scan --save yocho.db capture.pcap        keep what is found, and then

  yocho watch eth0                               who scans on a live interface

  yocho serve --database yocho.db                show it on http://127.0.0.1:8000
"""


class Format(StrEnum):
    """How what is found is written while it is found."""

    TABLE = "table"
    JSONL = "jsonl"


class ReportFormat(StrEnum):
    """How a report is written: for people, or in one of the formats of `service.export.formats`."""

    TABLE = "table"
    JSONL = "jsonl"
    JSON = "json"
    ECS = "ecs"
    OCSF = "ocsf"
    STIX = "stix"
    CEF = "cef"
    CSV = "csv"
    BLOCKLIST = "blocklist"


class Parts(Protocol):
    """What the commands need; `service.wiring` provides it."""

    example: Path

    def scan(
        self,
        paths: Sequence[Path],
        kind: Input | None,
        window: int | None,
        database: str | None,
        progress: Callable[[int], None],
        tunnels: Tunnels = Tunnels.INNER,
    ) -> Report:
        """Scan captures and logs with windows of so many seconds, and keep what is found in a database, if any."""
        ...

    def watch(
        self,
        interface: str,
        bpf: str,
        user: str | None,
        window: int | None,
        database: str | None,
        ready: Callable[[], None],
        tell: Callable[[Alert], None],
        tell_drops: Callable[[int], None],
    ) -> Summary:
        """Follow a live interface until interrupted; `ready` hears when packets are taken."""
        ...

    def serve(self, database: str | None, host: str | None, port: int | None, ready: Callable[[str], None]) -> None:
        """Serve until interrupted; `ready` hears the URL."""
        ...

    def work(self, folder: Path, database: str | None, *, once: bool) -> None:
        """Replay the captures that are in a folder and those that come to it."""
        ...

    def calibrate(self, paths: Sequence[Path], progress: Callable[[int], None]) -> Calibration:
        """Replay recorded traffic, and count what budgets of false alarms would let through."""
        ...

    def selfcheck(self, url: str | None, progress: Callable[[int], None]) -> Iterator[Finding]:
        """Send examples of all kinds of scans to the service at a URL, and yield what it says of each."""
        ...

    def schema(self, database: str | None) -> AbstractContextManager[Schema]:
        """Open the tables of a database as they are."""
        ...

    def collect(
        self, listen: str, sensors: Sequence[str], database: str | None, lateness: int, *, named_only: bool
    ) -> None:
        """Collect flows from exporters until interrupted; `sensors` are written ADDRESS=NAME."""
        ...


@dataclass(frozen=True, slots=True)
class _Progress:
    """A bar on a terminal, nothing in a pipe."""

    console: Console

    @contextlib.contextmanager
    def over(self, paths: Sequence[Path]) -> Iterator[Callable[[int], None]]:
        files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
        total = sum(file.stat().st_size for file in files if file.is_file()) or None
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("Scanning (the first use compiles the packet loops)", total=total)

            def consumed(count: int) -> None:
                bar.update(task, completed=count, description="Scanning")

            yield consumed


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
    out, err = Console(), Console(stderr=True)
    if not out.is_terminal:
        out.width = _PIPE_WIDTH

    @app.callback()
    def main(
        _version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
        ] = False,
    ) -> None:
        pass

    @app.command()
    def scan(
        paths: Annotated[list[Path], typer.Argument(help=_PATHS, metavar="PATH…")],
        window: Annotated[
            int | None,
            typer.Option(min=1, max=86400, help="Length of a window in seconds.", show_default="60, of logs 3600"),
        ] = None,
        kind: Annotated[
            Input | None,
            typer.Option("--input", help="What all files are.", show_default="what the first lines of each show"),
        ] = None,
        format: Annotated[  # noqa: A002
            ReportFormat,
            typer.Option(help="Tables; alerts and figures, one JSON object a line; or alerts for other programs."),
        ] = ReportFormat.TABLE,
        save: Annotated[
            str | None, typer.Option(metavar="DB", help="Keep windows, patterns and alerts in this SQLite file.")
        ] = None,
        tunnels: Annotated[
            Tunnels, typer.Option(help="Of a packet in a tunnel follow the one inside, or the one that carries it.")
        ] = Tunnels.INNER,
    ) -> None:
        """Name the scanners in captures and logs, with the port patterns that they follow."""
        with _Progress(err).over(paths) as progress:
            report = parts.scan(paths, kind, window, save, progress, tunnels)
        _show(report, format, out)
        _warn(report, err)

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
        _watch(parts, out, err, format, (interface, bpf, user, window, save))

    @app.command()
    def serve(
        database: Annotated[str | None, typer.Option(help="SQLite file.", show_default="yocho.db")] = None,
        host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
        port: Annotated[
            int | None, typer.Option(min=0, max=65535, help="Port; 0: any free one.", show_default="8000")
        ] = None,
    ) -> None:
        """Serve the API and a page that shows what was found."""
        parts.serve(database, host, port, lambda url: _announce(out, url))

    @app.command()
    def worker(
        folder: Annotated[Path, typer.Argument(help="Folder of captures; each file is a sensor of its own.")],
        database: Annotated[str | None, typer.Option(help="SQLite file.", show_default="yocho.db")] = None,
        once: Annotated[bool, typer.Option("--once", help="Stop when all files are replayed.")] = False,
    ) -> None:
        """Replay the captures that are in a folder, and those that come to it."""
        parts.work(folder, database, once=once)

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

    @app.command()
    def demo(
        serve: Annotated[bool, typer.Option(help="Serve the result afterwards.")] = True,
    ) -> None:
        """Scan the example capture, show what is found, and serve it."""
        _demo(parts, out, err, serve=serve)

    _add_selfcheck(app, parts, out, err)
    _add_calibrate(app, parts, out, err)
    app.add_typer(database_commands(parts.schema), name="database")
    return app


def _add_calibrate(app: typer.Typer, parts: Parts, out: Console, err: Console) -> None:
    @app.command()
    def calibrate(
        paths: Annotated[list[Path], typer.Argument(help=_PATHS, metavar="PATH…")],
        picture: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Draw alerts by the day into this HTML file.")
        ] = None,
    ) -> None:
        """Replay your traffic and show how many alerts a day each budget of false alarms lets through."""
        from service.calibration_report import draw_calibration, print_calibration

        with _Progress(err).over(paths) as progress:
            found = parts.calibrate(paths, progress)
        print_calibration(out, found)
        if picture is not None:
            draw_calibration(found, picture)


def _add_selfcheck(app: typer.Typer, parts: Parts, out: Console, err: Console) -> None:
    @app.command()
    def selfcheck(
        url: Annotated[
            str | None, typer.Option(metavar="URL", help="Where it runs.", show_default="http://127.0.0.1:8000")
        ] = None,
    ) -> None:
        """Send generated scans of every kind to a running service, and say which it found; code 1 if not all."""
        from service.report import print_findings

        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("Checking", total=None)
            findings = list(parts.selfcheck(url, lambda done: bar.update(task, completed=done)))
        print_findings(out, findings)
        if not all(finding.right for finding in findings):
            raise typer.Exit(1)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer's convention)
    if wanted:
        typer.echo(f"yocho {version('yocho')}")
        raise typer.Exit


def _demo(parts: Parts, out: Console, err: Console, *, serve: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="yocho-demo-") as folder:
        database = str(Path(folder) / "demo.db")
        with _Progress(err).over([parts.example]) as progress:
            report = parts.scan([parts.example], None, None, database, progress)
        _show(report, ReportFormat.TABLE, out)
        _warn(report, err)
        if serve:
            parts.serve(database, None, None, lambda url: _announce(out, url))


def _watch(
    parts: Parts,
    out: Console,
    err: Console,
    form: Format,
    wanted: tuple[str, str, str | None, int | None, str | None],
) -> None:
    from service.report import alert_line, print_alert, print_figures, summary_line

    def tell(alert: Alert) -> None:
        if form is Format.TABLE:
            print_alert(out, alert)
        else:
            _write_line(alert_line(alert))

    def tell_drops(count: int) -> None:
        err.print(f"yocho: {count} packets dropped by the kernel up to now", highlight=False)

    def ready() -> None:
        err.print(f"yocho: listening on {wanted[0]}; Ctrl-C ends it", markup=False, highlight=False)

    summary = parts.watch(*wanted, ready, tell, tell_drops)
    if form is Format.TABLE:
        print_figures(out, summary)
    else:
        _write_line(summary_line(summary))


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _show(report: Report, form: ReportFormat, out: Console) -> None:
    from service.report import json_lines, print_report

    if form is ReportFormat.TABLE:
        print_report(out, report)
    elif form is ReportFormat.JSONL:
        for line in json_lines(report):
            sys.stdout.write(line + "\n")
    else:
        _export(report, form)


def _export(report: Report, form: ReportFormat) -> None:
    from service.export.formats import Format as ExportFormat
    from service.export.formats import write

    typer.echo(write(ExportFormat(form.value), report.alerts, time.time_ns(), version("yocho")), nl=False)


def _warn(report: Report, err: Console) -> None:
    skipped = report.summary.skipped
    if skipped:
        more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        err.print(
            f"yocho: skipped, no captures: {', '.join(skipped[:_NAMED])}{more}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    for damage in report.summary.damage:
        err.print(
            f"yocho: {damage.file}: byte {damage.offset}: {damage.reason}; what came before it was read",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    for lines in report.summary.bad_lines:
        err.print(
            f"yocho: {lines.file}: {lines.count} lines: {lines.reason}; the first is line {lines.first}; "
            "the others were read",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _announce(out: Console, url: str) -> None:
    out.print(f"Serving on {url} (Ctrl-C ends it)", markup=False, highlight=False)
