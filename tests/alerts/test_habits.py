"""What sources usually do, and that a restart forgets nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.alerts import habits as habits_of
from service.alerts.alert import Typical, Usual
from service.alerts.allow import AllowList
from service.alerts.habits import PLACES, Habits, from_bytes, to_bytes
from service.alerts.memory import read_arrays
from service.alerts.sources import judge
from service.alerts.suppress import follow
from service.alerts.threshold import Thresholds
from service.capture.address import V4_PREFIX
from service.errors import InputError
from service.windows.counts import ServiceCounts, SourceTotals, TargetSamples, WindowCounts
from tests.traffic import SECOND, START, Try, sweep, window

MINUTE = 60 * SECOND
DAY = 1440 * MINUTE


def crowd(addresses: NDArray[np.int64], minute: int, targets: int = 1) -> WindowCounts:
    """A window in which each of many sources tries one service."""
    n = len(addresses)
    ones = np.ones(n, np.int64)
    start = START + minute * MINUTE
    rows = dict.fromkeys(("answered", "probed", "dark", "hours"), 0 * ones)
    return WindowCounts(
        sensor="lab",
        start=start,
        end=start + MINUTE,
        sources=np.stack([0 * ones, V4_PREFIX + addresses], axis=1).astype(np.uint64),
        rows=ServiceCounts(
            source=np.arange(n, dtype=np.int32),
            service=np.full(n, 23, np.int32),
            attempts=2 * targets * ones,
            targets=targets * ones,
            first=start + ones,
            last=start + ones,
            **rows,
        ),
        totals=SourceTotals(ones, ones, ones, ones),
        samples=TargetSamples(np.zeros(3 * n + 1, np.int64), np.empty((0, 2), np.uint64)),
    )


def usual(habits: Habits, address: int, minute: int) -> Usual:
    found = habits.usual(crowd(np.array([address]), minute), 0)
    assert found is not None
    return found


def test_it_tells_what_a_source_and_all_sources_did_before() -> None:
    habits = Habits()
    for minute in range(4):
        tries = sweep("10.0.0.1", "tcp/443", 3, tries=2) + sweep("10.0.0.2", "udp/53", 1)
        habits = habits.after(window(tries if minute else tries[:3], start=START + minute * MINUTE))
    counts = window(sweep("10.0.0.2", "tcp/23", 20) + sweep("10.0.0.9", "tcp/23", 20), start=START + 4 * MINUTE)
    old, new = habits.usual(counts, 0), habits.usual(counts, 1)
    assert old == Usual(
        length=MINUTE,
        windows=4,
        seen=3,
        complete=True,
        source=Typical(1, 1, 1),
        median=Typical(6, 3, 1),
        high=Typical(6, 3, 1),
    )
    assert new == replace(old, seen=0, source=Typical(0, 0, 0))


def test_nothing_is_known_of_before_the_first_window_or_within_one_that_overlaps() -> None:
    first = window(sweep("10.0.0.1", "tcp/443", 3))
    assert Habits().usual(first, 0) is None
    habits = Habits().after(first)
    overlapping = window(sweep("10.0.0.1", "tcp/443", 3), start=START + MINUTE // 2)
    assert habits.usual(overlapping, 0) is None
    assert habits.after(overlapping) is habits


def test_a_source_is_known_by_what_it_did_lately() -> None:
    habits = Habits().after(crowd(np.array([1]), 0, targets=8))
    late = crowd(np.array([1]), 14 * 1440, targets=2)
    habits = habits.after(late)
    assert usual(habits, 1, 20 * 1440).source.pairs == pytest.approx((8 / 2 + 2) / (1 / 2 + 1), rel=1e-3)
    assert usual(habits, 1, 20 * 1440).median.pairs == 2


def test_who_recurs_gets_a_place_some_day_and_keeps_it() -> None:
    chance = np.random.default_rng(1)
    recurring = np.arange(100)
    habits = Habits()
    for draw in range(7):
        for minute in (0, 1):
            strangers = chance.integers(1000, 1 << 31, PLACES // 2)
            habits = habits.after(crowd(np.unique(np.concatenate([recurring, strangers])), 32 * draw + minute))
    assert len(habits.keys) == PLACES
    assert habits.crowded
    assert sum(usual(habits, int(address), 1000).seen >= 2 for address in recurring) >= 95
    unknown = usual(habits, 500, 1000)
    assert (unknown.seen, unknown.complete) == (0, False)


def test_who_comes_back_is_noticed_though_there_are_more_than_there_is_room_for() -> None:
    sources = np.arange(3 * PLACES)
    habits = Habits()
    for minute in range(4):
        habits = habits.after(crowd(sources, minute))
    assert sorted(habits.seen.tolist())[PLACES // 2 :] == [4] * (PLACES // 2)


@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=200), st.sampled_from([0.5, 0.99]))
def test_quantiles_are_right_within_an_eighth(numbers: list[int], share: float) -> None:
    values = np.array(numbers, np.float64)
    histogram = np.bincount(habits_of._bin(values), minlength=habits_of._BINS).astype(np.float64)
    exact = np.quantile(values, share, method="inverted_cdf")
    found = habits_of._quantile(histogram, share)
    assert found <= exact < max(found * 1.1251, found + 1)
    if exact < 16:
        assert found == exact


def test_a_restart_goes_on_exactly() -> None:
    chance = np.random.default_rng(2)
    whole = cut = Habits()
    for minute in range(5):
        counts = crowd(np.unique(chance.integers(0, 2 * PLACES, 2 * PLACES)), minute)
        whole, cut = whole.after(counts), from_bytes(to_bytes(cut)).after(counts)
    assert to_bytes(whole) == to_bytes(cut)


def _drop(name: str) -> Callable[[dict[str, NDArray[Any]]], object]:
    return lambda arrays: arrays.pop(name)


def _put(name: str, value: NDArray[Any]) -> Callable[[dict[str, NDArray[Any]]], object]:
    return lambda arrays: arrays.update({name: value})


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (_drop("seen"), "seen"),
        (_put("clock", np.array([9, 0, 0, 0])), "clock"),
        (_put("clock", np.array([1, 2])), "clock"),
        (_put("weights", np.array([-1.0, 1.0])), "weights"),
        (_put("weights", np.array([0.0, 1.0])), "keys"),
        (_put("sums", np.full((2, 3), np.nan)), "sums"),
        (_put("sums", np.zeros((2, 2))), "sums"),
        (_put("histogram", np.zeros(3)), "histogram"),
        (_put("keys", np.array([5, 5], np.uint64)), "keys"),
        (_put("last", np.array([0.5, 0.5])), "last"),
    ],
)
def test_what_is_damaged_is_refused(
    damage: Callable[[dict[str, NDArray[Any]]], object], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = to_bytes(Habits().after(window(sweep("10.0.0.1", "tcp/1", 2) + sweep("10.0.0.2", "tcp/1", 2))))
    arrays = read_arrays(data)
    damage(arrays)
    monkeypatch.setattr(habits_of, "read_arrays", lambda _: arrays)
    with pytest.raises(InputError, match=field):
        from_bytes(data)


def test_bytes_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="damaged"):
        from_bytes(b"PK no archive")


def test_the_sentence_says_what_was_usual_once_enough_windows_tell() -> None:
    said = []
    for windows in (3, 12):
        habits = Habits()
        for minute in range(windows):
            honest = [Try("10.0.0.1", "10.0.0.8", "tcp/443", answered=True)]
            habits = habits.after(window(honest, start=START + minute * MINUTE))
        scans = sweep("10.0.0.1", "tcp/23", 30) + sweep("10.0.0.2", "tcp/23", 30)
        counts = window(scans, start=START + 12 * MINUTE)
        found = follow(counts, judge(counts, Thresholds()), [], {}, AllowList(), habits)
        assert [alert.usual is not None and alert.usual.windows for alert in found] == [windows, windows]
        said += [alert.reason.rpartition("; ")[2] for alert in found]
    usually = "99 % of this sensor's sources try at most 1 pair."
    assert said[2:] == [
        f"in 12 of 12 windows of 1 min before it tried 1 pair on average, and {usually}",
        f"in 12 windows of 1 min before it was not seen, and {usually}",
    ]
    assert "windows" not in "".join(said[:2])


def test_what_was_usual_when_it_was_named_stays_while_it_goes_on() -> None:
    habits = Habits().after(window(sweep("10.0.0.2", "udp/53", 1)))
    first_window = window(sweep("10.0.0.1", "tcp/23", 30), start=START + MINUTE)
    (first,) = follow(first_window, judge(first_window, Thresholds()), [], {}, AllowList(), habits)
    later = window(sweep("10.0.0.1", "tcp/23", 30, first=40), start=START + 2 * MINUTE)
    (second,) = follow(later, judge(later, Thresholds()), [first], {}, AllowList(), habits.after(first_window))
    assert (second.id, second.usual) == (first.id, first.usual)
    assert first.usual is not None
    assert first.usual.seen == 0
