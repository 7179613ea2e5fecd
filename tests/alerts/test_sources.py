from __future__ import annotations

import pytest

from service.alerts.alert import Ground, Kind
from service.alerts.sources import further_rows, judge
from service.alerts.threshold import Thresholds
from service.capture.services import Means, parse_service
from service.windows.counts import WindowCounts
from tests.traffic import SECOND, Try, ports, sweep, window

THRESHOLDS = Thresholds()
SCANNER = "10.0.0.66"


def kinds(counts: WindowCounts) -> list[tuple[Means, Kind, int]]:
    return [(v.means, v.kind, v.score) for v in judge(counts, THRESHOLDS)]


def test_ten_unanswered_services_on_one_target_are_a_vertical_scan() -> None:
    assert kinds(window(ports(SCANNER, "10.0.0.1", 10))) == [(Means.PORTS, Kind.VERTICAL, 10)]
    assert kinds(window(ports(SCANNER, "10.0.0.1", 9))) == []


def test_a_source_that_many_answer_needs_more() -> None:
    client = [Try(SCANNER, f"10.1.0.{i}", "tcp/443", answered=True) for i in range(1, 40)]
    assert kinds(window(client + ports(SCANNER, "10.0.0.1", 14))) == []
    assert kinds(window(client + ports(SCANNER, "10.0.0.1", 15))) == [(Means.PORTS, Kind.VERTICAL, 15)]


def test_services_spread_over_targets_are_no_vertical_scan() -> None:
    peers = [Try(SCANNER, f"10.2.{i}.1", f"udp/{20000 + i}") for i in range(60)]
    assert kinds(window(peers)) == []


@pytest.mark.parametrize(("tries", "enough"), [(1, 10), (2, 20)])
def test_unanswered_targets_of_one_service_are_a_sweep(tries: int, enough: int) -> None:
    assert kinds(window(sweep(SCANNER, "tcp/445", enough, tries=tries))) == [(Means.PORTS, Kind.HORIZONTAL, enough)]
    assert kinds(window(sweep(SCANNER, "tcp/445", enough - 1, tries=tries))) == []


def test_in_long_windows_retries_show_and_ten_targets_are_enough() -> None:
    tries = sweep(SCANNER, "tcp/445", 10, tries=2)
    assert kinds(window(tries, length=600 * SECOND)) == [(Means.PORTS, Kind.HORIZONTAL, 10)]


def telescope(targets: int) -> list[Try]:
    """Ten visitors of dark addresses, each at a service of its own."""
    return [
        Try(f"198.51.100.{i + 1}", f"10.7.0.{target + 1}", f"tcp/{1000 + i}")
        for target in range(targets)
        for i in range(10)
    ]


@pytest.mark.parametrize("service", ["tcp/22", "udp/5060", "icmp/echo"])
def test_five_dark_targets_are_a_sweep_however_often_they_are_tried(service: str) -> None:
    means = Means.ICMP if service == "icmp/echo" else Means.PORTS
    scanner = [Try("192.0.2.66", f"10.7.0.{i}", service, tries=7) for i in range(1, 6)]
    found = [v for v in judge(window(telescope(5)[:40] + scanner[:4]), THRESHOLDS) if v.means is means]
    assert found == []
    verdicts = judge(window([*telescope(5), *scanner]), THRESHOLDS)
    assert [(v.kind, v.ground, v.score) for v in verdicts if v.rows.tolist() == [0]] == [
        (Kind.HORIZONTAL, Ground.DARK, 5)
    ]


def test_answers_make_a_sweep_honest() -> None:
    assert kinds(window(sweep(SCANNER, "tcp/443", 60, answered=41))) == []
    assert kinds(window(sweep(SCANNER, "tcp/443", 60, answered=30))) == [(Means.PORTS, Kind.HORIZONTAL, 30)]


def test_retries_at_dead_targets_are_no_sweep() -> None:
    assert kinds(window(sweep(SCANNER, "tcp/443", 43, tries=8))) == []


def test_nobody_loses_a_hundred_servers_of_one_service() -> None:
    assert kinds(window(sweep(SCANNER, "tcp/443", 100, tries=8))) == [(Means.PORTS, Kind.HORIZONTAL, 100)]
    assert kinds(window(sweep(SCANNER, "tcp/443", 99, tries=8))) == []
    assert kinds(window(sweep(SCANNER, "tcp/443", 120, tries=8, answered=20))) == []


def test_peers_that_fail_on_many_services_are_no_sweep() -> None:
    common = sweep(SCANNER, "udp/6346", 25)
    others = [Try(SCANNER, f"10.3.{i}.1", f"udp/{30000 + i}") for i in range(150)]
    assert kinds(window(common + others)) == []


