from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core import (
    ExtrapolatedHals,
    FactorError,
    Hals,
    JointGaussNewton,
    Learned,
    LearnedMomentum,
    MatrixError,
    Multiplicative,
    Nndsvd,
    NormalEquations,
    ProjectedGradient,
    RandomStart,
    RankError,
    Solution,
    Stop,
    StopReason,
    WarmStart,
    factorize,
)
from lnmf_core.matrix import checked
from lnmf_core.rules.sweep_plan import Pace, SweepRule
from lnmf_core.solve import _iterate, _iterate_compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = NDArray[np.floating[Any]]


def planted(noise: float = 0.01) -> Array:
    rng = np.random.default_rng(2)
    return np.maximum(rng.random((30, 3)) @ rng.random((3, 20)) + noise * rng.standard_normal((30, 20)), 0)


@dataclass(frozen=True)
class Scripted:
    """Multiplies the factor of one mode by the next number of its script at each update."""

    script: tuple[float, ...]
    moves: int = 0
    monotone: ClassVar[bool] = False
    zeros_lock: ClassVar[bool] = False

    def init(self, _factor: Array, mode: int, /) -> tuple[float, ...]:
        return self.script if mode == self.moves else ()

    def update(
        self, factor: Array, normal: NormalEquations, state: tuple[float, ...], /
    ) -> tuple[Array, tuple[float, ...]]:
        return (factor * state[0], state[1:]) if state else (factor, state)


def scripted_run(*script: float, max_iterations: int | None = None, moves: int = 0) -> Solution:
    """Factorise X = 1 from D = ½ and C = 1: after scaling by s the error is |1 − s/2|."""
    start = WarmStart(np.full((4, 1), 0.5), np.ones((1, 3)))
    budget = len(script) if max_iterations is None else max_iterations
    return factorize(np.ones((4, 3)), 1, rule=Scripted(script, moves), start=start, stop=Stop(budget, 0.0))


@dataclass(frozen=True)
class Negative:
    """Turns one entry of D negative while the fit gets better."""

    monotone: ClassVar[bool] = False
    zeros_lock: ClassVar[bool] = False

    def init(self, _factor: Array, mode: int, /) -> int:
        return mode

    def update(self, factor: Array, normal: NormalEquations, state: int, /) -> tuple[Array, int]:
        moved = np.ones_like(factor)
        moved[0, 0] = -0.01
        return (moved if state == 0 else factor), state


def test_the_errors_are_those_of_the_start_and_of_each_iteration() -> None:
    solution = scripted_run(1.2, 1.25, 1.2)
    assert solution.errors == pytest.approx((0.5, 0.4, 0.25, 0.1))
    assert solution.reason is StopReason.BUDGET
    assert solution.iterations == 3


def test_an_iteration_that_raises_the_error_is_taken_back_and_the_rule_goes_on_with_its_state() -> None:
    solution = scripted_run(1.2, 0.5, 1.5)
    assert solution.errors == pytest.approx((0.5, 0.4, 0.4, 0.1))
    np.testing.assert_allclose(solution.factors.D, 0.5 * 1.2 * 1.5)


def test_a_rule_that_no_longer_gets_anywhere_ends() -> None:
    solution = scripted_run(1.2, 0.5, 0.5, 0.5, max_iterations=50)
    assert solution.errors == pytest.approx((0.5, 0.4, 0.4, 0.4))
    assert solution.reason is StopReason.TOLERANCE


@pytest.mark.parametrize("moves", [0, 1], ids=["D", "C"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e200])
def test_factors_that_are_not_finite_end_the_run_with_the_last_good_ones(wrong: float, moves: int) -> None:
    solution = scripted_run(1.2, wrong, moves=moves)
    assert solution.reason is StopReason.NON_FINITE
    assert solution.errors == pytest.approx((0.5, 0.4))
    np.testing.assert_allclose(solution.factors.D @ solution.factors.C, 0.5 * 1.2)


def test_a_rule_that_returns_negative_factors_is_not_believed() -> None:
    start = WarmStart(np.full((4, 1), 0.0625), np.ones((1, 3)))
    with pytest.raises(FactorError, match=r"D\[0, 0\] is -0\.01"):
        factorize(np.ones((4, 3)), 1, rule=Negative(), start=start, stop=Stop(1))


def test_the_reported_error_is_that_of_the_factors() -> None:
    X = planted()
    solution = factorize(X, 3, stop=Stop(20, 0.0))
    truth = np.linalg.norm(X - solution.factors.D @ solution.factors.C) / np.linalg.norm(X)
    assert solution.error == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_without_noise_ends_as_exact(dtype: Any) -> None:
    X = np.outer(np.arange(30), np.arange(20)).astype(dtype)
    solution = factorize(X, 1, start=RandomStart(0), stop=Stop(50, 0.0))
    assert solution.reason is StopReason.EXACT
    assert solution.iterations < 10
    np.testing.assert_allclose(solution.factors.D @ solution.factors.C, X, rtol=1e-3, atol=1e-3)


def test_a_rise_that_rounding_can_explain_is_not_taken_back() -> None:
    # The relative error goes from 1e-7 to 1.02e-7: its square by 4e-16, which is about two machine epsilons.
    best, after = 2 - 2e-7, 2 - 2.04e-7
    np.testing.assert_allclose(scripted_run(best, after / best).factors.D, after / 2, rtol=1e-15)


