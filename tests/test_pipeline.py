from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.alerts.alert import Alert, Kind
from service.alerts.allow import read_allow_list
from service.errors import WindowConflictError
from service.patterns.catalogue import judge
from service.patterns.pattern import Status
from service.pipeline import Pipeline, PipelineSpec
from service.store.allow_rules import KeptRule
from service.store.memory import MemoryStore
from service.store.repository import AlertQuery, PatternQuery, Tuning
from service.store.settings import Setting
from service.store.sql import SqlStore
from service.windows.counts import WindowCounts
from tests.capture.frames import SYN, V4, built
from tests.capture.logs.writing import FLOWS, TABLE_HEADER, table_line
from tests.capture.wrapping import TUNNELS
from tests.packets import Frame, pcap
from tests.traffic import SECOND, START, Try, ports, sweep, window

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def pipeline(store: MemoryStore) -> Pipeline:
    return Pipeline(PipelineSpec(), store)


def test_a_scan_becomes_an_alert_that_names_its_pattern(pipeline: Pipeline, store: MemoryStore) -> None:
    honest = [Try(f"10.5.0.{i}", "10.0.0.1", "tcp/443", answered=True) for i in range(1, 9)]
    receipt = pipeline.accept(window(honest + ports("10.0.0.66", "10.0.0.1", 100)))
    with store.read() as unit:
        (alert,) = unit.alerts(AlertQuery()).items
        assert receipt.alerts == (alert.id,)
        assert alert.pattern is not None
        pattern = unit.pattern(alert.pattern)
    assert pattern is not None
    assert "10.0.0.66" in dict(pattern.members)
    assert pattern.service_count == 100


def test_a_scan_of_a_pattern_that_is_judged_muted_is_kept_apart(pipeline: Pipeline, store: MemoryStore) -> None:
    pipeline.accept(window(ports("10.0.0.66", "10.0.0.1", 100)))
    with store.begin() as unit:
        (told,) = unit.alerts(AlertQuery()).items
        assert told.pattern is not None
        pattern = unit.pattern(told.pattern)
        assert pattern is not None
        muted, version = judge(pattern, Status.MUTED, START)
        unit.save_patterns([muted], [version])
    pipeline.accept(window(ports("10.0.0.77", "10.0.0.1", 100), start=START + HOUR))
    pipeline.accept(window(ports("10.0.0.88", "10.0.0.1", 120), start=START + 2 * HOUR))
    with store.read() as reader:
        (kept,) = reader.alerts(AlertQuery(allowed=True)).items
        assert (kept.sources, kept.evidence.pairs) == (("10.0.0.77",), 100)
        assert kept.allowed_by == f"pattern {pattern.id} judged muted"
        assert [alert.sources for alert in reader.alerts(AlertQuery()).items] == [("10.0.0.88",), told.sources]


def test_the_same_window_again_changes_nothing(pipeline: Pipeline, store: MemoryStore) -> None:
    counts = window(ports("10.0.0.66", "10.0.0.1", 100))
    first = pipeline.accept(counts)
    again = pipeline.accept(counts)
    assert again.repeated
    assert (again.window_id, again.patterns, again.alerts) == (first.window_id, first.patterns, first.alerts)
    with store.read() as unit:
        (alert,) = unit.alerts(AlertQuery()).items
        assert alert.evidence.windows == 1
        assert len(unit.patterns(PatternQuery()).items) == len(first.patterns)


def test_another_window_at_the_same_time_is_refused_and_leaves_nothing(
    pipeline: Pipeline, store: MemoryStore
) -> None:
    pipeline.accept(window(ports("10.0.0.66", "10.0.0.1", 100)))
    later = window(sweep("10.0.0.7", "tcp/445", 30), start=START + MINUTE)
    with pytest.raises(WindowConflictError, match="other content"):
        pipeline.accept_all([later, window(ports("10.0.0.67", "10.0.0.1", 100))])
    with store.read() as unit:
        assert [alert.sources for alert in unit.alerts(AlertQuery()).items] == [("10.0.0.66",)]
        assert unit.window(later.id) is None


def test_a_scan_that_goes_on_is_one_alert(pipeline: Pipeline, store: MemoryStore) -> None:
    receipts = pipeline.accept_all(
        window(ports("10.0.0.66", "10.0.0.1", 50, first=50 * i + 1), start=START + i * MINUTE) for i in range(3)
    )
    assert len({alert for receipt in receipts for alert in receipt.alerts}) == 1
    with store.read() as unit:
        (alert,) = unit.alerts(AlertQuery()).items
    assert alert.evidence.services.count == 150
    assert alert.evidence.windows == 3


def test_sensors_do_not_mix(pipeline: Pipeline, store: MemoryStore) -> None:
    for sensor in ("a", "b"):
        pipeline.accept(window(ports("10.0.0.66", "10.0.0.1", 50), sensor=sensor))
    with store.read() as unit:
        assert {alert.sensor for alert in unit.alerts(AlertQuery()).items} == {"a", "b"}
        assert len({pattern.id for pattern in unit.patterns(PatternQuery()).items}) == 2


