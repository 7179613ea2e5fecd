from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.windows.clock import END, JUMP, LOG_JUMP, WITNESSES, SteadyClock

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
YEAR = 365 * 86_400 * SECOND


def steady(*batches: list[int]) -> tuple[list[int], int]:
    clock = SteadyClock()
    times = [int(time) for batch in batches for time in clock.steady(np.array(batch, dtype=np.int64))]
    return times, clock.mended


def ticking(count: int, start: int = START) -> list[int]:
    return [start + i * SECOND for i in range(count)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, JUMP), max_size=30), st.integers(0, 40))
def test_disorder_up_to_the_jump_is_left_alone(steps: list[int], cut: int) -> None:
    times = [START + step for step in steps]
    assert steady(times[:cut], times[cut:]) == (times, 0)


@pytest.mark.parametrize("start", [0, 1, START, END - 100 * SECOND])
def test_captures_may_begin_at_any_time(start: int) -> None:
    assert steady(ticking(50, start)) == (ticking(50, start), 0)


def test_no_packets() -> None:
    assert steady([], []) == ([], 0)


@pytest.mark.parametrize(
    "absurd", [START + YEAR, START + 31 * SECOND + JUMP, END, END + 1, (1 << 63) - 1, -1, -YEAR, -(1 << 63)]
)
def test_one_absurd_time_becomes_that_of_the_packet_before(absurd: int) -> None:
    times = ticking(30)
    assert steady([*times, absurd, *ticking(30, START + 30 * SECOND)]) == (
        [*times, times[-1], *ticking(30, START + 30 * SECOND)],
        1,
    )


@pytest.mark.parametrize("absurd", [START + YEAR, END + 1, -1])
def test_an_absurd_first_packet_gets_a_time_from_what_follows(absurd: int) -> None:
    assert steady([absurd, *ticking(30)]) == ([START, *ticking(30)], 1)


@pytest.mark.parametrize("absurd", [START + YEAR, END + 1, -1])
def test_an_absurd_first_packet_of_a_later_batch(absurd: int) -> None:
    found, mended = steady(ticking(30), [absurd, *ticking(30, START + 30 * SECOND)])
    assert mended == 1
    assert START + 29 * SECOND <= found[30] <= START + 30 * SECOND
    assert found[31:] == ticking(30, START + 30 * SECOND)


def test_absurd_packets_in_a_row() -> None:
    times = ticking(30)
    bad = [START + YEAR + i for i in range(WITNESSES)]
    assert steady([*times, *bad, *ticking(9, START + 30 * SECOND)]) == (
        [*times, *[times[-1]] * WITNESSES, *ticking(9, START + 30 * SECOND)],
        WITNESSES,
    )


def test_more_in_a_row_are_believed() -> None:
    times = [*ticking(30), *ticking(WITNESSES + 1, START + YEAR), *ticking(5, START + 30 * SECOND)]
    assert steady(times) == (times, 0)


@pytest.mark.parametrize("gap", [JUMP, JUMP + SECOND, YEAR, 40 * YEAR])
@pytest.mark.parametrize("after", [1, 3, 50])
def test_a_gap_stands(gap: int, after: int) -> None:
    times = [*ticking(30), *ticking(after, START + gap)]
    assert steady(times) == (times, 0)
    assert steady(times[:30], times[30:]) == (times, 0)


def test_a_packet_from_long_before_is_no_witness_against_a_gap() -> None:
    times = [*ticking(30), START + YEAR, START - YEAR, *ticking(30, START + YEAR + SECOND)]
    assert steady(times) == (times, 0)


def test_packets_that_contradict_each_other_are_believed_in_the_end() -> None:
    """Each is a year before the one before it, and so a witness against it."""
    times = [START + (20 - i) * YEAR for i in range(20)]
    assert steady([*ticking(9), *times]) == (
        [*ticking(9), *[START + 8 * SECOND] * WITNESSES, *times[WITNESSES:]],
        WITNESSES,
    )


def test_a_step_back_stands() -> None:
    times = [*ticking(30), *ticking(30, START - YEAR)]
    assert steady(times) == (times, 0)


def test_two_clocks_that_differ_by_an_hour_do_not_set_each_other() -> None:
    """Of two interfaces, one is an hour ahead: its packets get the time of the other's."""
    right = ticking(50)
    times = [time for one in right for time in (one, one + 3600 * SECOND)]
    found, mended = steady([*times, *ticking(9, START + 50 * SECOND)])
    assert found[:100] == [time for one in right for time in (one, one)]
    assert mended == 50


absurd_times = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(START, START + 3 * JUMP)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.lists(absurd_times, max_size=20), max_size=5))
def test_all_times_make_sense_whatever_comes(batches: list[list[int]]) -> None:
    found, mended = steady(*batches)
    given = [time for batch in batches for time in batch]
    assert all(0 <= time <= END for time in found)
    assert sum(now != before for now, before in zip(found, given, strict=True)) <= mended <= len(given)
    assert sum(not 0 <= time <= END for time in given) <= mended


def test_logs_go_back_and_forth_by_hours() -> None:
    times = [START, START + 7200 * SECOND, START + 3600 * SECOND, START + 7300 * SECOND]
    clock = SteadyClock(LOG_JUMP)
    assert clock.steady(np.array(times, dtype=np.int64)).tolist() == times
    absurd = np.array([START + YEAR, START], dtype=np.int64)
    assert clock.steady(absurd).tolist() == [START, START]
    assert clock.mended == 1