@pytest.mark.parametrize(("apart", "answered", "named"), [(1, 8, False), (1, 7, True), (2, 8, False), (3, 8, True)])
def test_whom_a_fifth_answers_all_over_the_internet_it_knew(apart: int, answered: int, named: bool) -> None:
    """Of 40 targets; `apart` of them share a network."""
    peers = [Try(SCANNER, f"20.{i // apart}.{i}.9", "tcp/8333", answered=i < answered) for i in range(40)]
    assert kinds(window(peers)) == ([(Means.PORTS, Kind.HORIZONTAL, 40 - answered)] if named else [])


def test_where_targets_lie_is_not_known_if_most_are_of_other_services() -> None:
    swept = [Try(SCANNER, f"10.21.0.{i}", "tcp/445", answered=i <= 16) for i in range(1, 41)]
    sites = [Try(SCANNER, f"20.{i}.1.9", "tcp/443", answered=True) for i in range(200)]
    assert kinds(window(swept + sites)) == [(Means.PORTS, Kind.HORIZONTAL, 24)]


def test_several_swept_services_count_together() -> None:
    tries = [t for port in (22, 80, 443, 3389, 8080) for t in sweep(SCANNER, f"tcp/{port}", 200)]
    assert kinds(window(tries)) == [(Means.PORTS, Kind.HORIZONTAL, 200)]


def test_many_services_on_many_targets_are_a_block() -> None:
    tries = [t for i in range(1, 25) for t in ports(SCANNER, f"10.0.1.{i}", 100)]
    assert kinds(window(tries)) == [(Means.PORTS, Kind.BLOCK, 100)]


def test_a_vertical_scan_of_a_few_targets_stays_vertical() -> None:
    tries = [t for i in range(1, 4) for t in ports(SCANNER, f"10.0.1.{i}", 100)]
    assert kinds(window(tries)) == [(Means.PORTS, Kind.VERTICAL, 100)]


def test_traceroute_is_no_scan() -> None:
    hops = [Try(SCANNER, "10.0.0.1", f"udp/{33434 + i}", expired=i < 30) for i in range(60)]
    assert kinds(window(hops)) == []


@pytest.mark.parametrize(
    ("answered", "tries", "minutes", "named"),
    [(0, 1, 1, True), (8, 1, 1, True), (0, 3, 1, True), (9, 1, 1, False), (10, 1, 10, True), (10, 3, 10, False)],
)
def test_pings_of_ten_targets_are_a_sweep_unless_all_answer_and_may_be_asked_again(
    answered: int, tries: int, minutes: int, named: bool
) -> None:
    pings = window(sweep(SCANNER, "icmp/echo", 10, answered=answered, tries=tries), length=60 * minutes * SECOND)
    assert kinds(pings) == ([(Means.ICMP, Kind.HORIZONTAL, 10)] if named else [])


def test_pinging_again_and_again_is_monitoring() -> None:
    assert kinds(window(sweep(SCANNER, "icmp/echo", 40, tries=5, answered=40))) == []


@pytest.mark.parametrize(("seconds", "named"), [(1, True), (59, True), (180, False)])
def test_unanswered_arp_requests_are_a_sweep_unless_they_take_long(seconds: int, named: bool) -> None:
    tries = sweep(SCANNER, "arp/request", 25)
    counts = window(tries, length=600 * SECOND, pause=seconds * SECOND // len(tries))
    assert kinds(counts) == ([(Means.ARP, Kind.HORIZONTAL, 25)] if named else [])


def test_means_are_judged_apart() -> None:
    tries = sweep(SCANNER, "arp/request", 30) + ports(SCANNER, "10.9.0.9", 30) + sweep(SCANNER, "icmp/echo", 30)
    assert kinds(window(tries)) == [
        (Means.PORTS, Kind.VERTICAL, 30),
        (Means.ICMP, Kind.HORIZONTAL, 30),
        (Means.ARP, Kind.HORIZONTAL, 30),
    ]


def test_a_named_source_goes_on_where_it_probes_in_vain() -> None:
    tries = [
        Try(SCANNER, "10.0.0.1", "tcp/80", answered=True),
        Try(SCANNER, "10.0.0.1", "tcp/81"),
        Try(SCANNER, "10.0.0.1", "icmp/echo", answered=True),
    ]
    counts = window(tries)
    assert kinds(counts) == []
    rows = {means: further_rows(counts, 0, means) for means in Means}
    assert {means: counts.rows.service[found].tolist() for means, found in rows.items()} == {
        Means.PORTS: [81],
        Means.ICMP: [parse_service("icmp/echo")],
        Means.ARP: [],
    }


def test_only_the_scanner_is_named() -> None:
    honest = [Try(f"10.5.0.{i}", "10.0.0.1", "tcp/443", answered=True) for i in range(1, 200)]
    counts = window(honest + ports(SCANNER, "10.0.0.1", 50) + honest)
    (verdict,) = judge(counts, THRESHOLDS)
    assert counts.sources[verdict.source].tolist()[1] & 0xFF == 66
    assert counts.rows.targets[verdict.rows].sum() == 50


def test_thresholds_must_be_positive() -> None:
    with pytest.raises(ValueError, match="services: 0 is not positive"):
        Thresholds(services=0)
