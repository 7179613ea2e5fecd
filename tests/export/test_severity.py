from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from service.alerts.alert import Alert, Ground, Kind
from service.export.severity import SCORES, Severity, confidence_of, severity_of
from tests.builders import AN_ALERT, an_alert
from tests.export.strategies import alerts, some

HOUR = 3600 * 10**9
ORDER = list(Severity)


def silent(**details: object) -> Alert:
    return an_alert(evidence=replace(AN_ALERT.evidence, answered=0), **details)


@pytest.mark.parametrize(
    ("alert", "severity"),
    [
        (silent(), Severity.LOW),
        (an_alert(), Severity.MEDIUM),  # 2 of 44 answered
        (silent(kind=Kind.BLOCK), Severity.MEDIUM),
        (silent(score=99.9), Severity.LOW),
        (silent(score=100.0), Severity.MEDIUM),
        (silent(scale=HOUR), Severity.MEDIUM),
        (silent(scale=HOUR - 1), Severity.LOW),
        (silent(kind=Kind.BLOCK, scale=HOUR), Severity.MEDIUM),
        (silent(kind=Kind.BLOCK, scale=HOUR, score=100.0), Severity.HIGH),
        (an_alert(kind=Kind.BLOCK, scale=HOUR, score=100.0), Severity.HIGH),
        (an_alert(kind=Kind.BLOCK, scale=HOUR, score=100.0, allowed_by="10.0.0.0/8"), Severity.LOW),
    ],
)
def test_each_point_counts(alert: Alert, severity: Severity) -> None:
    assert severity_of(alert) is severity


def test_of_a_group_twice_the_threshold_is_far() -> None:
    group = silent(kind=Kind.COORDINATED, ground=Ground.SURGE, scale=HOUR, threshold=6.0, score=11.9)
    assert severity_of(group) is Severity.MEDIUM
    assert severity_of(replace(group, score=12.0)) is Severity.HIGH


@some
@given(alerts())
def test_more_evidence_never_makes_it_milder(alert: Alert) -> None:
    worse = [
        replace(alert, score=alert.score * 10),
        replace(alert, scale=24 * HOUR),
        replace(alert, evidence=replace(alert.evidence, answered=alert.evidence.pairs)),
    ]
    for each in worse:
        assert ORDER.index(severity_of(each)) >= ORDER.index(severity_of(alert))
        assert confidence_of(each) >= confidence_of(alert)


@some
@given(alerts())
def test_what_is_allowed_is_low(alert: Alert) -> None:
    assert severity_of(replace(alert, allowed_by="192.0.2.0/24")) is Severity.LOW


@pytest.mark.parametrize(
    ("score", "threshold", "confidence"),
    [(25.0, 25.0, 50), (50.0, 25.0, 75), (1e9, 25.0, 99), (0.0, 0.0, 50), (5.0, 0.0, 50), (0.0, -1.0, 50)],
)
def test_confidence_grows_with_the_distance_from_the_threshold(
    score: float, threshold: float, confidence: int
) -> None:
    assert confidence_of(an_alert(score=score, threshold=threshold)) == confidence


def test_scores_grow_with_severity_within_ten() -> None:
    assert list(SCORES) == ORDER
    assert sorted(set(SCORES.values())) == list(SCORES.values())
    assert all(0 <= score <= 10 for score in SCORES.values())
