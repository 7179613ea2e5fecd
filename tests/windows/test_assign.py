from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.hosts import HostTable
from service.windows.assign import Windows, WindowSpec
from service.windows.budget import Budget
from service.windows.clock import SteadyClock
from service.windows.scales import Scale
from tests.reference import SECOND, Told, windows_of
from tests.windows.counting import HOSTS, attempts_batch, window_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.windows.counts import WindowCounts

MINUTE = 60 * SECOND
START = 28_333_334 * MINUTE
SPEC = WindowSpec()


def at(seconds: float, *, target: str = "10.0.0.9", outcome: str = "attempt", service: str = "tcp/23") -> Told:
    return Told(START + round(seconds * SECOND), "192.0.2.1", target, service, outcome)


def divided(batches: Iterable[Sequence[Told]], spec: WindowSpec = SPEC) -> tuple[list[WindowCounts], Windows]:
    windows = Windows("edge", spec, HOSTS)
    found = [counts for batch in batches for counts in windows.add(attempts_batch(batch))]
    found += windows.finish()
    return found, windows


def attempts_by_start(found: list[WindowCounts]) -> dict[float, int]:
    """Return the attempts of each window by its start in seconds."""
    return {(counts.start - START) / SECOND: counts.attempts for counts in found}


def test_a_window_is_half_open() -> None:
    found, _ = divided([[at(0), at(59.999999999), at(60), at(-0.000000001)]])
    assert attempts_by_start(found) == {-60: 1, 0: 2, 60: 1}
    assert [(counts.end - counts.start) for counts in found] == [MINUTE] * 3
    assert {counts.sensor for counts in found} == {"edge"}


def test_idle_time_makes_no_windows() -> None:
    found, _ = divided([[at(0)], [], [at(86_400)], [at(86_401)]])
    assert attempts_by_start(found) == {0: 1, 86_400: 2}


def test_a_window_closes_when_nothing_can_come_any_more() -> None:
    windows = Windows("edge", SPEC, HOSTS)
    assert list(windows.add(attempts_batch([at(0)]))) == []
    assert list(windows.add(attempts_batch([at(69.999999999)]))) == []
    assert attempts_by_start(list(windows.add(attempts_batch([at(70)])))) == {0: 1}
    assert attempts_by_start(list(windows.finish())) == {60: 2}
    assert list(windows.finish()) == []


def test_late_attempts_count_where_they_belong() -> None:
    found, windows = divided([[at(1)], [at(69)], [at(59), at(59.5)], [at(61)]])
    assert attempts_by_start(found) == {0: 3, 60: 2}
    assert windows.late == 0


def test_later_ones_count_in_the_oldest_open_window() -> None:
    found, windows = divided([[at(1)], [at(75)], [at(58), at(121)], [at(59)]])
    assert attempts_by_start(found) == {0: 1, 60: 3, 120: 1}
    assert windows.late == 2


def test_logs_may_be_later() -> None:
    windows = Windows("edge", SPEC, HOSTS)
    found = [
        counts
        for seconds in (1, 900, 30, 1000, 59)
        for counts in windows.add(attempts_batch([at(seconds)]), from_log=True)
    ]
    assert attempts_by_start(found) == {0: 2}
    assert attempts_by_start(list(windows.finish())) == {900: 2, 960: 1}
    assert windows.late == 1


def test_many_open_windows_hold_no_more_than_two_may() -> None:
    """The oldest is closed early; what comes for it later is counted in the next one."""
    windows = Windows("edge", WindowSpec(budget=Budget(10)), HOSTS)
    found: list[WindowCounts] = []
    for minute in range(4):
        batch = [at(60 * minute + i, target=f"10.0.{minute}.{i}") for i in range(8)]
        found += windows.add(attempts_batch(batch), from_log=True)
    assert attempts_by_start(found) == {0: 8, 60: 8}
    found = [*windows.add(attempts_batch([at(0)]), from_log=True), *windows.finish()]
    assert sum(counts.attempts for counts in found) == 17
    assert windows.late == 1


