from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.rows import add_products, ascends, distinct, packed, solve_rows
from lnmf_core.kernels.sweeps import LANES, hals_sweeps

Entries: TypeAlias = tuple[Any, Any, Any, Any]


def problem(rows: int, k: int) -> tuple[Any, Entries, Any, Any]:
    rng = np.random.default_rng(rows + 100 * k)
    X: Any = sparse.random_array((rows, 23), density=0.2, rng=rng, format="csr")
    parts = (X.indptr[:-1].astype(np.int64), X.indptr[1:].astype(np.int64), X.indices.astype(np.int32), X.data)
    return X, parts, rng.random((rows, k)), rng.random((23, k))


@pytest.mark.parametrize("sweeps", [1, 3])
@pytest.mark.parametrize("k", [1, 3, 4, 7, 10])
@pytest.mark.parametrize("rows", [1, LANES - 1, LANES, 2 * LANES + 5])
def test_rows_are_solved_as_by_separate_products_and_sweeps(rows: int, k: int, sweeps: int) -> None:
    X, parts, D, Ct = problem(rows, k)
    slots = np.random.default_rng(0).permutation(rows)[: max(rows - 2, 1)]
    gram = Ct.T @ Ct
    expected = D.copy()
    expected[slots] = hals_sweeps(D[slots], (X @ Ct)[slots], gram, sweeps, 0.0)
    cross = np.ones((23, k))
    norm = solve_rows(slots, *parts, Ct, gram, sweeps, 0.0, D, cross)
    np.testing.assert_allclose(D, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cross, 1 + X[slots].T @ expected[slots], rtol=1e-12)
    assert norm == pytest.approx((X[slots].toarray() ** 2).sum())


def test_a_dead_component_stays_and_nan_is_passed_on() -> None:
    parts: Entries = (np.array([0]), np.array([1]), np.array([0], np.int32), np.array([np.nan]))
    D, cross = np.array([[0.5, 0.25]]), np.zeros((1, 2))
    solve_rows(np.array([0]), *parts, np.array([[0.0, 1.0]]), np.diag([0.0, 1.0]), 2, 1e-300, D, cross)
    assert D[0, 0] == 0.5
    assert np.isnan(D[0, 1])


def test_products_are_added_with_their_sign() -> None:
    X, parts, D, _ = problem(9, 4)
    slots, cross = np.array([8, 0, 3]), np.ones((23, 4))
    norm = add_products(slots, *parts, D, -1.0, cross)
    np.testing.assert_allclose(cross, 1 - X[slots].T @ D[slots], rtol=1e-12)
    assert norm == pytest.approx(-(X[slots].toarray() ** 2).sum())


def test_packed_rows_are_those_named_in_their_order() -> None:
    X, parts, _, _ = problem(9, 1)
    slots = np.array([8, 0, 3, 3])
    indptr, indices, data = packed(slots, *parts)
    np.testing.assert_array_equal(
        sparse.csr_array((data, indices, indptr), shape=(4, 23)).toarray(), X[slots].toarray()
    )


def test_distinct_columns_are_named_once_and_the_marks_are_wiped() -> None:
    seen = np.zeros(9, np.bool_)
    found = distinct(np.array([4, 1, 4], np.int32), np.array([1, 8, 8], np.int32), seen)
    np.testing.assert_array_equal(found, [4, 1, 8])
    assert not seen.any()


@pytest.mark.parametrize(
    ("keys", "answer"), [([], True), ([3], True), ([1, 2, 9], True), ([1, 1], False), ([2, 1], False)]
)
def test_keys_ascend_or_not(keys: list[int], answer: bool) -> None:
    assert ascends(np.array(keys, np.int64)) is answer
