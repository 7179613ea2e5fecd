from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import StoreError
from service.patterns.catalogue import judge
from service.patterns.pattern import Pattern, Status
from service.store import documents
from tests.builders import START, a_pattern, an_alert


@given(
    reason=st.text(),
    score=st.floats(1, allow_infinity=False),
    sample=st.lists(st.integers(0, 2**64 - 1)).map(tuple),
)
@settings(derandomize=True)
def test_an_alert_comes_back_exactly(reason: str, score: float, sample: tuple[int, ...]) -> None:
    alert = an_alert(reason=reason, score=score, threshold=1.0)
    alert = replace(alert, evidence=replace(alert.evidence, targets=replace(alert.evidence.targets, sample=sample)))
    assert documents.read_alert(documents.write_alert(alert)) == alert


def test_a_pattern_comes_back_exactly() -> None:
    assert documents.read_pattern(documents.write_pattern(a_pattern())) == a_pattern()


def test_a_version_comes_back_exactly() -> None:
    _, version = judge(a_pattern(), Status.BENIGN, START)
    assert documents.read_version(documents.write_version(version)) == version


def test_a_pattern_of_the_first_layout_is_read() -> None:
    new = {field.name for field in fields(Pattern) if field.default is not MISSING}
    document = json.loads(documents.write_pattern(a_pattern()))
    old = json.dumps({name: value for name, value in document.items() if name not in new})
    assert documents.read_pattern(old) == a_pattern()


@pytest.mark.parametrize("document", ["", "{}", "null", '{"id": "a1"}'])
def test_a_damaged_alert_or_pattern_is_named(document: str) -> None:
    with pytest.raises(StoreError, match="damaged"):
        documents.read_alert(document)
    with pytest.raises(StoreError, match="damaged"):
        documents.read_pattern(document)
