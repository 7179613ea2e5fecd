"""What commands show, and the arguments that several of them take."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from service.capture.folder import files_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from service.scan import Report

PATHS = "pcap or pcapng, plain or in gzip or zstd: files, folders with all below them, or - for standard input"

_PIPE_WIDTH = 116
"""Columns of a table that is not shown on a terminal."""
_NAMED = 10
"""Files that are named where there may be any number."""


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


def _export(report: Report, form: ReportFormat) -> None:
    from service.export.formats import Format as ExportFormat
    from service.export.formats import write

    typer.echo(write(ExportFormat(form.value), report.alerts, time.time_ns(), version("yocho")), nl=False)


def _output() -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


@dataclass(frozen=True, slots=True)
class Screen:
    """Where commands write to: results to `out`, all else to `err`."""

    out: Console = field(default_factory=_output)
    err: Console = field(default_factory=lambda: Console(stderr=True))

    @contextlib.contextmanager
    def progress(self, paths: Sequence[Path]) -> Iterator[Callable[[int], None]]:
        """Show a bar on a terminal, nothing in a pipe; the function given takes the bytes that are done."""
        files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
        total = sum(file.stat().st_size for file in files if file.is_file()) or None
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.err, transient=True, disable=not self.err.is_terminal) as bar:
            task = bar.add_task("Scanning (the first use compiles the packet loops)", total=total)

            def consumed(count: int) -> None:
                bar.update(task, completed=count, description="Scanning")

            yield consumed

    def report(self, report: Report, form: ReportFormat) -> None:
        """Show what was found, and what was left out of it."""
        from service.report import json_lines, print_report

        if form is ReportFormat.TABLE:
            print_report(self.out, report)
        elif form is ReportFormat.JSONL:
            for line in json_lines(report):
                sys.stdout.write(line + "\n")
        else:
            _export(report, form)
        self._left_out(report)

    def line(self, line: str) -> None:
        """Write a line for programs, at once."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Write a line that is no result."""
        self.err.print(f"yocho: {text}", markup=False, highlight=False, soft_wrap=True)

    def serving(self, url: str) -> None:
        """Say where the service is."""
        self.out.print(f"Serving on {url} (Ctrl-C ends it)", markup=False, highlight=False)

    def _left_out(self, report: Report) -> None:
        skipped = report.summary.skipped
        if skipped:
            more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
            self.say(f"skipped, no captures: {', '.join(skipped[:_NAMED])}{more}")
        for damage in report.summary.damage:
            self.say(f"{damage.file}: byte {damage.offset}: {damage.reason}; what came before it was read")
        for lines in report.summary.bad_lines:
            self.say(
                f"{lines.file}: {lines.count} lines: {lines.reason}; the first is line {lines.first}; "
                "the others were read"
            )
