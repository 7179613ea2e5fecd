from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import stix2  # type: ignore[import-untyped]
from hypothesis import Phase, given, settings

from service.alerts.alert import LISTED_SOURCES, Alert, Ground, Kind
from service.export.stix import stix_bundle
from tests.builders import MINUTE, START, an_alert
from tests.export.strategies import alerts

GROUP = an_alert(
    id="a2",
    kind=Kind.COORDINATED,
    ground=Ground.SURGE,
    sources=("192.0.2.1", "192.0.2.2", "2001:db8::1"),
    memberships=(0.9, 0.8, 0.7),
)


def objects(*given: Alert) -> dict[str, list[Any]]:
    kinds: dict[str, list[Any]] = {}
    for each in json.loads(stix_bundle(given))["objects"]:
        kinds.setdefault(each["type"], []).append(each)
    return kinds


# Some ms an object: few examples of few sources, and no deadline on a busy machine.
few = settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])

WAIVED = {
    "103": "random ids: the same alert has to have the same ids again",
    "301": "both ports of traffic: a scan has many source ports, and perhaps many others",
    "302": "hashes of linked pages: those of ATT&CK change, and MITRE's own objects have none",
}
"""Recommendations of the standard, not demands, that we do not follow, and why."""


@few
@given(alerts(most_sources=3))
def test_the_library_takes_it_and_all_references_lead_somewhere(alert: Alert) -> None:
    text = stix_bundle([alert])
    assert stix_bundle([alert]) == text
    bundle = stix2.parse(text, allow_custom=False, version="2.1")
    ids = [each.id for each in bundle.objects]
    assert len(set(ids)) == len(ids)
    for each in bundle.objects:
        for field, value in each.items():
            if field.endswith("_ref"):
                assert value in ids, field
            elif field.endswith("_refs"):
                assert set(value) <= set(ids), field


@few
@given(alerts(most_sources=3))
def test_it_passes_the_validator_of_the_standards_authors(alert: Alert) -> None:
    validator = pytest.importorskip("stix2validator")
    options = validator.ValidationOptions(version="2.1", strict=True, disabled=list(WAIVED))
    results = validator.validate_string(stix_bundle([alert]), options)
    assert results.is_valid, [str(error) for error in results.errors]


def test_an_alert_in_stix() -> None:
    kinds = objects(an_alert())
    assert {kind: len(found) for kind, found in kinds.items()} == {
        "identity": 2,
        "attack-pattern": 1,
        "ipv4-addr": 3,
        "network-traffic": 2,
        "indicator": 1,
        "observed-data": 1,
        "sighting": 1,
        "relationship": 2,
        "note": 1,
    }
    (indicator,), (pattern,), (sighting,) = kinds["indicator"], kinds["attack-pattern"], kinds["sighting"]
    assert indicator["pattern"] == "[ipv4-addr:value IN ('192.0.2.1')]"
    assert indicator["indicator_types"] == ["anomalous-activity"]
    assert pattern["external_references"][0]["external_id"] == "T1595.001"
    assert (sighting["count"], sighting["sighting_of_ref"]) == (50, indicator["id"])
    assert [each["name"] for each in kinds["identity"]] == ["Yocho", "edge"]
    assert kinds["note"][0]["content"] == an_alert().reason
    assert {each["relationship_type"] for each in kinds["relationship"]} == {"indicates", "based-on"}


def test_a_group_is_one_indicator_of_all_its_addresses() -> None:
    (indicator,) = objects(GROUP)["indicator"]
    assert indicator["pattern"] == (
        "[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2') OR ipv6-addr:value IN ('2001:db8::1')]"
    )


def test_the_largest_group_is_one_bundle() -> None:
    sources = tuple(f"10.0.{index >> 8}.{index & 255}" for index in range(LISTED_SOURCES))
    kinds = objects(replace(GROUP, sources=sources, memberships=(0.5,) * LISTED_SOURCES))
    assert len(kinds["ipv4-addr"]) == LISTED_SOURCES
    assert len(kinds["observed-data"][0]["object_refs"]) == LISTED_SOURCES


def test_ids_stay_while_an_alert_grows() -> None:
    before = objects(an_alert())["indicator"][0]
    after = objects(an_alert(last_seen=START + 50 * MINUTE))["indicator"][0]
    assert (before["id"], before["created"]) == (after["id"], after["created"])
    assert before["modified"] < after["modified"]


def test_what_alerts_share_is_in_the_bundle_once() -> None:
    kinds = objects(an_alert(), GROUP, an_alert())
    assert len(kinds["indicator"]) == 2
    assert len(kinds["identity"]) == 2
    assert len(kinds["attack-pattern"]) == 1
    assert len({each["value"] for each in kinds["ipv4-addr"]}) == len(kinds["ipv4-addr"])


def test_what_is_allowed_is_benign() -> None:
    assert objects(an_alert(allowed_by="192.0.2.0/24"))["indicator"][0]["indicator_types"] == ["benign"]


def test_no_alerts_are_a_bundle_too() -> None:
    bundle = stix2.parse(stix_bundle([]), version="2.1")
    assert [each.type for each in bundle.objects] == ["identity"]
