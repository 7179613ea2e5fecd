from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from service.capture.datagrams import DatagramReceiver, ReceiveSpec, open_datagrams
from service.collector import Collector, CollectorSpec
from service.pipeline import Pipeline, PipelineSpec
from service.store.memory import MemoryStore
from service.store.repository import AlertQuery
from tests.capture.exports import EXPORT, SECOND, UPTIME, v5, v5_record
from tests.capture.test_datagrams import send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.alerts.alert import Alert


@dataclass
class Clock:
    """A wall clock that goes on when it is told to."""

    now: int = 0

    def __call__(self) -> int:
        return self.now


class Bench:
    """A collector with a clock and a store of its own."""

    def __init__(self, spec: CollectorSpec | None = None) -> None:
        self.clock = Clock()
        self.store = MemoryStore()
        self.collector = Collector(spec or CollectorSpec(), Pipeline(PipelineSpec(), self.store), self.clock)

    @property
    def alerts(self) -> Sequence[Alert]:
        with self.store.read() as unit:
            return unit.alerts(AlertQuery()).items


def sweep(targets: int = 40, *, at: int = 0, sequence: int = 0, dport: int = 23) -> list[bytes]:
    """Return the datagrams that tell of a SYN to many targets, exported `at` seconds after the first."""
    uptime = UPTIME + 1000 * at
    records = [
        v5_record("203.0.113.9", f"198.51.100.{n}", sport=40000 + n, dport=dport, first=uptime, last=uptime)
        for n in range(1, targets + 1)
    ]
    return [
        v5(records[first : first + 20], sequence=sequence + first, seconds=EXPORT + at, uptime=uptime)
        for first in range(0, targets, 20)
    ]


def test_each_exporter_is_a_sensor_and_may_have_a_name() -> None:
    bench = Bench(CollectorSpec(names={"192.0.2.1": "office"}))
    bench.collector.take([(address, data) for address in ("192.0.2.1", "192.0.2.2") for data in sweep()])
    bench.collector.close()
    assert {alert.sensor for alert in bench.alerts} == {"office", "192.0.2.2"}
    assert {alert.evidence.targets.count for alert in bench.alerts} == {40}


def test_a_silent_exporters_scan_is_named_by_a_look_and_its_window_closes_as_time_goes_on() -> None:
    bench = Bench()
    bench.collector.take(("192.0.2.1", data) for data in sweep())
    bench.clock.now = SECOND
    bench.collector.tick()
    assert not bench.alerts
    for seconds in (100, 40 + 149):  # the window ends 40 s after the export
        bench.clock.now = seconds * SECOND
        bench.collector.tick()
        assert [(alert.named_after, alert.pattern) for alert in bench.alerts] == [(40, None)]
    bench.clock.now = (40 + 150) * SECOND
    bench.collector.tick()
    (alert,) = bench.alerts
    assert alert.pattern is not None
    assert alert.evidence.pairs == 40


def test_a_window_waits_for_flows_that_are_exported_late() -> None:
    bench = Bench()
    bench.collector.take(("192.0.2.1", data) for data in sweep())
    bench.collector.take(("192.0.2.1", data) for data in sweep(20, at=100, sequence=40, dport=80))
    assert not bench.alerts
    bench.collector.take(("192.0.2.1", data) for data in sweep(20, at=250, sequence=60, dport=443))
    bench.collector.take(("192.0.2.1", data) for data in sweep(20, at=300, sequence=80, dport=443))
    assert [alert.evidence.services.sample for alert in bench.alerts] == [(23,)]


def test_one_datagram_is_enough() -> None:
    bench = Bench()
    bench.collector.take([("192.0.2.1", sweep(20)[0])])
    bench.clock.now = 400 * SECOND
    bench.collector.tick()
    bench.clock.now = 800 * SECOND
    bench.collector.tick()
    assert len(bench.alerts) == 1


def test_only_those_with_a_name_are_heard_if_so_wished() -> None:
    bench = Bench(CollectorSpec(names={"192.0.2.1": "office"}, named_only=True))
    bench.collector.take([(address, data) for address in ("192.0.2.1", "192.0.2.2") for data in sweep()])
    bench.collector.close()
    assert {alert.sensor for alert in bench.alerts} == {"office"}


def test_exporters_are_bounded_and_the_long_silent_make_place() -> None:
    bench = Bench(CollectorSpec(exporters=2))
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        bench.collector.take((address, data) for data in sweep())
    assert set(bench.collector._sensors) == {"192.0.2.1", "192.0.2.2"}
    bench.clock.now = 2 * 3600 * SECOND
    bench.collector.take(("192.0.2.3", data) for data in sweep())
    assert set(bench.collector._sensors) == {"192.0.2.2", "192.0.2.3"}
    assert [alert.sensor for alert in bench.alerts] == ["192.0.2.1"]


def test_a_window_that_was_kept_before_a_restart_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for targets in (40, 20):
        collector = Collector(CollectorSpec(), Pipeline(PipelineSpec(), bench.store), bench.clock)
        collector.take(("192.0.2.1", data) for data in sweep(targets))
        with caplog.at_level(logging.WARNING):
            collector.close()
    assert [record.message for record in caplog.records] == ["window not kept"]


def test_it_runs_until_it_is_stopped_and_keeps_what_is_open(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    stop = threading.Event()
    with open_datagrams("127.0.0.1", 0, ReceiveSpec()) as listener, caplog.at_level(logging.INFO):
        receiver = DatagramReceiver(listener)
        thread = threading.Thread(target=bench.collector.run, args=(receiver, stop))
        thread.start()
        send(listener, b"rubbish", *sweep(40), sweep(20, sequence=100)[0])
        for _ in range(500):
            if receiver.received == 4:
                break
            stop.wait(0.02)
        stop.set()
        thread.join()
    assert len(bench.alerts) == 1
    told = {record.message: record.__dict__ for record in caplog.records}
    assert told["exporter"]["losses"] == {"missing_flows": 60, "unknown_version": 1}
    assert told["exporter"]["flows"] == 60
    assert (told["collector stopped"]["received"], told["collector stopped"]["dropped_by_kernel"]) == (4, 0)


def test_new_losses_are_logged_from_time_to_time(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with open_datagrams("127.0.0.1", 0, ReceiveSpec()) as listener, caplog.at_level(logging.INFO):
        receiver = DatagramReceiver(listener)
        for seconds in (30, 61, 122, 183):
            if seconds != 183:
                bench.collector.take([("192.0.2.1", b"rubbish")] * (seconds < 100))
            bench.clock.now = seconds * SECOND
            bench.collector.report(receiver)
    told = [record.__dict__["losses"] for record in caplog.records if record.message == "exporter"]
    assert told == [{"unknown_version": 2}]


def test_the_number_of_exporters_is_positive() -> None:
    with pytest.raises(ValueError, match="exporters"):
        CollectorSpec(exporters=0)
