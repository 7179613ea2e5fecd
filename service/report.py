"""A report as people and programs read it: tables, or one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from service.alerts.reason import name_services, who
from service.export.document import alert_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from service.alerts.alert import Alert, Distinct
    from service.patterns.pattern import Pattern
    from service.scan import Report, Summary
    from service.selfcheck.check import Finding

_SECOND = 1_000_000_000
_NAMED = 3
_PATTERNS = 20
_SERVICES = 28
"""Services that take more characters are counted, not named."""
_WIDE = 110


def json_lines(report: Report) -> Iterator[str]:
    """Yield one alert a line, then the summary."""
    for alert in report.alerts:
        yield alert_line(alert)
    yield summary_line(report.summary)


def alert_line(alert: Alert) -> str:
    """Return an alert as one JSON object."""
    return json.dumps(alert_document(alert))


def summary_line(summary: Summary) -> str:
    """Return the figures as one JSON object."""
    return json.dumps({"summary": _summary(summary)})


def print_report(console: Console, report: Report) -> None:
    """Print a table of alerts, why each is one, a table of patterns, and the figures."""
    if report.alerts:
        console.print(_alert_table(report.alerts, console.width))
        console.print(_reasons(report.alerts))
    else:
        console.print("No scans.")
    if report.patterns:
        console.print(_pattern_table(report.patterns[:_PATTERNS], console.width))
        if len(report.patterns) > _PATTERNS:
            console.print(f"and {len(report.patterns) - _PATTERNS} patterns with fewer followers")
    print_figures(console, report.summary)


def print_alert(console: Console, alert: Alert) -> None:
    """Print since when, what kind of scan, and why it is one, in a line."""
    line = Text.assemble(f"{_clock(alert.first_seen)}  ", (f"{alert.kind.value:<10}", "bold"), f"  {alert.reason}")
    console.print(line, soft_wrap=True)


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print a table of what an installation said of each example, and how many it got right."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Example", "Expected", "Named", "After pairs", "After"):
        table.add_column(heading, justify="right" if heading.startswith("After") else "left", no_wrap=True)
    table.add_column("")
    for finding in findings:
        table.add_row(
            finding.example.name,
            ", ".join(finding.example.kinds) or "nobody",
            ", ".join((*finding.named, *finding.others)) or "nobody",
            "" if finding.pairs is None else str(finding.pairs),
            "" if finding.seconds is None else f"{finding.seconds:.0f} s",
            "" if finding.right else "WRONG",
        )
    console.print(table)
    right = sum(finding.right for finding in findings)
    console.print(f"{right} of {len(findings)} right.", highlight=False)


def print_figures(console: Console, summary: Summary) -> None:
    """Print what was read, and what was not."""
    console.print(Text(_figures(summary)))


def _alert_table(alerts: tuple[Alert, ...], width: int) -> Table:
    table = Table(title="Scans", title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("Kind", no_wrap=True)
    table.add_column("Source", no_wrap=True)
    table.add_column("Services", overflow="fold", min_width=14)
    table.add_column("Targets", justify="right")
    table.add_column("Since (UTC)", no_wrap=True)
    table.add_column("For", justify="right", no_wrap=True)
    wide = width >= _WIDE
    if wide:
        table.add_column("ATT&CK", no_wrap=True)
        table.add_column("Pattern", no_wrap=True)
    for number, alert in enumerate(alerts, 1):
        table.add_row(
            str(number),
            alert.kind.value,
            who(alert),
            name_services(alert.evidence.services, _SERVICES),
            _count(alert.evidence.targets),
            _clock(alert.first_seen),
            f"{(alert.last_seen - alert.first_seen) / _SECOND:.1f} s",
            *((alert.technique, alert.pattern or "") if wide else ()),
        )
    return table


def _reasons(alerts: tuple[Alert, ...]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for number, alert in enumerate(alerts, 1):
        table.add_row(str(number), Text(alert.reason))
    return table


def _pattern_table(patterns: tuple[Pattern, ...], width: int) -> Table:
    table = Table(title="Port patterns", title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Pattern", no_wrap=True)
    table.add_column("What", overflow="fold")
    table.add_column("Services", justify="right")
    table.add_column("Followed by", overflow="fold")
    wide = width >= _WIDE
    if wide:
        table.add_column("Windows", justify="right")
        table.add_column("Since (UTC)", no_wrap=True)
    for pattern in patterns:
        members = [f"{source} {share:.0%}" for source, share in pattern.members[:_NAMED]]
        others = pattern.member_count - len(members)
        table.add_row(
            pattern.id,
            pattern.name,
            str(pattern.service_count),
            ", ".join(members) + (f" and {others} more" if others > 0 else ""),
            *((str(pattern.windows), _clock(pattern.first_seen)) if wide else ()),
        )
    return table


def _count(members: Distinct) -> str:
    return f"{members.count}" if members.exact else f"~{members.count}"


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / _SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _figures(summary: Summary) -> str:
    line = (
        f"{_volume(summary)}, {summary.attempts} attempts by {summary.sources} sources at "
        f"{summary.services} services in {summary.windows} windows; {summary.alerts} scans."
    )
    if summary.dropped is None:
        line += "\nThe system does not say how many packets it dropped."
    elif summary.live:
        line += f"\nDropped by the kernel: {summary.dropped}"
    if summary.unparsed:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(summary.unparsed.items()))
        line += f"\nNot followed: {reasons}"
    if summary.tunnelled:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(summary.tunnelled.items()))
        line += f"\nRead through tunnels: {kinds}"
    for what, count in (
        ("scans that the allow-list or a judged pattern covers, not shown", summary.allowed),
        ("attempts not counted, a window was full", summary.shed.attempts),
        ("attempts that samples stand for, a window was full", summary.shed.sampled),
        ("attempts later than their window", summary.late),
        ("conversations forgotten early, the table was full", summary.forgotten),
        ("packets or flows with an absurd time", summary.mended_times),
    ):
        if count:
            line += f"\n{what}: {count}"
    return line


def _volume(summary: Summary) -> str:
    """Write what was read: packets of captures, flows of logs."""
    return ", ".join(f"{count} {what}" for what, count in _volumes(summary).items())


def _volumes(summary: Summary) -> dict[str, int]:
    packets, flows = {"packets": summary.packets}, {"flows": summary.flows}
    if summary.flows:
        return packets | flows if summary.packets else flows
    return packets


def _summary(summary: Summary) -> dict[str, object]:
    return {
        **_volumes(summary),
        "attempts": summary.attempts,
        "windows": summary.windows,
        "sources": summary.sources,
        "services": summary.services,
        "alerts": summary.alerts,
        "allowed": summary.allowed,
        "unparsed": dict(sorted(summary.unparsed.items())),
        "tunnelled": dict(sorted(summary.tunnelled.items())),
        "shed": asdict(summary.shed),
        "late": summary.late,
        **({"dropped": summary.dropped} if summary.live else {}),
        "forgotten": summary.forgotten,
        "mended_times": summary.mended_times,
        "damage": [
            {"file": damage.file, "offset": damage.offset, "reason": damage.reason} for damage in summary.damage
        ],
        "skipped": list(summary.skipped),
        "bad_lines": [asdict(lines) for lines in summary.bad_lines],
    }
