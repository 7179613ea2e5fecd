"""The types are those of the ECS 8 field reference (generated/csv/fields.csv of the schema's repository).

No package ships them, so the table is ours; a field that isn't in it fails the test.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given

from service.alerts.alert import Alert, Kind
from service.export.document import Document
from service.export.ecs import ecs_document
from tests.builders import an_alert
from tests.export.strategies import alerts, some

KEYWORDS = [
    "ecs.version",
    "message",
    "event.kind",
    "event.module",
    "event.dataset",
    "event.provider",
    "event.id",
    "event.action",
    "event.code",
    "event.reason",
    "rule.id",
    "rule.name",
    "rule.category",
    "rule.ruleset",
    "rule.version",
    "threat.framework",
    "source.address",
    "destination.address",
    "network.type",
    "network.transport",
    "network.iana_number",
    "observer.name",
    "observer.type",
    "observer.vendor",
    "observer.product",
    "observer.version",
]
KEYWORD_LISTS = [
    "event.category",
    "event.type",
    "threat.tactic.id",
    "threat.tactic.name",
    "threat.tactic.reference",
    "threat.technique.id",
    "threat.technique.name",
    "threat.technique.reference",
    "threat.technique.subtechnique.id",
    "threat.technique.subtechnique.name",
    "threat.technique.subtechnique.reference",
]
DATES = ["@timestamp", "event.start", "event.end"]
LONGS = ["event.duration", "event.severity", "destination.port"]
ADDRESSES = ["source.ip", "destination.ip"]


def is_keyword(value: object) -> bool:
    return isinstance(value, str)


def is_date(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value))


def is_long(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def is_address(value: object) -> bool:
    return isinstance(value, str) and bool(ipaddress.ip_address(value))


def lists(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(check, value))


FIELDS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(KEYWORDS, is_keyword),
    **dict.fromkeys(KEYWORD_LISTS, lists(is_keyword)),
    **dict.fromkeys(DATES, is_date),
    **dict.fromkeys(LONGS, is_long),
    **dict.fromkeys(ADDRESSES, is_address),
    "related.ip": lists(is_address),
}


def flat(document: Document, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@some
@given(alerts())
def test_every_field_is_one_of_ecs_and_of_its_type(alert: Alert) -> None:
    document = ecs_document(alert, "1.2.3")
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    own = document.pop("yocho")
    assert own["id"] == alert.id
    for field, value in flat(document):
        assert field in FIELDS, field
        assert FIELDS[field](value), (field, value)


@some
@given(alerts())
def test_categories_are_those_that_ecs_allows(alert: Alert) -> None:
    document = ecs_document(alert, "1.2.3")
    assert document["ecs"]["version"].startswith("8.")
    assert document["event"]["kind"] == "alert"
    assert document["event"]["category"] == ["network", "intrusion_detection"]
    # "info" is the one type that ECS expects of both categories for what was only seen.
    assert document["event"]["type"] == ["info"]
    assert document.get("network", {}).get("type", "ipv4") in ("ipv4", "ipv6")
    assert document.get("network", {}).get("transport", "tcp") in ("tcp", "udp", "icmp", "ipv6-icmp")
    assert set(alert.sources) <= set(document["related"]["ip"])
    assert ("source" in document) == (len(alert.sources) == 1)


def test_an_alert_in_ecs() -> None:
    document = ecs_document(an_alert(), "1.2.3")
    assert document["@timestamp"] == "2023-11-14T22:14:20.000000Z"
    assert document["source"] == {"ip": "192.0.2.1", "address": "192.0.2.1"}
    assert "destination" not in document
    assert document["network"] == {"type": "ipv4", "transport": "tcp", "iana_number": "6"}
    assert document["observer"]["name"] == "edge"
    assert document["threat"]["technique"]["id"] == ["T1595"]
    assert document["threat"]["technique"]["subtechnique"]["id"] == ["T1595.001"]
    assert document["threat"]["tactic"]["name"] == ["Reconnaissance"]
    assert document["event"]["duration"] == 300 * 10**9
    assert document["event"]["severity"] == 6
    assert document["yocho"]["severity"] == "medium"


@pytest.mark.parametrize("kind", Kind)
def test_an_action_for_each_kind(kind: Kind) -> None:
    assert ecs_document(an_alert(kind=kind), "1")["event"]["action"] == f"{kind.value}-scan"
