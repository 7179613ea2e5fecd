from __future__ import annotations

import numpy as np
import pytest

from service.alerts.history import History, HistorySpec, Past
from service.alerts.surge import Counted
from service.patterns.groups import Rows
from tests.alerts.groups_traffic import DAY, HOUR, START

ID = 23


def past(start: int, length: int, count: int, rows: int = 0) -> Past:
    return Past(
        start=start,
        end=start + length,
        sources=10 + count,
        counted=Counted(np.array([ID]), np.array([count])),
        rows=Rows(np.tile([1, 2], rows), np.ones(2 * rows, np.int64), np.arange(0, 2 * rows + 1, 2)),
    )


def mean(history: History, start: int, length: int) -> float:
    return float(history.baseline(start, length).fit(np.array([ID])).mean[0])


def test_an_empty_history_expects_little_and_knows_nothing() -> None:
    fit = History().baseline(START, DAY).fit(np.array([ID]))
    assert fit.mean[0] == pytest.approx(1.0)
    assert History().recall(START).rows.services.tolist() == []


def test_the_mean_is_that_of_the_past_and_later_days_count_more() -> None:
    history = History()
    for day in range(40):
        history.add(past(START + day * DAY, DAY, 10 if day < 20 else 30))
    assert 20 < mean(history, START + 40 * DAY, DAY) < 30


def test_windows_that_overlap_the_one_in_question_say_nothing() -> None:
    history = History()
    history.add(past(START, DAY, 4))
    history.add(past(START + DAY, DAY, 400))
    assert mean(history, START + DAY + HOUR, DAY) < 5
    assert mean(history, START + 2 * DAY, DAY) > 100


def test_of_sliding_windows_those_are_kept_that_follow_one_another() -> None:
    history = History()
    for hour in range(49):
        history.add(past(START + hour * HOUR, DAY, 4))
    assert [kept.start for kept in history.windows()] == [START, START + DAY, START + 2 * DAY]


def test_an_hour_has_its_own_mean() -> None:
    history = History()
    for hour in range(24 * 30):
        history.add(past(START + hour * HOUR, HOUR, 50 if hour % 24 == 9 else 2))
    end = START + 30 * DAY
    assert mean(history, end + 9 * HOUR, HOUR) > 35
    assert mean(history, end + 10 * HOUR, HOUR) < 8


def test_memory_is_bounded() -> None:
    history = History(HistorySpec(windows=10, entries=1000))
    for day in range(30):
        history.add(past(START + day * DAY, DAY, 3))
    assert len(history.windows()) == 10
    history.add(past(START + 30 * DAY, DAY, 3, rows=490))
    assert sum(kept.entries for kept in history.windows()) <= 1000
    old = History(HistorySpec(days=5))
    for day in range(30):
        old.add(past(START + day * DAY, DAY, 3))
    assert old.windows()[0].start == START + 25 * DAY


def test_rows_come_back_window_by_window() -> None:
    history = History(HistorySpec(rows=5))
    for day, rows in enumerate((4, 2, 0, 3)):
        history.add(past(START + day * DAY, DAY, 1, rows))
    recalled = history.recall(START + 4 * DAY)
    assert recalled.window.tolist() == [0, 0, 2, 2, 2]
    assert len(recalled.weights) == 3
    assert len(recalled.rows) == 5


def test_a_copy_goes_on_by_itself() -> None:
    history = History()
    history.add(past(START, DAY, 3))
    other = history.copy()
    other.add(past(START + DAY, DAY, 3))
    assert len(history.windows()) == 1
    assert len(other.windows()) == 2


def test_a_specification_is_positive() -> None:
    with pytest.raises(ValueError, match="half_life"):
        HistorySpec(half_life=0)
