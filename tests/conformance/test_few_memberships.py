"""What every rule must hold, held by few memberships too: `SparseRows` has to know the energy of X's rows."""
# ruff: noqa: N806  (X is the mathematics' name)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import Memberships, Stop, factorize_sparse_rows
from tests.conformance.test_rules import (
    PROBLEMS,
    every_dtype,
    every_layout,
    every_problem,
    true_error,
)

every_number = pytest.mark.parametrize("most", [1, 2, 3])
STOP = Stop(30, 0.0)


@every_number
@every_layout
@every_dtype
@every_problem
def test_factors_are_nonnegative_finite_sparse_and_as_good_as_reported(
    most: int, layout: Any, dtype: Any, problem: str
) -> None:
    X, rank = PROBLEMS[problem]
    X = X.astype(dtype)
    solution = factorize_sparse_rows(layout(X), rank, Memberships(most), stop=STOP)
    factors = solution.factors
    assert 1 <= factors.rank <= rank
    assert factors.D.dtype == factors.C.dtype == dtype
    for factor in (factors.D, factors.C):
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()
    assert (factors.D > 0).sum(axis=1).max() <= most
    assert solution.error**2 == pytest.approx(true_error(X, solution) ** 2, abs=8 * float(np.finfo(dtype).eps))
    assert (np.diff(solution.errors) <= 0).all()


@every_number
@every_problem
def test_dense_and_sparse_are_solved_alike(most: int, problem: str) -> None:
    X, rank = PROBLEMS[problem]
    dense, csr = (
        factorize_sparse_rows(layout(X), rank, Memberships(most), stop=STOP)
        for layout in (np.asarray, sparse.csr_array)
    )
    np.testing.assert_allclose(
        csr.factors.D @ csr.factors.C, dense.factors.D @ dense.factors.C, rtol=1e-6, atol=1e-9 * X.max()
    )


@every_number
@every_layout
def test_float32_comes_near_float64(most: int, layout: Any) -> None:
    X, rank = PROBLEMS["counts"]
    single, double = (
        factorize_sparse_rows(layout(X.astype(dtype)), rank, Memberships(most), stop=STOP)
        for dtype in (np.float32, np.float64)
    )
    assert single.error == pytest.approx(double.error, rel=1e-3)


@every_number
@every_layout
@every_dtype
def test_the_unit_of_x_changes_no_error(most: int, layout: Any, dtype: Any) -> None:
    X, rank = PROBLEMS["counts"]
    plain, *others = (
        factorize_sparse_rows(layout((X * unit).astype(dtype)), rank, Memberships(most), stop=STOP)
        for unit in (1.0, 2.0**-39, 2.0**39)
    )
    for other in others:
        assert other.errors == pytest.approx(plain.errors, rel=1e-6)
