from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lnmf_core.kernels.tiles import ROWS, add_rows, moved, sum_rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [4, 8, 12, 16, 20])
def test_rows_are_summed_as_by_a_product(width: int, dtype: Any) -> None:
    rng = np.random.default_rng(width)
    source, data = rng.random((9, width)).astype(dtype), rng.random(30).astype(dtype)
    taken, given = rng.integers(0, 9, 30).astype(np.int32), np.sort(rng.integers(0, ROWS, 30)).astype(np.int8)
    expected = np.zeros((ROWS, width))
    np.add.at(expected, given[4:27], data[4:27, np.newaxis] * source[taken[4:27]])
    added, summed = np.zeros((ROWS, width), dtype), np.zeros((ROWS, width), dtype)
    add_rows(data, taken, source, given, added, 4, 27)
    sum_rows(data, taken, source, given, summed, 4, 27)
    np.testing.assert_allclose(added, expected, rtol=1e-5)
    np.testing.assert_allclose(summed, expected, rtol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_lines_move_on_and_stay_at_zero_or_above(momentum: float) -> None:
    rng = np.random.default_rng(0)
    new, old, out = rng.random((4, ROWS)), 3 * rng.random((5, ROWS)), np.full((3, ROWS), -1.0)
    moved(new, 1, old, 2, momentum, out, 0, 2)
    np.testing.assert_allclose(out[:2], np.maximum(new[1:3] + momentum * (new[1:3] - old[2:4]), 0))
    assert (out[2] == -1).all()
