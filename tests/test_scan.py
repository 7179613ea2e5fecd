from __future__ import annotations

import json
import os
import resource
import struct
import threading
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.errors import CaptureError
from service.pipeline import PipelineSpec
from service.scan import Report, scan_captures
from service.store.memory import MemoryStore
from service.store.repository import PatternQuery
from tests.packets import squeezed, zipped


def scan(*paths: Path) -> Report:
    return scan_captures(paths, "lab", PipelineSpec(), MemoryStore())


def untooled(report: Report) -> Report:
    """Leave out the tools: nmap's is told by two probes, and those before a file's beginning are not known."""
    return replace(report, alerts=tuple(replace(alert, tool=None) for alert in report.alerts))


@pytest.fixture(scope="module")
def report(example: Path) -> Report:
    return scan(example)


@pytest.fixture(scope="module")
def truth(example: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(example.with_suffix(".truth.json").read_text())["events"]
    return events


def test_every_scanner_of_the_example_is_named_with_its_kind(report: Report, truth: list[dict[str, Any]]) -> None:
    named = defaultdict(set)
    for alert in report.alerts:
        named[alert.sources[0]].add(alert.kind.value)
    for event in truth:
        if event["role"] == "scan":
            assert event["kind"] in named[event["source"]], event["name"]


def test_nobody_else_is_named(report: Report, truth: list[dict[str, Any]]) -> None:
    scanners = {event["source"] for event in truth if event["role"] == "scan"}
    assert {alert.sources[0] for alert in report.alerts} == scanners
    assert {event["role"] for event in truth} == {"scan", "flood", "guessing", "benign"}


def test_counts_are_those_of_the_truth(report: Report, truth: list[dict[str, Any]]) -> None:
    exact = {"nmap_syn", "nmap_udp", "nmap_fin", "nmap_slow", "nmap_connect", "hping3", "masscan", "zmap", "fping"}
    alerts = {alert.sources[0]: alert for alert in report.alerts}
    for event in truth:
        if event["name"] in exact:
            assert alerts[event["source"]].evidence.targets.count == event["target_count"], event["name"]
            assert alerts[event["source"]].evidence.targets.exact


def test_times_are_those_of_the_truth(report: Report, truth: list[dict[str, Any]]) -> None:
    alerts = {alert.sources[0]: alert for alert in report.alerts}
    for event in truth:
        if event["name"] in {"nmap_syn", "nmap_slow", "zmap", "hping3", "nmap_fin"}:
            alert = alerts[event["source"]]
            assert alert.first_seen / 1e9 == pytest.approx(float(event["first"]), abs=1e-3), event["name"]
            assert alert.last_seen / 1e9 == pytest.approx(float(event["last"]), abs=1e-3), event["name"]


def test_each_alert_has_its_pattern_and_its_reason(report: Report) -> None:
    patterns = {pattern.id for pattern in report.patterns}
    for alert in report.alerts:
        assert alert.pattern in patterns
        assert alert.reason.startswith(alert.sources[0])
        assert alert.score >= alert.threshold


def test_the_summary_adds_up(report: Report) -> None:
    assert report.summary.packets == 29705
    assert report.summary.alerts == len(report.alerts)
    assert set(report.summary.unparsed) == {"icmp6_type/133", "icmp6_type/135", "icmp6_type/136", "icmp6_type/143"}
    assert (report.summary.shed.attempts, report.summary.late, report.summary.mended_times) == (0, 0, 0)
    assert report.summary.damage == ()


def test_a_capture_in_two_files_is_the_same_traffic(example: Path, report: Report, tmp_path: Path) -> None:
    data = example.read_bytes()
    at, middle = 24, 0
    while at < len(data):
        if at > len(data) // 2 and not middle:
            middle = at
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    later, earlier = tmp_path / "a.pcap", tmp_path / "b.pcap"
    earlier.write_bytes(data[:middle])
    later.write_bytes(data[:24] + data[middle:])
    assert untooled(scan(later, earlier)) == untooled(report)


def test_progress_ends_at_the_size_of_the_files(example: Path) -> None:
    heard: list[int] = []
    scan_captures([example, example], "lab", PipelineSpec(), MemoryStore(), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 2 * example.stat().st_size


def test_one_file_that_is_no_capture_stops_all_before_anything_is_kept(example: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pcap"
    wrong.write_text("hello, I am a text")
    store = MemoryStore()
    with pytest.raises(CaptureError, match=r"wrong\.pcap: no capture or log that is known: it begins with 'hello"):
        scan_captures([example, wrong], "lab", PipelineSpec(), store)
    with store.read() as unit:
        assert unit.patterns(PatternQuery()).items == ()


def parts(example: Path) -> tuple[bytes, bytes]:
    """Return the example in two files."""
    data = example.read_bytes()
    at = 24
    while at < len(data) // 2:
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    return data[:at], data[:24] + data[at:]


def test_a_folder_is_the_captures_below_it(example: Path, report: Report, tmp_path: Path) -> None:
    earlier, later = parts(example)
    folder = tmp_path / "captures"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.pcap.gz").write_bytes(zipped(later))
    (folder / "deep" / "b").write_bytes(squeezed(earlier))
    (folder / "notes.txt").write_text("hello, I am a text")
    (folder / "empty").touch()
    (folder / ".c.pcap").write_bytes(earlier[:1000])
    found = scan(folder)
    assert found.summary.skipped == (str(folder / "empty"), str(folder / "notes.txt"))
    assert untooled(replace(found, summary=replace(found.summary, skipped=()))) == untooled(report)


def test_a_folder_without_captures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello, I am a text")
    with pytest.raises(CaptureError, match="no file in this folder is a capture"):
        scan(tmp_path)


def test_pipes_are_put_in_order_too(example: Path, report: Report, tmp_path: Path) -> None:
    """Both have to be open at once, and neither can be read twice."""
    names = [tmp_path / "later", tmp_path / "earlier"]
    writers = []
    for name, data in zip(names, reversed(parts(example)), strict=True):
        os.mkfifo(name)
        writers.append(threading.Thread(target=name.write_bytes, args=(data,)))
        writers[-1].start()
    assert untooled(scan(*names)) == untooled(report)
    for writer in writers:
        writer.join()


def test_files_that_wait_are_not_open(tmp_path: Path, example: Path) -> None:
    """More of them than a process may open."""
    data = example.read_bytes()[:10_024]
    for i in range(80):
        (tmp_path / f"{i}.pcap").write_bytes(data)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        packets = scan(tmp_path).summary.packets
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert packets % 80 == 0
    assert packets > 80


def test_a_cut_file_counts_up_to_its_end(example: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(example.read_bytes()[:1_000_001])
    summary = scan(cut).summary
    (damage,) = summary.damage
    assert 0 < summary.packets < 29705
    assert 1_000_001 - 300 < damage.offset <= 1_000_001
    assert "ends inside a record" in damage.reason


def test_captures_and_logs_are_one_stream(example: Path, tmp_path: Path, report: Report) -> None:
    """In the order of their beginnings, whatever they are."""
    log = tmp_path / "a.csv"
    lines = [f"1600000000,192.0.2.7,198.51.100.1,tcp/{port}" for port in range(1, 31)]
    log.write_text("\n".join(["time,source,target,service", *lines]))
    both = scan(example, log)
    assert (both.summary.packets, both.summary.flows) == (29705, 30)
    assert both.alerts[0].sources == ("192.0.2.7",)
    assert [alert.reason for alert in both.alerts[1:]] == [alert.reason for alert in report.alerts]


def test_a_log_of_rubbish_is_refused_before_anything_is_kept(example: Path, tmp_path: Path) -> None:
    log = tmp_path / "a.csv"
    log.write_text("time,source,target,service\nnever,x,y,z\n")
    with pytest.raises(CaptureError, match="none of 1 lines could be read; line 2: the time is no time"):
        scan(example, log)
