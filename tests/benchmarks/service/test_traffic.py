from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.service.outcome import window_id
from benchmarks.service.traffic import Posts, Sensor
from service.alerts.sources import judge
from service.alerts.threshold import Thresholds
from service.api.fast_window import read_usual_window
from service.capture.address import format_addresses

if TYPE_CHECKING:
    from pathlib import Path

    from service.windows.counts import WindowCounts


def windows(seed: int, count: int) -> list[WindowCounts]:
    sensor = Sensor("edge", seed)
    found = [read_usual_window(json.dumps(sensor.window()).encode(), 1000) for _ in range(count)]
    return [counts for counts in found if counts is not None]


def test_windows_have_the_rows_that_are_asked_for_and_follow_one_another() -> None:
    found = windows(1, 3)
    assert [len(counts.rows) for counts in found] == [1000] * 3
    assert [counts.start for counts in found[1:]] == [counts.end for counts in found[:-1]]
    for counts, other in zip(found, windows(1, 3), strict=True):
        assert counts.digest() == other.digest()


def test_the_hosts_are_mostly_the_same_and_the_scanners_are_found() -> None:
    first, second = windows(2, 2)
    names = [set(format_addresses(counts.sources)) for counts in (first, second)]
    assert len(names[0] & names[1]) > 0.6 * len(names[0])
    for counts in (first, second):
        scanners = {verdict.source for verdict in judge(counts, Thresholds())}
        assert set(format_addresses(counts.sources[sorted(scanners)])) == {"203.0.113.7", "203.0.113.8"}


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="use 200 or more"):
        Sensor("edge", 1, rows=199)


def test_bodies_are_windows_of_the_time_that_is_meant(tmp_path: Path) -> None:
    posts = Posts.of(3, count=2)
    posts.write(tmp_path / "bodies")
    assert Posts.read(tmp_path / "bodies") == posts
    for number in (0, 1, 7):
        counts = read_usual_window(posts.body("sensor-9", number), 1000)
        assert counts is not None
        assert counts.id == window_id("sensor-9", number)
        assert len(counts.rows) == 1000
