from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.address import format_addresses
from service.capture.services import format_service
from service.errors import InputError
from service.windows.counts import SAMPLE_SIZE
from service.windows.posted import MAX_COUNT, MAX_LENGTH, PostedRow, PostedTotals, check_sensor, posted_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.windows.counts import WindowCounts

START = 1_700_000_000 * 10**9
END = START + 60 * 10**9

# 192.0.2.1 tried two services on 3 and 2 of 4 targets; tcp/22 of two targets answered.
ROWS = [
    PostedRow("192.0.2.9", "udp/53", attempts=9, targets=1, answered=1),
    PostedRow("192.0.2.1", "tcp/23", attempts=3, targets=3, answered=0),
    PostedRow("192.0.2.1", "tcp/22", attempts=2, targets=2, answered=2),
]
TOTALS = [
    PostedTotals("192.0.2.1", 4, 2, 1, 3, ("198.51.100.2", "198.51.100.1")),
    PostedTotals("192.0.2.9", 1, 1, 0, 1),
]


def window(rows: Sequence[PostedRow] = ROWS, totals: Sequence[PostedTotals] = ()) -> WindowCounts:
    return posted_window("edge", START, END, rows, totals)


def refuse(field: str, message: str, rows: Sequence[PostedRow], totals: Sequence[PostedTotals] = ()) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        window(rows, totals)
    assert refusal.value.field == field


def test_rows_are_sorted_by_source_then_service() -> None:
    counts = window()
    assert format_addresses(counts.sources) == ["192.0.2.1", "192.0.2.9"]
    assert counts.rows.source.tolist() == [0, 0, 1]
    assert [format_service(code) for code in counts.rows.service.tolist()] == ["tcp/22", "tcp/23", "udp/53"]
    assert counts.rows.attempts.tolist() == [2, 3, 9]
    assert counts.rows.targets.tolist() == [2, 3, 1]
    assert counts.rows.answered.tolist() == [2, 0, 1]
    assert counts.rows.source.dtype == counts.rows.service.dtype == np.int32


def test_times_are_those_of_the_window() -> None:
    counts = window()
    assert (counts.sensor, counts.start, counts.end) == ("edge", START, END)
    assert counts.rows.first.tolist() == [START] * 3
    assert counts.rows.last.tolist() == [END - 1] * 3


def test_totals_that_are_missing_are_inferred() -> None:
    counts = window()
    assert not counts.exact
    assert counts.totals.targets.tolist() == [3, 1]
    assert counts.totals.most_services.tolist() == [2, 1]
    assert counts.totals.most_unanswered.tolist() == [1, 0]
    assert counts.totals.most_targets.tolist() == [3, 1]
    assert counts.samples.start.tolist() == [0] * 7


def test_totals_that_are_stated_are_taken() -> None:
    counts = window(totals=TOTALS)
    assert counts.exact
    assert counts.totals.targets.tolist() == [4, 1]
    assert counts.totals.most_services.tolist() == [2, 1]
    assert counts.totals.most_unanswered.tolist() == [1, 0]
    assert counts.totals.most_targets.tolist() == [3, 1]
    assert counts.samples.start.tolist() == [0, 2, 2, 2, 2, 2, 2]
    assert format_addresses(counts.samples.targets) == ["198.51.100.1", "198.51.100.2"]


def test_one_source_without_totals_makes_the_window_inexact() -> None:
    counts = window(totals=TOTALS[1:])
    assert not counts.exact
    assert counts.totals.targets.tolist() == [3, 1]


def test_totals_tell_of_ports_only() -> None:
    ping = PostedRow("192.0.2.1", "icmp/echo", attempts=50, targets=50, answered=0)
    alone = PostedRow("192.0.2.77", "arp/request", attempts=50, targets=50, answered=0)
    counts = window([*ROWS, ping, alone], TOTALS)
    assert counts.exact
    assert counts.totals.targets.tolist() == [4, 1, 0]
    assert counts.totals.most_unanswered.tolist() == [1, 0, 0]
    refuse("sources[0]", "no row of a TCP or UDP service", [alone], [PostedTotals("192.0.2.77", 50, 1, 1, 50)])


def test_a_window_without_traffic_is_a_window() -> None:
    counts = window(rows=[])
    assert (len(counts.sources), len(counts.rows), counts.attempts) == (0, 0, 0)
    assert counts.sources.shape == (0, 2)
    assert counts.exact


def test_order_and_spelling_do_not_matter() -> None:
    spelled = [replace(row, source=f"::ffff:{row.source}") for row in reversed(ROWS)]
    totals = [replace(TOTALS[1]), replace(TOTALS[0], targets_sample=TOTALS[0].targets_sample[::-1])]
    assert window(spelled, totals).digest() == window(ROWS, TOTALS).digest()


@pytest.mark.parametrize(("attempts", "probed"), [(10, 8), (40, 8), (41, 0)])
def test_targets_that_are_retried_are_not_probed(attempts: int, probed: int) -> None:
    counts = window([PostedRow("192.0.2.1", "tcp/22", attempts, targets=10, answered=2)])
    assert counts.rows.probed.tolist() == [probed]