def test_a_tolerance_ends_the_run_before_the_budget() -> None:
    solution = factorize(planted(), 3, stop=Stop(5000, 1e-3))
    assert solution.reason is StopReason.TOLERANCE
    assert solution.iterations < 500
    assert solution.errors[-3] - solution.errors[-1] <= 1e-3 * solution.errors[-1]
    assert solution.errors[-4] - solution.errors[-2] > 1e-3 * solution.errors[-2]


def test_the_defaults_are_the_learned_choice_nndsvd_and_a_modest_budget() -> None:
    plain = factorize(planted(), 3)
    spelled = factorize(planted(), 3, rule=Learned(), start=Nndsvd(0), stop=Stop(200, 1e-4))
    assert plain.errors == spelled.errors


def test_a_rule_whose_zeros_lock_gets_a_start_without_zeros() -> None:
    plain = factorize(planted(), 3, rule=Multiplicative(), stop=Stop(5))
    spelled = factorize(planted(), 3, rule=Multiplicative(), start=Nndsvd(fill_zeros=True), stop=Stop(5))
    assert plain.errors == spelled.errors
    assert plain.errors != factorize(planted(), 3, rule=Multiplicative(), start=Nndsvd(), stop=Stop(5)).errors


def test_a_warm_start_at_the_solution_ends_at_once() -> None:
    first = factorize(planted(), 3, stop=Stop(2000, 1e-7))
    again = factorize(planted(), 3, start=WarmStart(first.factors.D, first.factors.C), stop=Stop(2000, 1e-4))
    assert again.iterations == 2
    assert again.errors[0] == pytest.approx(first.error, rel=1e-6)


def test_known_patterns_with_unknown_memberships_are_a_start() -> None:
    X = planted()
    C = factorize(X, 3, stop=Stop(500, 1e-6)).factors.C
    warm = factorize(X, 3, start=WarmStart(np.zeros((30, 3)), C), stop=Stop(5, 0.0))
    assert warm.errors[0] == 1.0
    assert warm.error < 0.03


def test_a_warm_start_that_overflows_is_refused() -> None:
    huge = np.full((30, 3), 1e200)
    with pytest.raises(FactorError, match="D and C overflow"):
        factorize(planted(), 3, start=WarmStart(huge, huge[:20].T))
    # A perfect fit, but X·Cᵀ is infinite in float32: minus infinity must not be taken for no error.
    X = np.full((3, 1000), 1e20, np.float32)
    with pytest.raises(FactorError, match="D and C overflow"):
        factorize(X, 1, start=WarmStart(np.full((3, 1), 1e4), np.full((1, 1000), 1e16)))


def test_seconds_are_those_of_the_clock() -> None:
    ticks: Iterator[float] = iter([10.0, 12.5])
    assert factorize(planted(), 3, clock=lambda: next(ticks)).seconds == 2.5


def test_errors_of_matrix_and_rank_come_through() -> None:
    with pytest.raises(MatrixError):
        factorize(np.full((3, 3), -1.0), 1)
    with pytest.raises(RankError):
        factorize(np.ones((3, 3)), 4)


def test_a_sparse_window_is_never_made_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("made dense")

    for name in ("toarray", "todense"):
        monkeypatch.setattr(sparse.csr_array, name, refuse)
        monkeypatch.setattr(sparse.csc_array, name, refuse)
    # Dense, these would be 80 GB.
    rng = np.random.default_rng(0)
    places = rng.integers(0, 100_000, 200), rng.integers(0, 100_000, 200)
    X = sparse.csr_array((np.ones(200), places), shape=(100_000, 100_000))
    solution = factorize(X, 2, stop=Stop(2))
    assert solution.errors[-1] < solution.errors[0]


@pytest.mark.parametrize("rule", [Hals(), ProjectedGradient(), Multiplicative()])
def test_rules_reach_the_noise_from_random_starts(rule: Any) -> None:
    X = planted()
    runs = [factorize(X, 3, rule=rule, start=RandomStart(seed), stop=Stop(3000, 1e-6)) for seed in range(3)]
    # The noise has the relative size 0.01 / √mean(X²), about 0.0125.
    assert min(run.error for run in runs) < 0.0125


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize(
    "rule",
    [
        Hals(),
        ExtrapolatedHals(),
        LearnedMomentum(),
        JointGaussNewton(),
        ExtrapolatedHals(2, Pace(1.0, 1.5, 1.3, 1.1, 2.0)),
    ],
    ids=str,
)
def test_the_compiled_loop_is_the_loop(rule: SweepRule | JointGaussNewton, layout: Any, dtype: Any) -> None:
    matrix = checked(layout(planted(0.05).astype(dtype)))
    first = RandomStart(1).factors(matrix, 3)
    stop = Stop(40, 1e-5)
    factors, errors, reason = _iterate(matrix, first, rule, stop)
    same, same_errors, same_reason = _iterate_compiled(matrix, first.D.copy(), first.C.T.copy(), rule.plan(3), stop)
    rounding = 1e-9 if dtype is np.float64 else 2e-3
    length = 30 if dtype is np.float64 else 8  # rounding grows from iteration to iteration
    assert same_errors[:length] == pytest.approx(errors[:length], rel=rounding)
    if dtype is np.float64:
        assert same_reason is reason
        np.testing.assert_allclose(same.D, factors.D, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(same.C, factors.C, rtol=1e-6, atol=1e-9)


def test_the_wildest_pace_above_is_taken_back_at_times() -> None:
    errors = factorize(
        planted(0.05), 3, rule=ExtrapolatedHals(2, Pace(1.0, 1.5, 1.3, 1.1, 2.0)), start=RandomStart(1)
    ).errors
    assert any(after == before for before, after in pairwise(errors))
