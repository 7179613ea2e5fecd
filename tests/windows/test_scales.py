"""Windows made of windows count what windows of attempts would have counted."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.batch import take
from service.windows.assign import Windows, WindowSpec
from service.windows.budget import Budget
from service.windows.counts import WindowCounts
from service.windows.scales import USUAL, Scale, usual_scales
from tests.reference import SECOND, Told, windows_of
from tests.windows.counting import HOSTS, attempts_batch, window_of

MINUTE = 60 * SECOND
START = 28_333_350 * MINUTE


def at(seconds: float, source: int = 1, target: int = 9) -> Told:
    return Told(
        START + round(seconds * SECOND),
        f"192.0.2.{source}",
        f"10.0.{target >> 8}.{target & 255}",
        "tcp/23",
        "attempt",
    )


def by_length(told: list[Told], spec: WindowSpec, size: int = 7) -> dict[int, list[WindowCounts]]:
    windows = Windows("edge", spec, HOSTS)
    found = [
        counts for i in range(0, len(told), size) for counts in windows.add(attempts_batch(told[i : i + size]))
    ]
    found += windows.finish()
    lengths: dict[int, list[WindowCounts]] = {}
    for counts in found:
        lengths.setdefault(counts.end - counts.start, []).append(counts)
    return lengths


moments = st.lists(
    st.tuples(st.floats(0, 3 * 3600), st.integers(1, 3), st.integers(1, 5)), min_size=1, max_size=60
).map(sorted)


def worth_telling(told: list[Told], start: int, length: int, finer: int) -> bool:
    """Tell whether a window holds more than one of the next shorter length does."""
    return len({one.time // finer for one in told if start <= one.time < start + length}) > 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(moments, st.integers(1, 20))
def test_a_scale_counts_what_windows_of_its_length_would(told: list[tuple[float, int, int]], size: int) -> None:
    attempts = [at(*one) for one in told]
    scales = (Scale(10 * MINUTE, 10 * MINUTE), Scale(60 * MINUTE, 60 * MINUTE))
    found = by_length(attempts, WindowSpec(scales=scales), size)
    for finer, length in ((1, MINUTE), (MINUTE, 10 * MINUTE), (10 * MINUTE, 60 * MINUTE)):
        assert {counts.start: window_of(counts) for counts in found.get(length, [])} == {
            start: window
            for start, window in windows_of(attempts, length).items()
            if length == MINUTE or worth_telling(attempts, start, length, finer)
        }


@settings(max_examples=100, deadline=None, derandomize=True)
@given(moments)
def test_sliding_windows_overlap_and_end_with_something_new(told: list[tuple[float, int, int]]) -> None:
    attempts = [at(*one) for one in told]
    found = by_length(attempts, WindowSpec(scales=(Scale(10 * MINUTE, 2 * MINUTE),)))
    expected = {}
    # Each step that brought something ends one, and so does each length.
    for end in {(one.time // step + 1) * step for one in attempts for step in (2 * MINUTE, 10 * MINUTE)}:
        start = end - 10 * MINUTE
        if worth_telling(attempts, start, 10 * MINUTE, MINUTE):
            expected[start] = sum(start <= one.time < end for one in attempts)
    assert {counts.start: counts.attempts for counts in found.get(10 * MINUTE, [])} == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.floats(0, 3600), st.integers(1, 2), st.integers(1, 3), st.integers(0, 63)), min_size=1
    ).map(sorted),
    st.integers(1, 20),
)
def test_scales_count_the_marks_that_all_attempts_of_a_pair_have(
    told: list[tuple[float, int, int, int]], size: int
) -> None:
    attempts = attempts_batch([at(*one[:3]) for one in told])
    attempts = replace(attempts, tools=np.array([one[3] for one in told], np.uint8))
    windows = Windows("edge", WindowSpec(scales=(Scale(60 * MINUTE, 60 * MINUTE),)), HOSTS)
    found = [
        counts for i in range(0, len(told), size) for counts in windows.add(take(attempts, slice(i, i + size)))
    ]
    found += windows.finish()
    for counts in found:
        marks: dict[tuple[int, int], int] = {}
        for moment, source, target, shown in told:
            if counts.start <= at(moment).time < counts.end:
                marks[source, target] = marks.get((source, target), 63) & shown
        by_source = {int(low) & 255: place for place, low in enumerate(counts.sources[:, 1])}
        expected = np.zeros((7, len(by_source)), np.int64)
        for (source, _), shown in marks.items():
            carried = [shown >> bit & 1 for bit in (5, 6, 0, 1, 2, 3, 4)]
            expected[:, by_source[source]] += carried
        got = [getattr(counts.tools, column.name) for column in fields(counts.tools)]
        np.testing.assert_array_equal(np.array(got), expected)


def test_windows_come_in_the_order_in_which_they_end_and_idle_time_makes_none() -> None:
    attempts = [at(0), at(61), at(601), at(661), at(90_000), at(90_061)]
    windows = Windows("edge", WindowSpec(scales=(Scale(10 * MINUTE, 10 * MINUTE),)), HOSTS)
    ends = []
    for one in attempts:
        ends += [(counts.end - START) / SECOND for counts in windows.add(attempts_batch([one]))]
    ends += [(counts.end - START) / SECOND for counts in windows.finish()]
    assert ends == [60, 120, 600, 660, 720, 1200, 90_060, 90_120, 90_600]


def test_slow_scans_add_up_within_a_day() -> None:
    attempts = [at(1800 * i + 5, 1, i + 1) for i in range(100)]
    found = by_length(attempts, WindowSpec(scales=USUAL))
    day = found[24 * 60 * MINUTE]
    assert [counts.attempts for counts in day][:22] == list(range(3, 47, 2))
    assert {counts.attempts for counts in day[24:-1]} == {48}
    assert {counts.rows.targets[0] for counts in day[24:-1]} == {48}
    assert {counts.rows.hours[0] for counts in day[24:-1]} == {24}


@pytest.mark.parametrize(
    ("seconds", "lengths"),
    [
        (1, [600, 3600, 86400]),
        (60, [600, 3600, 86400]),
        (7, []),
        (600, [3600, 86400]),
        (3600, [86400]),
        (86400, []),
    ],
)
def test_usual_scales_are_those_that_windows_add_up_to(seconds: int, lengths: list[int]) -> None:
    scales = usual_scales(seconds * SECOND)
    assert [scale.length // SECOND for scale in scales] == lengths
    WindowSpec(length=seconds * SECOND, scales=scales)


def test_a_scale_has_a_budget_too_and_keeps_the_samples_of_its_parts() -> None:
    rng = np.random.default_rng(0)
    attempts = [at(i / 20, 1, int(rng.integers(1, 60_000))) for i in range(12_000)]
    spec = WindowSpec(budget=Budget(1024), scales=(Scale(10 * MINUTE, 10 * MINUTE),))
    (whole,) = by_length(attempts, spec, 500)[10 * MINUTE]
    distinct = len({one.target for one in attempts})
    assert whole.halvings[0] > 0
    assert whole.totals.targets[0] == pytest.approx(distinct, rel=0.3)
    assert whole.shed.sampled > 5000


@pytest.mark.parametrize(("length", "step"), [(10, 3), (10, 0), (10, -5), (3, 10)])
def test_a_step_divides_the_length(length: int, step: int) -> None:
    with pytest.raises(ValueError, match="step"):
        Scale(length, step)


def test_scales_become_longer() -> None:
    with pytest.raises(ValueError, match="scales"):
        WindowSpec(length=600 * SECOND, scales=(Scale(600 * SECOND, 600 * SECOND),))


def test_a_scale_does_not_cut_the_windows_it_is_made_of() -> None:
    with pytest.raises(ValueError, match="scales"):
        WindowSpec(scales=(Scale(90 * SECOND, 90 * SECOND),))


def test_a_day_knows_in_how_many_hours_each_source_tried_each_service() -> None:
    told = [replace(at(600 * i, source, i + 1), service=service) for source, service, tries in TRIES for i in tries]
    days = by_length(sorted(told), WindowSpec(scales=USUAL))[24 * 60 * MINUTE]
    day = max(days, key=lambda counts: counts.attempts)
    found = {
        (int(day.sources[day.rows.source[i], 1]) & 0xFF, int(day.rows.service[i]) & 0xFFFF): int(day.rows.hours[i])
        for i in range(len(day.rows))
    }
    begun = {one.time // (60 * MINUTE) for one in told}
    hours = {
        (source, int(service.partition("/")[2])): len({(START + 600 * i * SECOND) // (60 * MINUTE) for i in tries})
        for source, service, tries in TRIES
    }
    assert len(begun) > 5
    assert found == hours


TRIES = [
    (1, "tcp/23", range(6)),
    (1, "tcp/80", range(0, 60, 7)),
    (2, "tcp/23", range(3, 40)),
    (3, "tcp/22", [5]),
]