def hours(count: int) -> list[WindowCounts]:
    """Hours of strangers that try usual services, and in the last three of twelve sources that try another one."""
    chance = np.random.default_rng(3)
    found = []
    for hour in range(count):
        tries = {
            (f"198.51.{chance.integers(100)}.{chance.integers(1, 255)}", f"10.0.0.{chance.integers(1, 10)}",
             f"tcp/{(22, 23, 445, 1433)[int(chance.integers(4))]}")
            for _ in range(40)
        }  # fmt: skip
        if hour >= count - 3:
            tries |= {(f"203.0.113.{i}", f"10.0.0.{i % 9 + 1}", "tcp/9527") for i in range(1, 13)}
        start = START // HOUR * HOUR + hour * HOUR
        found.append(window([Try(*one) for one in sorted(tries)], start=start, length=HOUR))
    return found


def test_a_restart_goes_on_with_what_is_remembered_of_groups(tmp_path: Path) -> None:
    def run(name: str, restarts: range) -> list[Alert]:
        store = SqlStore(f"sqlite:///{tmp_path / name}")
        pipeline = Pipeline(PipelineSpec(), store)
        for number, counts in enumerate(hours(27)):
            if number in restarts:
                pipeline = Pipeline(PipelineSpec(), store)
            pipeline.accept(counts)
        with store.read() as unit:
            alerts = unit.alerts(AlertQuery()).items
        store.close()
        return [replace(alert, pattern=None) for alert in alerts]

    undisturbed = run("whole.db", range(0))
    assert [(alert.kind, alert.services, alert.evidence.windows) for alert in undisturbed] == [
        (Kind.COORDINATED, ("tcp/9527",), 3)
    ]
    assert run("restarted.db", range(5, 27, 4)) == undisturbed


def test_a_rule_that_is_added_holds_from_the_next_window_on(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/yocho.db")
    pipeline = Pipeline(PipelineSpec(), store)
    pipeline.accept(window(ports("10.0.0.66", "10.0.0.1", 100)))
    with store.begin() as unit:
        unit.allow_rules.add(KeptRule("10.0.0.67", "our own", 1, "ann"))
        unit.settings.put(Setting("false_alarms", 0, 1, "ann"))
    pipeline.accept(window(ports("10.0.0.67", "10.0.0.1", 100), start=START + MINUTE))
    with store.read() as unit:
        (told,) = unit.alerts(AlertQuery()).items
        (allowed,) = unit.alerts(AlertQuery(allowed=True)).items
    store.close()
    assert (told.sources, told.allowed_by) == (("10.0.0.66",), None)
    assert (allowed.sources, allowed.allowed_by) == (("10.0.0.67",), "10.0.0.67")


def test_what_people_change_is_added_to_what_is_configured() -> None:
    spec = PipelineSpec(allowed=read_allow_list(["udp/161"], "file"))
    tuned = spec.tuned(Tuning(false_alarms=7.0, allow_rules=("192.0.2.7",)))
    assert [rule.text for rule in tuned.allowed.rules] == ["udp/161", "192.0.2.7"]
    assert tuned.coordination.budget.per_day == 7.0
    assert spec.tuned(Tuning()) == spec


def test_the_receipt_of_a_capture_tells_of_tunnels(pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    packets = [built(V4 / SYN), built(TUNNELS["gre"][1](V4 / SYN)), built(TUNNELS["vxlan"][1](V4 / SYN))]
    path.write_bytes(pcap([Frame(START, packet) for packet in packets], link=101))
    receipt = pipeline.accept_capture(path, "edge")
    assert (receipt.packets, receipt.flows) == (3, 0)
    assert receipt.tunnelled == {"gre": 1, "vxlan": 1}


def test_the_receipt_of_a_log_tells_of_flows(pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE_HEADER + "".join(map(table_line, FLOWS)))
    receipt = pipeline.accept_capture(path, "edge")
    assert (receipt.packets, receipt.flows, receipt.attempts) == (0, len(FLOWS), len(FLOWS))
    assert receipt.tunnelled == {}


def test_of_many_windows_taken_at_once_only_the_latest_is_in_memory(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'kept.db'}")
    held: list[weakref.ref[object]] = []

    def windows() -> Iterator[WindowCounts]:
        for i in range(4):
            counts = window(ports("10.0.0.66", "10.0.0.1", 100), start=START + i * MINUTE)
            held.append(weakref.ref(counts.rows.attempts))
            yield counts
            del counts
            gc.collect()
            assert [ref() is None for ref in held] == [True] * (i + 1)

    try:
        assert len(Pipeline(PipelineSpec(), store).accept_all(windows())) == 4
    finally:
        store.close()
