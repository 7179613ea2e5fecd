"""An alert as a Detection Finding of the Open Cybersecurity Schema Framework, 1.5.

https://schema.ocsf.io/1.5.0/classes/detection_finding. Times are ms since the epoch, as OCSF's timestamp_t is. What
OCSF has no attribute for is in ``unmapped``, as Yocho's own JSON has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.alerts.reason import who
from service.export.attack import technique_of
from service.export.document import alert_document
from service.export.severity import Severity, confidence_of, severity_of
from service.export.traffic import ip_version, scan_name, traffic_of

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.export.attack import Entry
    from service.export.document import Document

OCSF_VERSION = "1.5.0"

_CATEGORY, _CLASS = 2, 2004
_SEVERITIES = {Severity.LOW: (2, "Low"), Severity.MEDIUM: (3, "Medium"), Severity.HIGH: (4, "High")}
_ACTIVITIES = {False: (1, "Create"), True: (2, "Update")}
_STATUSES = {False: (1, "New"), True: (3, "Suppressed")}
_SURE = 75
_RULE, _STATISTICAL = (1, "Rule"), (3, "Statistical")
_IP_ADDRESS = 2
_UNKNOWN_DIRECTION = 0


def ocsf_document(alert: Alert, version: str) -> Document:
    """Return the document of an alert; `version` is Yocho's own."""
    severity_id, severity = _SEVERITIES[severity_of(alert)]
    activity_id, activity = _ACTIVITIES[alert.updates > 0]
    status_id, status = _STATUSES[alert.allowed_by is not None]
    evidences, observables = _evidences(alert)
    return {
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": _CLASS * 100 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": _ms(alert.named_at),
        "start_time": _ms(alert.first_seen),
        "end_time": _ms(alert.last_seen),
        "duration": _ms(alert.last_seen) - _ms(alert.first_seen),
        "timezone_offset": 0,
        "count": alert.evidence.attempts,
        "message": alert.reason,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "is_alert": alert.allowed_by is None,
        **_confidence(alert),
        "metadata": _metadata(alert, version),
        "finding_info": _finding_info(alert, version),
        "evidences": evidences,
        "observables": observables,
        "unmapped": alert_document(alert),
    }


def _confidence(alert: Alert) -> Document:
    score = confidence_of(alert)
    number, caption = (3, "High") if score >= _SURE else (2, "Medium")
    return {"confidence_id": number, "confidence": caption, "confidence_score": score}


def _metadata(alert: Alert, version: str) -> Document:
    return {
        "version": OCSF_VERSION,
        "uid": alert.id,
        "event_code": alert.ground.value,
        "log_provider": alert.sensor,
        "product": {"name": "Yocho", "vendor_name": "Yocho", "version": version},
    }


def _finding_info(alert: Alert, version: str) -> Document:
    type_id, kind = _RULE if alert.baseline is None else _STATISTICAL
    return {
        "uid": alert.id,
        "title": f"{scan_name(alert)} by {who(alert)}",
        "desc": alert.reason,
        "types": [alert.kind.value],
        "created_time": _ms(alert.named_at),
        "first_seen_time": _ms(alert.first_seen),
        "last_seen_time": _ms(alert.last_seen),
        "data_sources": [alert.sensor],
        "analytic": {
            "uid": alert.ground.value,
            "name": f"Yocho: {alert.ground.value}",
            "type_id": type_id,
            "type": kind,
            "version": version,
        },
        "attacks": [_attack(alert)],
    }


def _attack(alert: Alert) -> Document:
    technique = technique_of(alert.technique)
    attack = {"technique": _entry(technique.whole)}
    if technique.part:
        attack["sub_technique"] = _entry(technique.part)
    if technique.tactic:
        attack["tactic"] = _entry(technique.tactic)
    return attack


def _entry(entry: Entry) -> Document:
    return {"uid": entry.id, "name": entry.name, "src_url": entry.url}


def _evidences(alert: Alert) -> tuple[list[Document], list[Document]]:
    """Return one artifact for each source, or for each listed target of the only one, and what is seen there."""
    connection = _connection(alert)
    port = traffic_of(alert).port
    evidences: list[Document] = []
    observables: dict[str, str] = {}
    for index, (source, target) in enumerate(_pairs(alert)):
        evidence: Document = {"src_endpoint": {"ip": source}, **connection}
        observables.setdefault(source, f"evidences[{index}].src_endpoint.ip")
        destination: Document = {"ip": target} if target else {}
        if target:
            observables.setdefault(target, f"evidences[{index}].dst_endpoint.ip")
        if port is not None:
            destination["port"] = port
        evidences.append(evidence | ({"dst_endpoint": destination} if destination else {}))
    return evidences, [
        {"name": name, "type_id": _IP_ADDRESS, "type": "IP Address", "value": value}
        for value, name in observables.items()
    ]


def _pairs(alert: Alert) -> list[tuple[str, str | None]]:
    if len(alert.sources) == 1 and alert.targets_sample:
        return [(alert.sources[0], target) for target in alert.targets_sample]
    return [(source, None) for source in alert.sources]


def _connection(alert: Alert) -> Document:
    traffic = traffic_of(alert)
    if traffic.number is None:
        return {}
    versions = {ip_version(source) for source in alert.sources}
    version = {"protocol_ver_id": versions.pop()} if len(versions) == 1 else {}
    return {
        "connection_info": {
            "direction_id": _UNKNOWN_DIRECTION,
            "protocol_name": traffic.protocol,
            "protocol_num": traffic.number,
            **version,
        }
    }


def _ms(time: int) -> int:
    return time // 1_000_000
