"""Small, valid values for tests: each argument replaces one detail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from service.alerts.alert import Alert, Distinct, Evidence, Ground, Kind
from service.capture.address import pack_addresses
from service.capture.services import parse_service
from service.patterns.pattern import Pattern
from service.store.repository import WindowRecord
from service.windows.counts import ServiceCounts, SourceTotals, TargetSamples, WindowCounts

START = 1_700_000_000 * 10**9
MINUTE = 60 * 10**9


def a_window(sensor: str = "edge", start: int = START, attempts: int = 3) -> WindowCounts:
    """Two sources, one of them an IPv6 address, on three services."""
    return WindowCounts(
        sensor=sensor,
        start=start,
        end=start + MINUTE,
        sources=pack_addresses(["192.0.2.1", "2001:db8::1"]),
        rows=ServiceCounts(
            source=np.array([0, 0, 1], dtype=np.int32),
            service=np.array([parse_service(name) for name in ("tcp/22", "tcp/23", "udp/53")], dtype=np.int32),
            attempts=np.array([attempts, 4, 5], dtype=np.int64),
            targets=np.array([3, 4, 1], dtype=np.int64),
            answered=np.array([0, 1, 1], dtype=np.int64),
            probed=np.array([3, 3, 0], dtype=np.int64),
            dark=np.array([0, 0, 0], dtype=np.int64),
            first=np.array([start, start + 1, start + 2], dtype=np.int64),
            last=np.array([start + 5, start + 6, start + MINUTE - 1], dtype=np.int64),
        ),
        totals=SourceTotals(
            targets=np.array([4, 1], dtype=np.int64),
            most_services=np.array([2, 1], dtype=np.int64),
            most_unanswered=np.array([2, 0], dtype=np.int64),
            most_targets=np.array([4, 1], dtype=np.int64),
        ),
        samples=TargetSamples(
            start=np.array([0, 2, 2, 2, 3, 3, 3], dtype=np.int64),
            targets=pack_addresses(["198.51.100.1", "198.51.100.2", "2001:db8::53"]),
        ),
    )


def a_record(
    sensor: str = "edge",
    start: int = START,
    patterns: tuple[str, ...] = ("p1",),
    alerts: tuple[str, ...] = ("a1", "a2"),
) -> WindowRecord:
    counts = a_window(sensor, start)
    return WindowRecord(counts, counts.digest(), patterns, alerts)


AN_ALERT = Alert(
    id="a1",
    sensor="edge",
    kind=Kind.HORIZONTAL,
    sources=("192.0.2.1",),
    services=("tcp/23", "tcp/22"),
    targets_sample=("198.51.100.1", "198.51.100.2"),
    first_seen=START,
    last_seen=START + 5 * MINUTE,
    ground=Ground.TARGETS,
    score=41.5,
    threshold=25.0,
    technique="T1595.001",
    pattern="p1",
    reason="192.0.2.1 tried tcp/23 on 41 targets in vain.",
    evidence=Evidence(
        attempts=50,
        pairs=44,
        answered=2,
        targets=Distinct(41, exact=True, sample=(1, 2, (1 << 64) - 1)),
        services=Distinct(2, exact=False, sample=(22, 23)),
        windows=5,
    ),
    scale=MINUTE,
    named_at=START + MINUTE,
    named_after=12,
    counted_until=START + 6 * MINUTE,
    updates=1,
    told=24,
)

A_PATTERN = Pattern(
    id="p1",
    sensor="edge",
    name="tcp/23 + tcp/22",
    services=(("tcp/23", 0.75), ("tcp/22", 0.25)),
    service_count=2,
    members=(("192.0.2.1", 0.9), ("192.0.2.7", 0.1 + 0.2)),
    member_count=2,
    first_seen=START,
    last_seen=START + MINUTE,
    windows=1,
)


def an_alert(**details: Any) -> Alert:
    return replace(AN_ALERT, **details)


def a_pattern(**details: Any) -> Pattern:
    return replace(A_PATTERN, **details)
