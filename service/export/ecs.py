"""An alert as a document of the Elastic Common Schema, 8.17.

https://www.elastic.co/guide/en/ecs/8.17/ecs-field-reference.html. The fields of ECS hold what they mean there and
nothing else; all that Yocho knows besides is under ``yocho``, as its own JSON has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.export.attack import FRAMEWORK, technique_of
from service.export.document import alert_document, format_time
from service.export.severity import SCORES, confidence_of, severity_of
from service.export.traffic import ip_version, scan_name, traffic_of

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.export.attack import Entry
    from service.export.document import Document
    from service.export.traffic import Traffic

ECS_VERSION = "8.17.0"

_TRANSPORTS = {"icmp6": "ipv6-icmp"}
"""Where ECS, which takes IANA's keywords, calls a protocol otherwise."""


def ecs_document(alert: Alert, version: str) -> Document:
    """Return the document of an alert; `version` is Yocho's own."""
    traffic = traffic_of(alert)
    severity = severity_of(alert)
    return {
        "@timestamp": format_time(alert.named_at),
        "ecs": {"version": ECS_VERSION},
        "message": alert.reason,
        "event": _event(alert, SCORES[severity]),
        "rule": {
            "id": alert.ground.value,
            "name": scan_name(alert),
            "category": alert.kind.value,
            "ruleset": "yocho",
            "version": version,
        },
        "threat": _threat(alert),
        **_ends(traffic),
        **_network(alert, traffic),
        "observer": {
            "name": alert.sensor,
            "type": "ids",
            "vendor": "Yocho",
            "product": "Yocho",
            "version": version,
        },
        "related": {"ip": list(dict.fromkeys((*alert.sources, *alert.targets_sample)))},
        "yocho": alert_document(alert) | {"severity": severity.value, "confidence": confidence_of(alert)},
    }


def _event(alert: Alert, severity: int) -> Document:
    return {
        "kind": "alert",
        "category": ["network", "intrusion_detection"],
        "type": ["info"],
        "module": "yocho",
        "dataset": "yocho.alert",
        "provider": "yocho",
        "id": alert.id,
        "action": f"{alert.kind.value}-scan",
        "code": alert.ground.value,
        "reason": alert.reason,
        "start": format_time(alert.first_seen),
        "end": format_time(alert.last_seen),
        "duration": alert.last_seen - alert.first_seen,
        "severity": severity,
    }


def _threat(alert: Alert) -> Document:
    technique = technique_of(alert.technique)
    whole = _entry(technique.whole)
    if technique.part:
        whole["subtechnique"] = _entry(technique.part)
    tactic = {"tactic": _entry(technique.tactic)} if technique.tactic else {}
    return {"framework": FRAMEWORK, "technique": whole, **tactic}


def _entry(entry: Entry) -> Document:
    return {"id": [entry.id], "name": [entry.name], "reference": [entry.url]}


def _ends(traffic: Traffic) -> Document:
    """Return the one source and the one target; ECS knows no field for several."""
    document: Document = {}
    if traffic.source:
        document["source"] = {"ip": traffic.source, "address": traffic.source}
    destination: Document = {}
    if traffic.target:
        destination |= {"ip": traffic.target, "address": traffic.target}
    if traffic.port is not None:
        destination["port"] = traffic.port
    return document | ({"destination": destination} if destination else {})


def _network(alert: Alert, traffic: Traffic) -> Document:
    network: Document = {}
    versions = {ip_version(source) for source in alert.sources}
    if traffic.protocol != "arp" and len(versions) == 1:
        network["type"] = f"ipv{versions.pop()}"
    if traffic.number is not None and traffic.protocol:
        network["transport"] = _TRANSPORTS.get(traffic.protocol, traffic.protocol)
        network["iana_number"] = str(traffic.number)
    return {"network": network} if network else {}
