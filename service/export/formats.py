"""The formats that alerts leave in: their names, their media types, and one function that writes each of them."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

from service.export.blocklist import blocklist
from service.export.cef import cef_line
from service.export.document import alert_document
from service.export.ecs import ecs_document
from service.export.ocsf import ocsf_document
from service.export.table import csv_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from service.alerts.alert import Alert
    from service.export.document import Document


class Format(StrEnum):
    """A format by the name that ``?format=`` and ``--format`` know; where a client has no preference, the first."""

    JSON = "json"
    """One array of alerts."""
    JSONL = "jsonl"
    """One alert a line."""
    CSV = "csv"
    """A table, one alert a row."""
    ECS = "ecs"
    """Elastic Common Schema, one document a line."""
    OCSF = "ocsf"
    """OCSF Detection Finding, one document a line."""
    STIX = "stix"
    """One STIX 2.1 bundle."""
    CEF = "cef"
    """One line of the Common Event Format for each alert."""
    BLOCKLIST = "blocklist"
    """One source address a line."""

    @property
    def media_type(self) -> str:
        """What Content-Type says of it, and Accept asks for."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.JSONL: "application/x-ndjson",
    Format.ECS: "application/vnd.yocho.ecs+x-ndjson",
    Format.OCSF: "application/vnd.yocho.ocsf+x-ndjson",
    Format.STIX: "application/stix+json;version=2.1",
    Format.CEF: "text/vnd.yocho.cef;charset=utf-8",
    Format.CSV: "text/csv;charset=utf-8;header=present",
    Format.BLOCKLIST: "text/plain;charset=utf-8",
}


def write(form: Format, alerts: Iterable[Alert], now: int, version: str) -> bytes:
    """Write alerts in a format, in their order.

    `now`, ns since the epoch, and `version`, Yocho's own, are told where the format has a place for them. Raises
    ValueError if a source is no address and the format has to know what it is.
    """
    return _WRITERS[form](list(alerts), now, version).encode()


def _json(alerts: Sequence[Alert], _now: int, _version: str) -> str:
    return json.dumps([alert_document(alert) for alert in alerts]) + "\n"


def _jsonl(alerts: Sequence[Alert], _now: int, _version: str) -> str:
    return _lines(map(alert_document, alerts))


def _ecs(alerts: Sequence[Alert], _now: int, version: str) -> str:
    return _lines(ecs_document(alert, version) for alert in alerts)


def _ocsf(alerts: Sequence[Alert], _now: int, version: str) -> str:
    return _lines(ocsf_document(alert, version) for alert in alerts)


def _stix(alerts: Sequence[Alert], _now: int, _version: str) -> str:
    # Who never asks for STIX does not wait until its library is imported.
    from service.export.stix import stix_bundle  # noqa: PLC0415

    return stix_bundle(alerts) + "\n"


def _cef(alerts: Sequence[Alert], _now: int, version: str) -> str:
    return "".join(cef_line(alert, version) + "\n" for alert in alerts)


def _csv(alerts: Sequence[Alert], _now: int, _version: str) -> str:
    return csv_table(alerts)


def _lines(documents: Iterable[Document]) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)


_WRITERS: dict[Format, Callable[[Sequence[Alert], int, str], str]] = {
    Format.JSON: _json,
    Format.JSONL: _jsonl,
    Format.ECS: _ecs,
    Format.OCSF: _ocsf,
    Format.STIX: _stix,
    Format.CEF: _cef,
    Format.CSV: _csv,
    Format.BLOCKLIST: blocklist,
}
