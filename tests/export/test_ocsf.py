from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any

import py_ocsf_models  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from py_ocsf_models.events.findings.detection_finding import (  # type: ignore[import-untyped]
    DetectionFinding,
)
from pydantic import BaseModel, ValidationError

from service.alerts.alert import Alert
from service.export.document import Document
from service.export.ocsf import OCSF_VERSION, ocsf_document
from tests.builders import an_alert
from tests.export.strategies import alerts, some

# Attributes of OCSF 1.5 that the library's models leave out; their types are checked below.
NOT_MODELLED = re.compile(r"is_alert|evidences\[\d+\]\.(src_endpoint|dst_endpoint|connection_info)")


def lost(document: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what a model was given and does not hold."""
    if isinstance(document, dict) and isinstance(kept, dict):
        for key, value in document.items():
            yield from lost(value, kept.get(key), f"{path}.{key}" if path else key)
    elif isinstance(document, list) and isinstance(kept, list) and len(document) == len(kept):
        for index, pair in enumerate(zip(document, kept, strict=True)):
            yield from lost(*pair, f"{path}[{index}]")
    elif document != kept:
        yield path


def at(document: Any, path: str) -> Any:
    """Return what an observable's name points to."""
    for key, index in re.findall(r"(\w+)(?:\[(\d+)\])?", path):
        document = document[key][int(index)] if index else document[key]
    return document


@some
@given(alerts())
def test_the_library_takes_it_and_loses_nothing(alert: Alert) -> None:
    document = ocsf_document(alert, "1.2.3")
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    kept = DetectionFinding.model_validate(document, strict=False).model_dump(mode="json")
    assert [path for path in lost(document, kept) if not NOT_MODELLED.fullmatch(path)] == []


def unknown(model: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what a model holds though its schema does not know it."""
    if isinstance(model, list):
        for member in model:
            yield from unknown(member, f"{path}[]")
    elif isinstance(model, BaseModel):
        for name in model.model_extra or {}:
            yield f"{path}.{name}".lstrip(".")
        for name in model.model_fields_set:
            yield from unknown(getattr(model, name, None), f"{path}.{name}".lstrip("."))


@some
@given(alerts())
def test_the_published_schema_knows_every_attribute_and_changes_none(alert: Alert) -> None:
    schema = pytest.importorskip("ocsf.v1_5_0.events")  # of pydantic-ocsf: models made of the schema itself
    document = ocsf_document(alert, "1.2.3")
    model = schema.DetectionFinding.model_validate(document)
    assert {path for path in unknown(model) if not path.startswith("unmapped.")} == set()
    kept = model.model_dump(mode="json", exclude_none=True)
    # These models take blanks off the ends of texts; the schema does not ask for it.
    changed = [path for path in lost(document, kept) if str(at(document, path)).strip() != at(kept, path)]
    assert changed == []


@pytest.mark.parametrize(
    "wrong", [{"severity_id": 17}, {"activity_id": 55}, {"time": "now"}, {"finding_info": {}}, {"is_alert": "so"}]
)
def test_what_is_wrong_by_the_published_schema_would_be_noticed(wrong: Document) -> None:
    schema = pytest.importorskip("ocsf.v1_5_0.events")
    with pytest.raises(ValidationError):
        schema.DetectionFinding.model_validate(ocsf_document(an_alert(), "1.2.3") | wrong)


@some
@given(alerts())
def test_evidence_is_of_the_schemas_types(alert: Alert) -> None:
    document = ocsf_document(alert, "1.2.3")
    assert type(document["is_alert"]) is bool
    assert document["evidences"]
    for evidence in document["evidences"]:
        check_endpoint(evidence["src_endpoint"])
        if "dst_endpoint" in evidence:
            check_endpoint(evidence["dst_endpoint"])
        if "connection_info" in evidence:
            check_connection(evidence["connection_info"])


def check_endpoint(endpoint: Document) -> None:
    assert endpoint
    assert set(endpoint) <= {"ip", "port"}
    if "ip" in endpoint:
        ipaddress.ip_address(endpoint["ip"])
    assert 0 <= endpoint.get("port", 0) <= 0xFFFF


def check_connection(connection: Document) -> None:
    assert set(connection) <= {"direction_id", "protocol_name", "protocol_num", "protocol_ver_id"}
    assert connection["direction_id"] == 0  # required
    assert connection["protocol_num"] in (1, 6, 17, 58)
    assert connection.get("protocol_ver_id", 4) in (4, 6)


@some
@given(alerts())
def test_observables_point_to_what_they_say(alert: Alert) -> None:
    document = ocsf_document(alert, "1.2.3")
    values = [observable["value"] for observable in document["observables"]]
    assert len(set(values)) == len(values)
    assert set(alert.sources) <= set(values)
    for observable in document["observables"]:
        assert at(document, observable["name"]) == observable["value"]


def test_an_alert_in_ocsf() -> None:
    document = ocsf_document(an_alert(), "1.2.3")
    assert document["class_uid"] == 2004
    assert document["type_uid"] == 200402  # it has grown once
    assert ocsf_document(an_alert(updates=0), "1.2.3")["type_uid"] == 200401
    assert document["time"] == 1_700_000_060_000
    assert document["metadata"]["version"] == OCSF_VERSION == py_ocsf_models.OCSF_VERSION
    assert document["metadata"]["product"] == {"name": "Yocho", "vendor_name": "Yocho", "version": "1.2.3"}
    assert document["finding_info"]["title"] == "Horizontal scan by 192.0.2.1"
    assert document["finding_info"]["attacks"][0]["sub_technique"]["uid"] == "T1595.001"
    assert (document["severity"], document["confidence"], document["confidence_score"]) == ("Medium", "Medium", 70)
    assert document["unmapped"]["score"] == 41.5


def test_what_is_allowed_is_suppressed() -> None:
    document = ocsf_document(an_alert(allowed_by="192.0.2.0/24"), "1.2.3")
    assert (document["status"], document["is_alert"], document["severity"]) == ("Suppressed", False, "Low")
