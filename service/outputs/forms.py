"""The forms in which outputs write an event: one document each, without a line break."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service.alerts.alert import Kind
from service.export.document import alert_document, format_time
from service.export.formats import Format, write
from service.export.severity import Severity, severity_of
from service.export.traffic import scan_name, traffic_of

if TYPE_CHECKING:
    from service.outputs.output import Notice


class Form(StrEnum):
    """A form by the name that configurations know."""

    JSON = "json"
    """The event, and its alert as the API shows it."""
    EVE = "eve"
    """Like an alert in Suricata's eve.json; the event is under ``yocho``."""
    ECS = "ecs"
    OCSF = "ocsf"
    STIX = "stix"
    CEF = "cef"

    @property
    def media_type(self) -> str:
        """What Content-Type says of it."""
        return "application/json" if self in (Form.JSON, Form.EVE) else Format(self.value).media_type


_PRIORITIES = {Severity.HIGH: 1, Severity.MEDIUM: 2, Severity.LOW: 3}
_SIGNATURES = {Kind.VERTICAL: 1, Kind.HORIZONTAL: 2, Kind.BLOCK: 3, Kind.COORDINATED: 4}
_GENERATOR = 9000
"""Of signatures: those of Suricata and its decoders are lower."""
_PROTOCOLS = {"icmp6": "IPv6-ICMP"}


def written(form: Form, notice: Notice, version: str) -> bytes:
    """Write an event; `version` is Yocho's own. Raises ValueError if the alert's sources are no addresses."""
    if form is Form.JSON:
        return json.dumps(event_document(notice)).encode()
    if form is Form.EVE:
        return json.dumps(eve_document(notice)).encode()
    return write(Format(form.value), [notice.alert], notice.event.at, version).rstrip(b"\r\n")


def event_document(notice: Notice) -> dict[str, Any]:
    """Return the document of an event."""
    return {
        "id": notice.id,
        "sequence": notice.event.sequence,
        "event": notice.event.kind.value,
        "at": format_time(notice.event.at),
        "severity": severity_of(notice.alert).value,
        "alert": alert_document(notice.alert),
    }


def eve_document(notice: Notice) -> dict[str, Any]:
    """Return the document of an event as Suricata writes alerts (Suricata user guide, 17.1.2, Eve JSON format).

    Its time is that of the traffic. Fields for the one source, target or port are left out where there are more.
    """
    alert, traffic = notice.alert, traffic_of(notice.alert)
    ends = {
        "src_ip": traffic.source,
        "dest_ip": traffic.target,
        "dest_port": traffic.port,
        "proto": _PROTOCOLS.get(traffic.protocol, traffic.protocol.upper()) if traffic.protocol else None,
    }
    return {
        "timestamp": format_time(alert.last_seen).removesuffix("Z") + "+0000",
        "event_type": "alert",
        "host": alert.sensor,
        **{name: value for name, value in ends.items() if value is not None},
        "alert": {
            "action": "allowed",
            "gid": _GENERATOR,
            "signature_id": _SIGNATURES[alert.kind],
            "rev": 1,
            "signature": scan_name(alert),
            "category": "Detection of a Network Scan",
            "severity": _PRIORITIES[severity_of(alert)],
        },
        "yocho": event_document(notice),
    }
