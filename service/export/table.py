"""Alerts as a table: CSV by RFC 4180, one alert a row, safe to open in a spreadsheet.

Lists are in one cell, with spaces between their members. A cell of text that a spreadsheet would take for a formula
is led by an apostrophe (OWASP, CSV Injection).
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from service.export.document import alert_document
from service.export.severity import severity_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.alerts.alert import Alert

COLUMNS = (
    "id",
    "sensor",
    "kind",
    "severity",
    "sources",
    "services",
    "service_count",
    "targets_sample",
    "target_count",
    "targets_exact",
    "attempts",
    "pairs",
    "answered",
    "answered_share",
    "windows",
    "first_seen",
    "last_seen",
    "named_at",
    "named_after_pairs",
    "scale_seconds",
    "updates",
    "ground",
    "score",
    "threshold",
    "tool",
    "technique",
    "pattern",
    "reason",
    "allowed_by",
)
"""The header, in this order in every version; new columns come last."""

# What a spreadsheet skips before it looks for a formula's sign; the signs have full-width twins.
_FORMULA = re.compile(r"[\t\r\n]|[\s\x00-\x1f\x7f]*[=+\-@＝＋－＠]")


def csv_table(alerts: Iterable[Alert]) -> str:
    """Return the table of some alerts, with its header."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for alert in alerts:
        table.writerow(csv_row(alert))
    return text.getvalue()


def csv_row(alert: Alert) -> list[str]:
    """Return the cells of an alert, in the order of `COLUMNS`; empty where there is no value."""
    document = alert_document(alert) | {
        "severity": severity_of(alert).value,
        "tool": alert.tool.name.value if alert.tool else None,
    }
    return [_cell(document[column]) for column in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return guard(" ".join(value))
    return guard(value) if isinstance(value, str) else str(value)


def guard(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return "'" + text if _FORMULA.match(text) else text
