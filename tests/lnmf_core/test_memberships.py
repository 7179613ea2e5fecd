from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core import (
    MatrixError,
    Memberships,
    ParameterError,
    RankError,
    Solution,
    SpreadRows,
    Stop,
    factorize_sparse_rows,
)
from lnmf_core.matrix import checked
from lnmf_core.memberships import row_energy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Array = NDArray[np.floating[Any]]
LAYOUTS: list[Callable[[Array], Any]] = [np.asarray, sparse.csr_array]
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=["dense", "csr"])


def planted(most: int, seed: int, campaigns: int = 6, rows: int = 300) -> tuple[Array, Array, Array]:
    """Return X, D and C of campaigns with 8 of 90 services each, of which a row follows up to `most`."""
    rng = np.random.default_rng(seed)
    C = np.zeros((campaigns, 90))
    for pattern in C:
        pattern[rng.choice(90, 8, replace=False)] = 1.0
    D = np.zeros((rows, campaigns))
    for row in D:
        row[rng.choice(campaigns, rng.integers(1, most + 1), replace=False)] = 1 + rng.gamma(3.0)
    X = rng.poisson(4 * D @ C) + (rng.random((rows, 90)) < 0.005)
    return X.astype(float), D, C


def found(solution: Solution, C: Array) -> tuple[Array, Array]:
    """Return the cosine of each planted pattern with its best match, and that match's column of D."""
    units = solution.factors.C / np.linalg.norm(solution.factors.C, axis=1, keepdims=True)
    cosines = units @ (C / np.linalg.norm(C, axis=1, keepdims=True)).T
    return cosines.max(axis=0), solution.factors.D[:, cosines.argmax(axis=0)]


@every_layout
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rank", [12, 40])
def test_disjoint_campaigns_are_found_with_all_their_members(
    seed: int, rank: int, layout: Callable[[Array], Any]
) -> None:
    X, D, C = planted(1, seed)
    solution = factorize_sparse_rows(layout(X), rank)
    cosines, members = found(solution, C)
    assert solution.factors.rank == 6
    assert cosines.min() > 0.99
    np.testing.assert_array_equal(members > 0, D > 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rank", [12, 40])
def test_overlapping_campaigns_are_told_apart_with_two_memberships(seed: int, rank: int) -> None:
    X, D, C = planted(2, seed)
    solution = factorize_sparse_rows(X, rank, Memberships(most=2))
    cosines, members = found(solution, C)
    assert solution.factors.rank == 6
    assert cosines.min() > 0.99
    assert ((members > 0) == (D > 0)).mean() > 0.97


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_row_has_more_memberships_and_the_error_never_rises(most: int, dtype: Any) -> None:
    X = planted(3, 1)[0].astype(dtype)
    solution = factorize_sparse_rows(X, 12, Memberships(most=most), stop=Stop(20, 0.0))
    factors = solution.factors
    counts = (factors.D > 0).sum(axis=1)
    assert counts.max() == most
    assert factors.D.dtype == factors.C.dtype == dtype
    assert (np.diff(solution.errors) <= 0).all()
    truth = np.linalg.norm(X - factors.D.astype(float) @ factors.C) / np.linalg.norm(X)
    assert solution.error == pytest.approx(truth, rel=1e-3)


def test_more_memberships_explain_more() -> None:
    X = planted(3, 2)[0]
    errors = [factorize_sparse_rows(X, 6, Memberships(most=most, least_rows=1)).error for most in (1, 2, 3)]
    assert errors[0] > 1.2 * errors[1] > 1.2 * errors[2]


@every_layout
def test_equal_seeds_give_equal_results_and_others_do_not(layout: Callable[[Array], Any]) -> None:
    X = layout(np.random.default_rng(0).poisson(1.0, (60, 20)).astype(float))
    first, again, other = (
        factorize_sparse_rows(X, 8, Memberships(most=2, seed=seed), stop=Stop(5)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.factors.D, again.factors.D)
    np.testing.assert_array_equal(first.factors.C, again.factors.C)
    assert first.errors == again.errors
    assert first.errors != other.errors


@pytest.mark.parametrize("most", [1, 2])
def test_dense_and_sparse_are_solved_alike(most: int) -> None:
    X = planted(2, 0)[0]
    dense, csr = (factorize_sparse_rows(layout(X), 12, Memberships(most=most)) for layout in LAYOUTS)
    np.testing.assert_allclose(csr.factors.D, dense.factors.D, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(csr.factors.C, dense.factors.C, rtol=1e-6, atol=1e-9)


@every_layout
def test_rows_of_zeros_belong_to_nothing(layout: Callable[[Array], Any]) -> None:
    X = planted(1, 0)[0]
    X[[0, 5, 299]] = 0.0
    solution = factorize_sparse_rows(layout(X), 12)
    assert not solution.factors.D[[0, 5, 299]].any()
    assert solution.factors.rank == 6


def test_duplicates_are_one_pattern() -> None:
    X = np.repeat(np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 1.0]]), 10, axis=0)
    solution = factorize_sparse_rows(X, 4)
    assert solution.factors.rank == 2
    assert solution.error < 1e-7


