r"""An alert as a line of the Common Event Format, version 0 (ArcSight CEF implementation standard, revision 25).

A line is CEF:0|vendor|product|version|signature|name|severity|key=value …; of the header, ``\`` and ``|`` are
escaped, of values ``\`` and ``=``, and a line break is written ``\n``. Other control characters would break the
line of one reader or another, so a space stands for each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from service.export.severity import SCORES, severity_of
from service.export.traffic import ip_version, scan_name, traffic_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.alerts.alert import Alert

_LONGEST = 4000
"""Characters of a custom string (cs1 …), by the standard."""
_LONGEST_MESSAGE = 1023
_LONGEST_NAME = 255
_BREAKS = re.compile(r"\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x09\x0e-\x1f\x7f-\x9f]")


def cef_line(alert: Alert, version: str) -> str:
    """Return the line of an alert, without its end; `version` is Yocho's own."""
    header = (
        "CEF:0",
        "Yocho",
        "Yocho",
        version,
        f"{alert.kind.value}-{alert.ground.value}",
        scan_name(alert),
        str(SCORES[severity_of(alert)]),
    )
    return "|".join(map(escape_header, header)) + "|" + " ".join(_extension(alert))


def escape_header(text: str) -> str:
    """Write a field of the header."""
    return _CONTROLS.sub(" ", _BREAKS.sub(" ", text)).replace("\\", "\\\\").replace("|", "\\|")


def escape_value(text: str) -> str:
    """Write a value of the extension, without spaces around it."""
    lines = _CONTROLS.sub(" ", _BREAKS.sub("\n", text)).strip()
    return lines.replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\n")


def _extension(alert: Alert) -> Iterator[str]:
    """Yield the pairs that have a value."""
    for key, value in (*_fields(alert), *_ends(alert), *_custom(alert)):
        written = escape_value(str(value))
        if written:
            yield f"{key}={written}"


def _fields(alert: Alert) -> Iterator[tuple[str, object]]:
    yield "externalId", alert.id
    yield "deviceExternalId", alert.sensor[:_LONGEST_NAME]
    yield "cat", alert.kind.value
    yield "rt", _ms(alert.named_at)
    yield "start", _ms(alert.first_seen)
    yield "end", _ms(alert.last_seen)
    yield "cnt", alert.evidence.attempts
    yield "msg", alert.reason[:_LONGEST_MESSAGE]


def _ends(alert: Alert) -> Iterator[tuple[str, object]]:
    """Yield source, target, port and protocol where there is one; src and dst are IPv4 by the standard."""
    traffic = traffic_of(alert)
    for address, key, other, label in (
        (traffic.source, "src", "c6a2", "Source IPv6 Address"),
        (traffic.target, "dst", "c6a3", "Destination IPv6 Address"),
    ):
        if address and ip_version(address) == 4:
            yield key, address
        elif address:
            yield other, address
            yield f"{other}Label", label
    if traffic.port is not None:
        yield "dpt", traffic.port
    if traffic.protocol:
        yield "proto", traffic.protocol.upper()


def _custom(alert: Alert) -> Iterator[tuple[str, object]]:
    evidence = alert.evidence
    for key, label, value in (
        ("cn1", "targets", evidence.targets.count),
        ("cn2", "pairs", evidence.pairs),
        ("cn3", "answered", evidence.answered),
        ("cfp1", "score", alert.score),
        ("cfp2", "threshold", alert.threshold),
        ("cs1", "services", _listed(alert.services)),
        ("cs2", "technique", alert.technique),
        ("cs3", "pattern", alert.pattern or ""),
        ("cs4", "sources", _listed(alert.sources) if len(alert.sources) > 1 else ""),
        ("cs5", "tool", alert.tool.name.value if alert.tool else ""),
        ("cs6", "allowedBy", (alert.allowed_by or "")[:_LONGEST]),
    ):
        if value != "":
            yield key, value
            yield f"{key}Label", label


def _listed(members: tuple[str, ...]) -> str:
    """Write as many members as a custom string has room for, the first ones."""
    text = ",".join(members)
    return text if len(text) <= _LONGEST else text[: _LONGEST + 1].rpartition(",")[0]


def _ms(time: int) -> int:
    return time // 1_000_000
