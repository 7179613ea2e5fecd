"""Products through rows that hold C and XᵀD side by side, for every number of fours that is left over."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.columns import gather_columns, put_columns, scatter_columns, take_sums, turn_columns
from lnmf_core.kernels.tiles import ROWS, room

HALVES = [4, 8, 12, 16, 20, 24, 28, 32, 44]


def side_by_side(half: int, dtype: Any, parts: int = 1) -> Any:
    columns = room(parts * ROWS, 2 * half, np.zeros(1, dtype))
    columns[:] = np.random.default_rng(half).random(columns.shape)
    columns[:, half:] = 0
    return columns


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("half", HALVES)
def test_products_are_those_of_scipy(half: int, dtype: Any) -> None:
    rng = np.random.default_rng(half)
    X = sparse.csr_array((rng.random((60, ROWS)) * (rng.random((60, ROWS)) < 0.2)).astype(dtype))
    columns = side_by_side(half, dtype)
    C, near = columns[:, :half].copy(), 50 * float(np.finfo(dtype).eps)
    for begin, end in ((0, 32), (32, 60)):
        out, left = room(ROWS, half, C), rng.random((ROWS, half)).astype(dtype)
        gather_columns(X.indptr, X.indices, X.data, begin, end, columns, out)
        np.testing.assert_allclose(out[: end - begin], X[begin:end] @ C, rtol=near)
        scatter_columns(X.indptr, X.indices, X.data, begin, end, left, columns)
        sums = room(half, ROWS, C)
        take_sums(columns, 1, 0, sums)
        np.testing.assert_allclose(sums.T, X[begin:end].T @ left[: end - begin], rtol=near)
    np.testing.assert_array_equal(columns[:, :half], C)
    assert not columns[:, half:].any()


@pytest.mark.parametrize("half", HALVES)
def test_sums_of_parts_are_added_up(half: int) -> None:
    rng = np.random.default_rng(half)
    X = sparse.csr_array(rng.random((ROWS, ROWS)) * (rng.random((ROWS, ROWS)) < 0.2))
    columns = side_by_side(half, np.float64, parts=3)
    lefts = rng.random((3, ROWS, half))
    for part, left in enumerate(lefts):
        scatter_columns(X.indptr, X.indices, X.data, 0, ROWS, left, columns[part * ROWS : (part + 1) * ROWS])
    sums = room(half, ROWS, columns)
    take_sums(columns, 3, 0, sums)
    np.testing.assert_allclose(sums.T, X.T @ lefts.sum(axis=0), rtol=1e-13)
    assert not columns[:, half:].any()


@pytest.mark.parametrize("half", HALVES)
def test_columns_are_turned_and_put_back(half: int) -> None:
    columns = side_by_side(half, np.float64)
    lines, other = room(half, ROWS, columns), side_by_side(half, np.float64)
    turn_columns(columns, 0, lines)
    np.testing.assert_array_equal(lines.T, columns[:, :half])
    other[:] = 7
    put_columns(lines, 0, other, 0, half)
    np.testing.assert_array_equal(other[:, :half], columns[:, :half])
    assert (other[:, half:] == 7).all()