@pytest.mark.parametrize("most", [1, 2])
def test_as_many_patterns_as_rows(most: int) -> None:
    X = np.eye(6) + 0.01
    every = factorize_sparse_rows(X, 6, Memberships(most=most, least_rows=1))
    assert every.factors.rank == 6
    assert every.error < 1e-6
    # Each row alone is followed by too few; the strongest stays.
    assert factorize_sparse_rows(X, 6, Memberships(most=most)).factors.rank == 1


def test_patterns_of_too_few_rows_go_and_their_rows_with_them() -> None:
    X, _, _ = planted(1, 3)
    X[:2] = 0.0
    X[:2, 80:] = 50.0
    kept, dropped = (factorize_sparse_rows(X, 20, Memberships(least_rows=least)) for least in (2, 3))
    assert kept.factors.rank == dropped.factors.rank + 1
    assert (dropped.factors.D > 0).sum(axis=0).min() >= 3


def test_no_two_patterns_are_alike() -> None:
    X = np.random.default_rng(1).gamma(0.05, 1.0, (200, 60))
    C = factorize_sparse_rows(X, 60, Memberships(same=0.8)).factors.C
    units = C / np.linalg.norm(C, axis=1, keepdims=True)
    assert np.triu(units @ units.T, 1).max() <= 0.8


def test_a_pattern_that_two_others_describe_goes_where_a_row_may_follow_both() -> None:
    first, second = np.eye(2).repeat(4, axis=1)
    X = np.concatenate([np.tile(first, (9, 1)), np.tile(second, (8, 1)), np.tile(first + second, (5, 1))])
    assert factorize_sparse_rows(X, 3).factors.rank == 3
    double = factorize_sparse_rows(X, 3, Memberships(most=2))
    assert double.factors.rank == 2
    np.testing.assert_array_equal((double.factors.D > 0).sum(axis=1), [1] * 17 + [2] * 5)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 12), columns=st.integers(1, 12), data=st.data())
def test_any_small_window_is_factorised(seed: int, rows: int, columns: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    X = (rng.geometric(0.3, (rows, columns)) * (rng.random((rows, columns)) < 0.4)).astype(float)
    X[rng.integers(rows), rng.integers(columns)] = 1.0
    rank = data.draw(st.integers(1, min(rows, columns)))
    most = data.draw(st.integers(1, 4))
    solution = factorize_sparse_rows(sparse.csr_array(X), rank, Memberships(most, seed=seed))
    assert 1 <= solution.factors.rank <= rank
    assert ((solution.factors.D > 0).sum(axis=1) <= most).all()
    assert (np.diff(solution.errors) <= 0).all()


def test_the_start_spreads_over_distinct_directions_and_is_zero_where_there_are_no_more() -> None:
    X = np.repeat(np.eye(3), 4, axis=0) * np.arange(1.0, 13.0)[:, np.newaxis]
    C = SpreadRows(0).factors(checked(np.hstack([X, X])), 5).C
    np.testing.assert_allclose(np.sort(C[:3] @ C[:3].T, axis=None)[-3:], 1.0)
    np.testing.assert_allclose((C[:3] > 0).sum(axis=0), np.ones(6))
    assert not C[3:].any()


@every_layout
def test_the_energy_of_rows_is_their_squared_norm(layout: Callable[[Array], Any]) -> None:
    X = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(row_energy(checked(layout(X))), [0.0, 25.0, 0.0, 1.0, 0.0])


def test_seconds_are_those_of_the_clock() -> None:
    ticks: Iterator[float] = iter([10.0, 12.5])
    assert factorize_sparse_rows(planted(1, 0)[0], 12, clock=lambda: next(ticks)).seconds == 2.5


def test_what_can_not_be_factorised_is_refused() -> None:
    with pytest.raises(MatrixError):
        factorize_sparse_rows(np.zeros((3, 3)), 1)
    with pytest.raises(RankError):
        factorize_sparse_rows(np.ones((3, 3)), 4)


@pytest.mark.parametrize("wrong", [{"most": 0}, {"gain": 1.1}, {"same": -0.1}, {"least_rows": 0}, {"seed": -1}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Memberships(**wrong)
    if "seed" in wrong:
        with pytest.raises(ParameterError, match="seed"):
            SpreadRows(**wrong)