def test_late_attempts_open_no_window_in_idle_time() -> None:
    found, windows = divided([[at(1)], [at(6000)], [at(3000)], [at(3001)], [at(100)]])
    assert attempts_by_start(found) == {0: 1, 6000: 4}
    assert windows.late == 3


def test_the_first_attempt_may_be_followed_by_older_ones() -> None:
    found, windows = divided([[at(100)], [at(95)], [at(1)]])
    assert attempts_by_start(found) == {60: 3}
    assert windows.late == 1


def test_a_batch_may_span_many_windows_in_any_order() -> None:
    found, windows = divided([[at(300), at(0), at(60), at(1), at(180)]])
    assert attempts_by_start(found) == {0: 2, 60: 1, 180: 1, 300: 1}
    assert windows.late == 0


def test_few_windows_are_open_while_a_batch_spans_many() -> None:
    windows = Windows("edge", SPEC, HOSTS)
    batch = attempts_batch([at(60 * i) for i in range(50)])
    assert max(len(windows._open) for _ in windows.add(batch)) <= 2


def test_a_late_outcome_is_no_late_attempt() -> None:
    found, windows = divided([[at(50)], [at(75)], [at(50, outcome="answered")]])
    assert windows.late == 0
    assert attempts_by_start(found) == {0: 1, 60: 1}


def test_an_answer_within_the_lateness_is_told_in_the_window_of_its_attempt() -> None:
    found, _ = divided([[at(59)], [at(61)], [at(59, outcome="answered")]])
    assert [counts.rows.answered.tolist() for counts in found] == [[1], [0]]


def test_time_goes_on_without_attempts() -> None:
    windows = Windows("edge", SPEC, HOSTS)
    assert list(windows.add(attempts_batch([at(0)]))) == []
    assert list(windows.advance(START + 69 * SECOND)) == []
    assert [counts.attempts for counts in windows.advance(START + 70 * SECOND)] == [1]
    assert list(windows.advance(START)) == list(windows.finish()) == []


def test_time_may_begin_at_zero() -> None:
    told = [Told(time, "192.0.2.1", "10.0.0.9", "tcp/23", "attempt") for time in (0, 1, MINUTE)]
    found, windows = divided([told[:1], told[1:]])
    assert [(counts.start, counts.attempts) for counts in found] == [(0, 2), (MINUTE, 1)]
    assert windows.late == 0


def test_a_full_window_says_what_it_left_out() -> None:
    told = [at(i / 10, target=f"10.0.0.{i % 30}") for i in range(90)]
    found, _ = divided([told], WindowSpec(budget=Budget(20)))
    assert [counts.attempts + counts.shed.attempts for counts in found] == [90]
    assert found[0].shed.attempts > 0


spans = st.lists(st.floats(0, 400), min_size=1, max_size=60)
targets = st.integers(1, 3).map(lambda i: f"10.0.0.{i}")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(spans, st.lists(st.floats(0, 9.9), min_size=60, max_size=60), st.integers(1, 20), st.integers(1, 100))
def test_disorder_within_the_lateness_changes_nothing(
    moments: list[float], delays: list[float], size: int, length: int
) -> None:
    """Attempts are told up to 9.9 s after they were made."""
    told = [at(seconds, target=f"10.0.0.{i % 3}") for i, seconds in enumerate(sorted(moments))]
    arrived = [
        one for _, one in sorted((one.time + delay * SECOND, one) for one, delay in zip(told, delays, strict=False))
    ]
    batches = [arrived[i : i + size] for i in range(0, len(arrived), size)]
    found, windows = divided(batches, WindowSpec(length=length * SECOND))
    assert {counts.start: window_of(counts) for counts in found} == windows_of(told, length * SECOND)
    assert windows.late == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.floats(-1000, 5000), max_size=6), max_size=20), st.integers(0, 100))
