from __future__ import annotations

import numpy as np
import pytest

from service.alerts.surge import (
    ATTEMPTS,
    LEVELS,
    Counter,
    activity,
    count,
    counter_id,
    counter_parts,
    members,
    strangers,
)
from service.capture.services import parse_service
from tests.traffic import Try, window

TELNET = parse_service("tcp/23")
TRIES = [
    Try("192.0.2.1", "10.0.0.1", "tcp/23", tries=40),
    Try("192.0.2.1", "10.0.0.2", "tcp/23"),
    Try("192.0.2.1", "10.0.0.1", "tcp/80"),
    Try("192.0.2.2", "10.0.0.1", "tcp/23"),
    Try("192.0.2.3", "10.0.0.1", "tcp/80"),
]


def test_the_number_of_a_counter_says_what_it_counts() -> None:
    for counter in Counter:
        for level in LEVELS:
            assert counter_parts(counter_id(counter, level, TELNET)) == (counter, level, TELNET)


def test_counters_count_distinct_sources() -> None:
    counts = window(TRIES)
    rows = activity(counts, np.zeros(3, np.bool_), np.array([3, 1, 1, 1]))
    found = dict(zip((counted := count(rows)).ids.tolist(), counted.counts.tolist(), strict=True))
    assert found[counter_id(Counter.SOURCES, 1, TELNET)] == 2
    assert found[counter_id(Counter.TARGETS, 2, TELNET)] == 1
    assert found[counter_id(Counter.HOURS, 3, TELNET)] == 1
    assert found[counter_id(Counter.SERVICES, 2, 0)] == 1
    assert counter_id(Counter.TARGETS, 3, TELNET) not in found
    assert sorted(found) == counted.ids.tolist()
    for number, sources in found.items():
        assert len(members(rows, number)) == sources


def test_loud_sources_are_left_out_and_retries_are_bounded() -> None:
    counts = window(TRIES)
    rows = activity(counts, np.array([False, True, True]))
    assert rows.source.tolist() == [0, 0]
    assert rows.attempts.tolist() == [ATTEMPTS, 1]
    nothing = count(activity(counts, np.ones(3, np.bool_)))
    assert len(nothing.ids) == 0


def test_strangers_are_those_of_strange_services() -> None:
    rows = activity(window(TRIES), np.zeros(3, np.bool_))
    assert strangers(rows, np.array([parse_service("tcp/80")])).tolist() == [0, 2]
    with pytest.raises(ValueError, match="strangers"):
        members(rows, counter_id(Counter.STRANGE, 1, 0))
