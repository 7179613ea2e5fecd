from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.core.traffic import COUNTS, LOGARITHMS, read_problems


def test_counts_are_whole_and_the_logarithms_are_theirs(example: Path) -> None:
    windows = {values: read_problems(example, 300, values) for values in (COUNTS, LOGARITHMS)}
    for counts, logarithms in zip(windows[COUNTS].problems, windows[LOGARITHMS].problems, strict=True):
        assert counts.X.min() >= 0
        assert (counts.X.data == np.rint(counts.X.data)).all()
        np.testing.assert_allclose(np.log1p(counts.X.data), logarithms.X.data)


def test_windows_with_nothing_to_iterate_for_are_counted_and_left_out(example: Path) -> None:
    windows = read_problems(example, 10, COUNTS)
    assert windows.left_out > 0
    assert all(1 < each.rank < min(each.X.shape) for each in windows.problems)


def test_windows_that_overlap_are_as_long_and_hold_those_that_do_not(example: Path) -> None:
    apart, overlapping = (read_problems(example, 60, LOGARITHMS, step) for step in (None, 6))
    assert len(overlapping.problems) > len(apart.problems)
    shapes = [each.X.shape for each in overlapping.problems]
    assert all(each.X.shape in shapes for each in apart.problems)
