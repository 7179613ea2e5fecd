from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.passes import (
    explained,
    lanes_of,
    lined,
    padded,
    pass_over,
    settle,
    solve_all,
    solve_rows,
    squared,
    tiled,
    withdraw_rows,
)
from lnmf_core.kernels.sweeps import hals_sweeps
from lnmf_core.kernels.tiles import ROWS

COLUMNS = 37
WIDTHS = [1, 3, 4, 5, 10, 12, 16, 19]
"""One vector of four, several, and all that may be left over after four of them."""


def filled(values: Any) -> Any:
    """Return a padded copy."""
    out = lined(tiled(len(values)), padded(values.shape[1]))
    out[: len(values), : values.shape[1]] = values
    return out


class Problem:
    """Random X with empty rows, D and Cᵀ, as numpy and as the kernels take them."""

    def __init__(self, rows: int, k: int) -> None:
        rng = np.random.default_rng(rows + 100 * k)
        self.rows, self.k = rows, k
        X: Any = sparse.random_array((rows, COLUMNS), density=0.1, rng=rng, format="csr")
        self.X, self.dense = X, X.toarray()
        self.indptr, self.indices = X.indptr.astype(np.int64), X.indices.astype(np.int32)
        self.parts = (self.indptr[:-1].copy(), self.indptr[1:].copy(), self.indices, X.data)
        self.lanes = np.empty(X.nnz, np.int8)
        lanes_of(self.indptr, self.lanes)
        self.D, self.Ct = rng.random((rows, k)), rng.random((COLUMNS, k))
        self.gram_C, self.gram_D = self.Ct.T @ self.Ct, self.D.T @ self.D


def close(left: Any, right: Any) -> None:
    np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-11)


def test_room_begins_with_a_line_of_the_cache_and_is_zero() -> None:
    room = lined(5, 12)
    assert room.shape == (5, 12)
    assert room.ctypes.data % 64 == 0
    assert not room.any()
    assert [padded(k) for k in (1, 4, 5, 10)] == [4, 4, 8, 12]
    assert [tiled(rows) for rows in (0, 1, ROWS, ROWS + 1)] == [0, ROWS, ROWS, 2 * ROWS]


@pytest.mark.parametrize("rows", [0, 1, 5, 400, 5000])
def test_lanes_are_rows_modulo_the_width_of_a_tile(rows: int) -> None:
    lengths = np.random.default_rng(rows).integers(0, 3, rows) * (np.arange(rows) % 400 < 150)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    lanes = np.full(indptr[-1], 99, np.int8)
    lanes_of(indptr, lanes)
    np.testing.assert_array_equal(lanes, np.repeat(np.arange(rows) % ROWS, lengths))


@pytest.mark.parametrize("blank", [0, 1])
@pytest.mark.parametrize("k", WIDTHS)
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 2 * ROWS + 5])
def test_all_rows_are_solved_as_by_separate_products_and_sweeps(rows: int, k: int, blank: int) -> None:
    p = Problem(rows, k)
    D = filled(p.D)[:rows]
    cross, gram = filled(np.ones((COLUMNS, k))), np.ones((k, k))
    solve_all(p.indptr, p.lanes, p.indices, p.X.data, filled(p.Ct), p.gram_C, 2, 0.0, blank, D, cross, gram)
    expected = hals_sweeps(0 * p.D if blank else p.D, p.dense @ p.Ct, p.gram_C, 2, 0.0)
    close(D[:, :k], expected)
    close(cross[:COLUMNS, :k], p.dense.T @ expected)
    close(gram, expected.T @ expected)
    assert not D[:, k:].any()
    assert not cross[:, k:].any()


@pytest.mark.parametrize("k", WIDTHS)
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 2 * ROWS + 5])
def test_some_rows_are_solved_and_withdrawn(rows: int, k: int) -> None:
    p = Problem(rows, k)
    slots = np.random.default_rng(0).permutation(rows)[: max(rows - 2, 1)]
    D, cross, gram = filled(p.D), filled(np.ones((COLUMNS, k))), np.ones((k, k))
    solve_rows(slots, *p.parts, filled(p.Ct), p.gram_C, 3, 0.0, D, cross, gram)
    expected = p.D.copy()
    expected[slots] = hals_sweeps(p.D[slots], (p.dense @ p.Ct)[slots], p.gram_C, 3, 0.0)
    close(D[:rows, :k], expected)
    close(cross[:COLUMNS, :k], 1 + p.dense[slots].T @ expected[slots])
    close(gram, 1 + expected[slots].T @ expected[slots])
    withdraw_rows(slots, *p.parts, D, cross, gram)
    close(cross[:COLUMNS, :k], 1.0)
    close(gram, 1.0)


@pytest.mark.parametrize("k", WIDTHS)
def test_patterns_are_moved_in_all_columns_and_in_some(k: int) -> None:
    p = Problem(50, k)
    cross = p.dense.T @ p.D
    moved = hals_sweeps(p.Ct, cross, p.gram_D, 2, 0.0)
    touched = np.array([30, 2, 36], np.int32)
    Ct, gram_C = filled(p.Ct), np.ones((k, k))
    before, after = settle(touched, COLUMNS, Ct, filled(cross), p.gram_D, 2, 0.0, gram_C)
    close(Ct[:COLUMNS, :k], moved)
    close(gram_C, moved.T @ moved)
    assert before == pytest.approx((p.Ct * cross).sum())
    assert after == pytest.approx((moved * cross).sum())
    Ct, gram_C = filled(p.Ct), p.gram_C.copy()
    before, after = settle(touched, 0, Ct, filled(cross), p.gram_D, 2, 0.0, gram_C)
    expected = p.Ct.copy()
    expected[touched] = moved[touched]
    close(Ct[:COLUMNS, :k], expected)
    close(gram_C, expected.T @ expected)
    assert before == 0
    assert after == pytest.approx((moved * cross)[touched].sum())


def test_a_pass_tells_what_is_explained_before_and_after_the_patterns_move() -> None:
    p = Problem(70, 6)
    D, Ct, cross, gram_C, gram_D = filled(p.D), filled(p.Ct), filled(0 * p.Ct), p.gram_C.copy(), p.gram_D.copy()
    arrays = (p.indptr, p.lanes, p.indices, p.X.data, Ct, gram_C, COLUMNS)
    between, after, fit = pass_over(*arrays, 2, 0.0, 0, D, cross, gram_D)
    norm = (p.dense**2).sum()
    assert squared(p.X.data) == pytest.approx(norm)
    D, Ct = D[:70, :6], Ct[:COLUMNS, :6]
    assert norm - between == pytest.approx(((p.dense - D @ p.Ct.T) ** 2).sum())
    assert norm - after == pytest.approx(((p.dense - D @ Ct.T) ** 2).sum())
    assert fit == pytest.approx((Ct * (p.dense.T @ D)).sum())
    assert explained(fit, gram_C, gram_D) == after


@pytest.mark.parametrize("blank", [0, 1])
def test_a_dead_component_stays_and_nan_is_passed_on(blank: int) -> None:
    indptr, indices, lanes = np.array([0, 1]), np.array([0], np.int32), np.zeros(1, np.int8)
    D, cross = filled(np.array([[0.5, 0.25]])), filled(np.zeros((1, 2)))
    Ct, gram = filled(np.array([[0.0, 1.0]])), np.diag([0.0, 1.0])
    solve_all(indptr, lanes, indices, np.array([np.nan]), Ct, gram, 2, 1e-300, blank, D, cross, np.eye(2))
    assert D[0, 0] == (0.0 if blank else 0.5)
    assert np.isnan(D[0, 1])