@pytest.mark.parametrize(
    ("services", "most_unanswered"),
    [
        (["udp/33434", "udp/33480", "udp/33534"], 1),
        (["udp/33433", "udp/33434", "udp/33435"], 2),
        (["udp/33534", "udp/33535"], 2),
        (["tcp/33434", "tcp/33435"], 2),
    ],
)
def test_the_ports_of_traceroute_are_one_service(services: list[str], most_unanswered: int) -> None:
    rows = [PostedRow("192.0.2.1", service, attempts=1, targets=1, answered=0) for service in services]
    counts = window(rows)
    assert counts.totals.most_unanswered.tolist() == [most_unanswered]
    assert counts.totals.most_services.tolist() == [len(services)]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"source": "192.0.2.256"}, "source", "write an IPv4 or IPv6 address"),
        ({"source": ""}, "source", "write an IPv4 or IPv6 address"),
        ({"source": "host.example"}, "source", "write an IPv4 or IPv6 address"),
        ({"source": "fe80::1%eth0"}, "source", "zone id"),
        ({"source": "224.0.0.1"}, "source", "multicast"),
        ({"source": "239.255.255.255"}, "source", "multicast"),
        ({"source": "::ffff:230.0.0.1"}, "source", "multicast"),
        ({"source": "ff02::1"}, "source", "multicast"),
        ({"source": "255.255.255.255"}, "source", "broadcast"),
        ({"source": "0.0.0.0"}, "source", "unspecified"),
        ({"source": "::"}, "source", "unspecified"),
        ({"service": "tcp/65536"}, "service", "write tcp/PORT"),
        ({"service": "ssh"}, "service", "unknown service 'ssh'"),
        ({"service": ""}, "service", "unknown service"),
        ({"attempts": 0}, "attempts", "0 is less than 1"),
        ({"attempts": -5}, "attempts", "-5 is less than 1"),
        ({"attempts": MAX_COUNT + 1}, "attempts", "more than 1000000000000"),
        ({"attempts": 10**400}, "attempts", "more than 1000000000000"),
        ({"targets": 0, "answered": 0}, "targets", "0 is less than 1"),
        ({"targets": 4}, "targets", "more than the 3 attempts"),
        ({"answered": -1}, "answered", "-1 is negative"),
        ({"answered": 4}, "answered", "more than the 3 targets"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(change: dict[str, object], field: str, message: str) -> None:
    rows = [ROWS[0], replace(ROWS[1], **change)]  # type: ignore[arg-type]
    refuse(f"rows[1].{field}", message, rows)


@pytest.mark.parametrize("source", ["223.255.255.255", "240.0.0.1", "fe80::1", "e000::", "::1", "127.0.0.1"])
def test_addresses_that_can_send_are_accepted(source: str) -> None:
    assert format_addresses(window([replace(ROWS[0], source=source)]).sources) == [source]


def test_a_repeated_row_names_both_positions() -> None:
    again = replace(ROWS[1], source="::ffff:192.0.2.1")
    refuse("rows[3]", r"repeats rows\[1\] \(192\.0\.2\.1, tcp/23\); add their counts up", [*ROWS, again])


@pytest.mark.parametrize(
    ("start", "end", "field", "message"),
    [
        (START, START, "end", "not after the start"),
        (START, START - 1, "end", "not after the start"),
        (START, START + MAX_LENGTH + 1, "end", "more than 24 hours"),
        (-1, 5, "start", "before 1970"),
        (2**63 - 5, 2**63, "end", "after the year 2262"),
        (0, 10**400, "end", "after the year 2262"),
    ],
)
def test_an_interval_that_makes_no_sense_is_named(start: int, end: int, field: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        posted_window("edge", start, end, ROWS)
    assert refusal.value.field == field


def test_the_longest_and_the_earliest_window() -> None:
    assert posted_window("edge", 0, MAX_LENGTH, ROWS).end == MAX_LENGTH
    assert posted_window("edge", 2**63 - 2, 2**63 - 1, ROWS).rows.last.tolist() == [2**63 - 2] * 3


@pytest.mark.parametrize("sensor", ["", "x" * 101, "a\0b", "a\nb", "\ud800", "\u202e"])
def test_a_sensor_needs_a_name(sensor: str) -> None:
    with pytest.raises(InputError, match="sensor") as refusal:
        posted_window(sensor, START, END, ROWS)
    assert refusal.value.field == "sensor"


@pytest.mark.parametrize("sensor", ["edge", "x" * 100, "Zürich 1. Stock", "東京"])
def test_a_sensor_may_have_any_printable_name(sensor: str) -> None:
    check_sensor(sensor)
    assert posted_window(sensor, START, END, ROWS).sensor == sensor


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"source": "192.0.2.2"}, "source", "'192.0.2.2' has no rows"),
        ({"source": "ff02::1"}, "source", "multicast"),
        ({"targets": 2}, "targets", "between 3 and 5"),
        ({"targets": 6}, "targets", "between 3 and 5"),
        ({"most_services_on_one_target": 1}, "most_services_on_one_target", "must be 2"),
        ({"most_services_on_one_target": 3}, "most_services_on_one_target", "must be 2"),
        (
            {"most_unanswered_services_on_one_target": 0},
            "most_unanswered_services_on_one_target",
            "must be 1",
        ),
        (
            {"most_unanswered_services_on_one_target": 2},
            "most_unanswered_services_on_one_target",
            "must be 1",
        ),
        ({"most_targets_of_one_service": 4}, "most_targets_of_one_service", "must be 3"),
        ({"most_targets_of_one_service": -3}, "most_targets_of_one_service", "must be 3"),
        ({"targets_sample": tuple(f"198.51.100.{n}" for n in range(5))}, "targets_sample", "may have 4"),
        ({"targets_sample": ("198.51.100.1", "x")}, "targets_sample[1]", "write an IPv4 or IPv6 address"),
        (
            {"targets_sample": ("198.51.100.1", "::ffff:198.51.100.1")},
            "targets_sample[1]",
            r"repeats sources\[1\]\.targets_sample\[0\]",
        ),
    ],
)
def test_totals_that_contradict_the_rows_are_named(change: dict[str, object], field: str, message: str) -> None:
    totals = [TOTALS[1], replace(TOTALS[0], **change)]  # type: ignore[arg-type]
    refuse(f"sources[1].{field}", message, ROWS, totals)


