from __future__ import annotations

import json

import pytest

from service.export.document import alert_document, format_time, pattern_document, version_document
from service.patterns.catalogue import judge
from service.patterns.pattern import Status
from tests.builders import a_pattern, an_alert


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_999, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775Z"),
    ],
)
def test_times_are_utc_cut_to_microseconds(time: int, text: str) -> None:
    assert format_time(time) == text


def test_an_alert_says_all_it_knows() -> None:
    document = alert_document(an_alert())
    assert document == {
        "id": "a1",
        "sensor": "edge",
        "kind": "horizontal",
        "sources": ["192.0.2.1"],
        "memberships": [],
        "services": ["tcp/23", "tcp/22"],
        "service_count": 2,
        "targets_sample": ["198.51.100.1", "198.51.100.2"],
        "target_count": 41,
        "targets_exact": True,
        "attempts": 50,
        "pairs": 44,
        "answered": 2,
        "answered_share": 2 / 44,
        "attempts_per_second": 50 / 300,
        "windows": 5,
        "estimated": False,
        "shed_attempts": 0,
        "first_seen": "2023-11-14T22:13:20.000000Z",
        "last_seen": "2023-11-14T22:18:20.000000Z",
        "open_until": "2023-11-14T22:28:20.000000Z",
        "named_at": "2023-11-14T22:14:20.000000Z",
        "named_after_pairs": 12,
        "scale_seconds": 60.0,
        "updates": 1,
        "ground": "targets",
        "score": 41.5,
        "threshold": 25.0,
        "baseline": None,
        "usual": None,
        "tool": None,
        "technique": "T1595.001",
        "pattern": "p1",
        "reason": "192.0.2.1 tried tcp/23 on 41 targets in vain.",
        "allowed_by": None,
    }
    assert json.loads(json.dumps(document)) == document


def test_a_pattern_says_all_it_knows() -> None:
    document = pattern_document(a_pattern())
    assert document == {
        "id": "p1",
        "sensor": "edge",
        "name": "tcp/23 + tcp/22",
        "status": "new",
        "judged": False,
        "state": "live",
        "successor": None,
        "parents": [],
        "version": 1,
        "window_seconds": 60.0,
        "services": [{"service": "tcp/23", "share": 0.75}, {"service": "tcp/22", "share": 0.25}],
        "service_count": 2,
        "members": [{"source": "192.0.2.1", "share": 0.9}, {"source": "192.0.2.7", "share": 0.1 + 0.2}],
        "member_count": 2,
        "first_seen": "2023-11-14T22:13:20.000000Z",
        "last_seen": "2023-11-14T22:14:20.000000Z",
        "windows": 1,
        "prevalence": 1.0,
        "reach": 0.0,
        "novelty": 1.0,
        "drift": 0.0,
        "techniques": [],
    }
    assert json.loads(json.dumps(document)) == document


def test_a_version_says_what_happened() -> None:
    _, version = judge(a_pattern(), Status.BENIGN, 1_700_000_000 * 10**9)
    document = version_document(version)
    assert document == {
        "version": 2,
        "event": "judged",
        "time": "2023-11-14T22:13:20.000000Z",
        "status": "benign",
        "name": "tcp/23 + tcp/22",
        "services": [{"service": "tcp/23", "share": 0.75}, {"service": "tcp/22", "share": 0.25}],
        "member_count": 2,
        "windows": 1,
        "others": [],
    }
    assert json.loads(json.dumps(document)) == document
