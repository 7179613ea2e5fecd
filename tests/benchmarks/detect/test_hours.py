from __future__ import annotations

from benchmarks.detect.hours import ActiveHours
from tests.traffic import SECOND, Try, window

HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = 20_000 * DAY
SCANNER = Try("192.0.2.1", "10.0.0.1", "tcp/23")
OTHER = Try("192.0.2.2", "10.0.0.1", "tcp/23")


def test_hours_are_those_in_which_the_source_tried_the_service() -> None:
    active = ActiveHours()
    for hour in (0, 1, 5):
        tries = [SCANNER, OTHER] if hour == 1 else [SCANNER]
        active.add(window(tries, start=START + hour * HOUR, length=HOUR))
    assert active.of(window([SCANNER, OTHER], start=START, length=DAY)).tolist() == [3, 1]
    assert active.of(window([Try("192.0.2.1", "10.0.0.1", "tcp/80")], start=START, length=DAY)).tolist() == [0]


def test_hours_outside_of_the_window_do_not_count() -> None:
    active = ActiveHours()
    active.add(window([SCANNER], start=START + DAY, length=HOUR))
    active.add(window([SCANNER], start=START + DAY + HOUR, length=HOUR))
    assert active.of(window([SCANNER], start=START + HOUR, length=DAY)).tolist() == [1]
