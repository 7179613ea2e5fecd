from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.alerts.baseline import Sums, added, summed, weighted
from service.alerts.surge import Counted

counters = st.dictionaries(st.integers(0, 30), st.integers(1, 50), max_size=20)


def sums(windows: list[dict[int, int]]) -> Sums:
    return summed(
        [
            Counted(np.array(sorted(each), np.int64), np.array([each[number] for number in sorted(each)], np.int64))
            for each in windows
        ]
    )


@settings(deadline=None, derandomize=True)
@given(st.lists(counters, max_size=4), st.lists(counters, max_size=4))
def test_adding_two_sums_is_what_weighting_says(many: list[dict[int, int]], few: list[dict[int, int]]) -> None:
    a, b = sums(many), sums(few)
    got, expected = added(a, b), weighted([a, b], [1.0, 1.0])
    assert got.windows == expected.windows == len(many) + len(few)
    np.testing.assert_array_equal(got.ids, expected.ids)
    np.testing.assert_array_equal(got.total, expected.total)
    np.testing.assert_array_equal(got.squares, expected.squares)