def test_repeated_totals_name_both_positions() -> None:
    refuse("sources[2]", r"repeats sources\[0\]", ROWS, [*TOTALS, TOTALS[0]])


def test_a_sample_has_a_greatest_size() -> None:
    many = tuple(f"2001:db8::{number:x}" for number in range(SAMPLE_SIZE + 1))
    rows = [PostedRow("192.0.2.1", "tcp/22", attempts=2000, targets=2000, answered=0)]
    refuse(
        "sources[0].targets_sample",
        "may have 1024",
        rows,
        [PostedTotals("192.0.2.1", 2000, 1, 1, 2000, many)],
    )
    counts = window(rows, [PostedTotals("192.0.2.1", 2000, 1, 1, 2000, many[1:])])
    assert len(counts.samples.targets) == SAMPLE_SIZE


def observed(seed: int) -> tuple[list[PostedRow], list[PostedTotals]]:
    """Rows and totals as someone would count them who saw every (source, target, service)."""
    chance = random.Random(seed)
    rows, totals = [], []
    for number in range(chance.randint(1, 4)):
        source = f"192.0.2.{number + 1}"
        tried = {
            (target, port): chance.random() < 0.5
            for target in range(chance.randint(1, 5))
            for port in range(1, 6)
            if chance.random() < 0.6 or port == 1
        }
        ports = {port for _, port in tried}
        by_port = {port: [answer for (_, p), answer in tried.items() if p == port] for port in ports}
        by_target = {target: [answer for (t, _), answer in tried.items() if t == target] for target, _ in tried}
        rows += [
            PostedRow(source, f"tcp/{port}", len(answers), len(answers), sum(answers))
            for port, answers in by_port.items()
        ]
        totals.append(
            PostedTotals(
                source,
                len(by_target),
                max(len(answers) for answers in by_target.values()),
                max(answers.count(False) for answers in by_target.values()),
                max(len(answers) for answers in by_port.values()),
                tuple(f"198.51.100.{target}" for target in by_target),
            )
        )
    return rows, totals


@given(st.integers(0, 2**32))
@settings(derandomize=True, deadline=None)
def test_totals_that_were_truly_counted_are_accepted(seed: int) -> None:
    rows, totals = observed(seed)
    exact, inferred = window(rows, totals), window(rows)
    assert exact.exact
    assert exact.totals.most_services.tolist() == [total.most_services_on_one_target for total in totals]
    assert (inferred.totals.targets <= exact.totals.targets).all()
    assert (inferred.totals.most_unanswered >= exact.totals.most_unanswered).all()
    assert (inferred.totals.most_targets == exact.totals.most_targets).all()


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
@settings(derandomize=True, deadline=None)
def test_the_order_of_rows_means_nothing(seed: int, shuffle: random.Random) -> None:
    rows, totals = observed(seed)
    before = window(rows, totals).digest()
    shuffle.shuffle(rows)
    shuffle.shuffle(totals)
    assert window(rows, totals).digest() == before


def test_the_largest_counts_do_not_overflow() -> None:
    rows = [PostedRow("192.0.2.1", f"tcp/{port}", MAX_COUNT, MAX_COUNT, 0) for port in range(100)]
    counts = window(rows)
    assert counts.attempts == MAX_COUNT * len(rows)
    assert counts.rows.probed.tolist() == [MAX_COUNT] * len(rows)
