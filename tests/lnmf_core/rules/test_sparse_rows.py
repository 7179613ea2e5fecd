from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnmf_core import FactorError, NormalEquations, ParameterError, SparseRows, Stop, WarmStart, factorize

Array = NDArray[np.floating[Any]]


def unfitted(X: Array, D: Array, Ct: Array) -> Array:
    return np.asarray(((X - D.astype(float) @ Ct.T.astype(float)) ** 2).sum(axis=1))


def problem(seed: int, k: int = 5) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.gamma(0.3, 1.0, (20, 9))
    D = rng.random((20, k)) * (rng.random((20, k)) < 0.3)
    return X, D, rng.gamma(0.3, 1.0, (9, k))


def best_of_all(x: Array, Ct: Array, most: int) -> float:
    """Return the least ‖x − d·C‖² over all supports whose least squares are nonnegative."""
    least = float(x @ x)
    for size in range(1, most + 1):
        for support in itertools.combinations(range(Ct.shape[1]), size):
            part = Ct[:, support]
            weights = np.linalg.lstsq(part, x, rcond=None)[0]
            if (weights >= 0).all():
                least = min(least, float(((x - part @ weights) ** 2).sum()))
    return least


@pytest.mark.parametrize("seed", range(5))
def test_one_membership_is_the_best_one(seed: int) -> None:
    X, D, Ct = problem(seed)
    rule = SparseRows((X**2).sum(axis=1))
    moved, _ = rule.update(D, NormalEquations(X @ Ct, Ct.T @ Ct), rule.init(D, 0))
    np.testing.assert_allclose(unfitted(X, moved, Ct), [best_of_all(x, Ct, 1) for x in X], rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_two_memberships_are_found_where_patterns_overlap_little(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Ct = np.eye(9)[:, :5] + 0.1 * rng.random((9, 5))
    X = rng.gamma(0.3, 1.0, (20, 9))
    rule = SparseRows((X**2).sum(axis=1), most=2, gain=0.0)
    D = np.zeros((20, 5))
    moved, _ = rule.update(D, NormalEquations(X @ Ct, Ct.T @ Ct), rule.init(D, 0))
    truth = np.array([best_of_all(x, Ct, 2) for x in X])
    assert np.isclose(unfitted(X, moved, Ct), truth, rtol=1e-6).mean() >= 0.8
    assert (unfitted(X, moved, Ct) >= truth * (1 - 1e-9)).all()


def test_a_further_membership_must_explain_its_share() -> None:
    # The second pattern explains 0.1 of the row's energy.
    X, Ct = np.array([[3.0, 1.0]]), np.eye(2)
    D, normal = np.zeros((1, 2)), NormalEquations(X, np.eye(2))
    for gain, expected in ((0.09, [[3.0, 1.0]]), (0.11, [[3.0, 0.0]])):
        rule = SparseRows((X**2).sum(axis=1), most=2, gain=gain)
        np.testing.assert_allclose(rule.update(D, normal, rule.init(D, 0))[0] @ Ct, expected)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=st.integers(0, 2**32), most=st.integers(1, 4), single=st.booleans())
def test_no_row_gets_worse_and_none_has_too_many_memberships(seed: int, most: int, single: bool) -> None:
    X, D, Ct = problem(seed)
    if single:
        X, D, Ct = (part.astype(np.float32) for part in (X, D, Ct))
    rule = SparseRows((X**2).sum(axis=1), most=most)
    allowed = (D > 0).sum(axis=1) <= most
    moved, _ = rule.update(D, NormalEquations(X @ Ct, Ct.T @ Ct), rule.init(D, 0))
    assert moved.dtype == X.dtype
    assert ((moved > 0).sum(axis=1) <= most).all()
    before = np.where(allowed, unfitted(X, D, Ct), (X.astype(float) ** 2).sum(axis=1))
    assert (unfitted(X, moved, Ct) <= before + 1e-5 * (X.astype(float) ** 2).sum(axis=1)).all()


@pytest.mark.parametrize("most", [1, 2])
def test_patterns_move_to_their_best_and_dead_ones_stay(most: int) -> None:
    X, _, Ct = problem(0)
    D = np.zeros((20, 5))
    D[np.arange(20), np.arange(20) % 4] = 1.5
    rule = SparseRows((X**2).sum(axis=1), most=most)
    moved, _ = rule.update(Ct, NormalEquations(X.T @ D, D.T @ D), rule.init(Ct, 1))
    np.testing.assert_allclose(moved[:, :4], np.linalg.lstsq(D[:, :4], X, rcond=None)[0].T, atol=1e-12)
    np.testing.assert_array_equal(moved[:, 4], Ct[:, 4])


def test_an_update_is_pure() -> None:
    X, D, Ct = problem(0)
    rule = SparseRows((X**2).sum(axis=1), most=2)
    normal = NormalEquations(X @ Ct, Ct.T @ Ct)
    held = D.copy(), normal.cross.copy(), normal.gram.copy()
    first, again = (rule.update(D, normal, 0)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for before, after in zip(held, (D, normal.cross, normal.gram), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_loop_runs_it_from_any_start() -> None:
    X, D, Ct = problem(3)
    rule = SparseRows((X**2).sum(axis=1), most=2)
    solution = factorize(X, 5, rule=rule, start=WarmStart(D, Ct.T), stop=Stop(30, 0.0))
    assert ((solution.factors.D > 0).sum(axis=1) <= 2).all()
    assert (np.diff(solution.errors) <= 0).all()


def test_energy_must_fit_the_rows() -> None:
    with pytest.raises(FactorError, match=r"energy has shape \(3,\), but D has 2 rows"):
        SparseRows(np.ones(3)).init(np.ones((2, 1)), 0)


@pytest.mark.parametrize("wrong", [{"most": 0}, {"gain": float("nan")}, {"gain": -0.1}, {"sweeps": 0}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        SparseRows(np.ones(3), **wrong)