def test_whatever_the_order_each_attempt_counts_once_and_no_window_twice(
    moments: list[list[float]], lateness: int
) -> None:
    batches = [[at(seconds) for seconds in batch] for batch in moments]
    found, _ = divided(batches, WindowSpec(lateness=lateness * SECOND))
    starts = [counts.start for counts in found]
    assert all(before < after for before, after in pairwise(starts))
    assert sum(counts.attempts for counts in found) == sum(map(len, batches))


@pytest.mark.parametrize("wrong", [{"length": SECOND - 1}, {"length": 0}, {"length": -MINUTE}, {"lateness": -1}])
def test_impossible_specs(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WindowSpec(**wrong)


# --- times that can't be believed, mended by the clock ---


def counted(times: list[int]) -> tuple[dict[int, int], SteadyClock, Windows]:
    clock, windows = SteadyClock(), Windows("edge", SPEC, HostTable(1))
    steady = clock.steady(np.array(times, dtype=np.int64))
    told = [Told(int(time), "192.0.2.1", "10.0.0.9", "tcp/23", "attempt") for time in steady]
    by_start: dict[int, int] = defaultdict(int)
    for counts in (*windows.add(attempts_batch(told)), *windows.finish()):
        by_start[counts.start] += counts.attempts
    return by_start, clock, windows


@pytest.mark.parametrize("absurd", [START + 10**17, 1 << 62, (1 << 63) - 1, -1, -(1 << 63)])
def test_one_absurd_time_makes_nothing_late(absurd: int) -> None:
    times = [START + i * SECOND for i in range(60)]
    by_start, clock, windows = counted([*times[:30], absurd, *times[30:]])
    assert by_start == {START: 61}
    assert clock.mended == 1
    assert windows.late == 0


def looked_at(told: list[Told], now: float, before: float = 0, spec: WindowSpec = SPEC) -> list[WindowCounts]:
    windows = Windows("edge", spec, HOSTS)
    for one in told:
        assert not list(windows.add(attempts_batch([one]))) or spec.scales
    list(windows.advance(START + round(now * SECOND)))
    return list(windows.look(START + round(before * SECOND)))


def several(count: int, seconds: float, outcome: str = "attempt") -> list[Told]:
    return [at(seconds, target=f"10.0.0.{i + 1}", outcome=outcome) for i in range(count)]


@pytest.mark.parametrize(
    ("told", "now", "seen"),
    [
        (several(5, 1), 4, [5]),
        (several(5, 1), 3.9, []),
        (several(4, 1), 4, []),
        (several(5, 1) + several(5, 1, "refused"), 1, [5]),
        (several(5, 1) + several(5, 1, "answered"), 1, [5]),
        (several(12, 1) + several(7, 1, "refused"), 2, [7]),
    ],
)
def test_a_look_at_an_open_window_sees_what_is_decided(told: list[Told], now: float, seen: list[int]) -> None:
    found = looked_at(told, now)
    assert [counts.rows.targets[0] for counts in found] == seen
    assert all(counts.seen_until == START + round(now * SECOND) and not counts.whole for counts in found)


def test_a_look_leaves_out_sources_without_news() -> None:
    assert looked_at(several(8, 1), now=20, before=10) == []
    assert len(looked_at([*several(8, 1), at(16, target="10.0.9.9")], now=20, before=10)) == 1


def test_a_look_sees_what_began_in_windows_before() -> None:
    spec = WindowSpec(scales=(Scale(10 * MINUTE, 10 * MINUTE),))
    told = [at(10 * i, target=f"10.0.0.{i + 1}") for i in range(9)]
    seen = [((c.end - c.start) // MINUTE, c.rows.targets[0]) for c in looked_at(told, now=83, spec=spec)]
    assert seen == [(10, 9)]


def test_looking_changes_nothing() -> None:
    batches = [several(20, 1), several(5, 30, "answered"), several(9, 61), several(9, 130)]
    plain, _ = divided(batches)
    windows = Windows("edge", SPEC, HOSTS)
    found: list[WindowCounts] = []
    for batch in batches:
        found += windows.add(attempts_batch(batch))
        list(windows.look(0))
    found += windows.finish()
    assert [counts.digest() for counts in found] == [counts.digest() for counts in plain]
