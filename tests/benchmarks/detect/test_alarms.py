from __future__ import annotations

from benchmarks.detect.alarms import MULTIPLES, Candidate, GroupAlarms
from service.windows.counts import WindowCounts
from tests.traffic import START, sweep, window

HOUR = 3600 * 1_000_000_000


def candidate(at: int, key: str, near: set[int], *, services: frozenset[int] = frozenset({1})) -> Candidate:
    return Candidate(at, key, services, frozenset({(0, at), (0, at + 100)}), frozenset(near | {at}))


def hour(number: int) -> WindowCounts:
    return window(sweep("10.0.0.1", "tcp/23", 2), start=START + number * HOUR, length=HOUR)


def test_what_shares_sources_is_one_alarm() -> None:
    alarms = GroupAlarms()
    one, two, far = candidate(0, "a", {1}), candidate(1, "b", {0}), candidate(2, "c", set())
    alarms.note(hour(0), [(0.5, one), (0.6, two), (0.9, far)])
    assert alarms.within(1.0) == 2


def test_an_alarm_goes_on_and_is_told_once() -> None:
    alarms = GroupAlarms()
    for number in range(3):
        alarms.note(hour(number), [(0.5, candidate(0, "a", set()))])
    alarms.note(hour(9), [(0.5, candidate(0, "a", set()))])
    assert alarms.within(1.0) == 2


def test_the_multiple_lets_so_many_through() -> None:
    alarms = GroupAlarms()
    for number in range(10):
        alarms.note(hour(9 * number), [(number + 0.5, candidate(0, f"a{number}", set()))])
    assert alarms.within(1.0) == 1
    assert alarms.within(alarms.multiple(4)) <= 4
    assert alarms.multiple(50) == MULTIPLES[-1]
