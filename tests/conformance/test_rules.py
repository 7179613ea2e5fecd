"""What every update rule must hold, on dense and sparse data, in both precisions."""
# ruff: noqa: N803, N806  (X, D and C are the mathematics' names)

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core import (
    ExtrapolatedHals,
    Hals,
    JointGaussNewton,
    JointRule,
    Learned,
    LearnedMomentum,
    Multiplicative,
    Nndsvd,
    NormalEquations,
    ProjectedGradient,
    RandomStart,
    RuleChoice,
    Solution,
    SteadyHals,
    Stop,
    StopReason,
    UpdateRule,
    WarmStart,
    factorize,
)
from lnmf_core.matrix import checked
from lnmf_core.rules.learned_mlp import LearnedMlp

if TYPE_CHECKING:
    from collections.abc import Callable

Array: TypeAlias = NDArray[np.floating[Any]]
Rule: TypeAlias = UpdateRule[Any] | JointRule[Any] | RuleChoice

RULES: list[Rule] = [
    Multiplicative(),
    ProjectedGradient(),
    Hals(),
    Hals(sweeps=1),
    ExtrapolatedHals(),
    SteadyHals(),
    LearnedMomentum(),
    JointGaussNewton(),
    LearnedMlp(),
    Learned(),
]
LAYOUTS: list[Callable[[Array], Any]] = [np.asarray, sparse.csr_array]
DTYPES = [np.float64, np.float32]

ALTERNATING = [rule for rule in RULES if isinstance(rule, UpdateRule)]

every_rule = pytest.mark.parametrize("rule", RULES, ids=str)
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=["dense", "csr"])
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])


def counts(rows: int = 40, columns: int = 25) -> Array:
    rng = np.random.default_rng(rows)
    return rng.poisson(rng.gamma(0.4, 3.0, (rows, 4)) @ rng.gamma(0.4, 3.0, (4, columns))).astype(float)


def with_gaps() -> Array:
    X = counts()
    X[[0, 7, 39]] = 0.0
    X[:, [3, 24]] = 0.0
    return X


def ill_conditioned() -> Array:
    rng = np.random.default_rng(1)
    shared = rng.random((1, 25))
    return np.asarray((1e-3 * rng.random((40, 25)) + shared) * 10.0 ** rng.integers(-3, 4, (40, 1)))


PROBLEMS: dict[str, tuple[Array, int]] = {
    "counts": (counts(), 4),
    "gaps": (with_gaps(), 4),
    "duplicate rows": (np.repeat(counts(5), 8, axis=0), 4),
    "rank one, k above": (np.outer(np.arange(40.0), np.arange(25.0)), 3),
    "k = min(n, m)": (counts(40, 6), 6),
    "k = min(n, m), wide": (counts(5, 40), 5),
    "one component": (counts(), 1),
    "one value": (np.array([[3.0]]), 1),
    "one row": (counts(1, 25) + 1, 1),
    "one entry": (np.diag([0.0, 2.0, 0.0]), 2),
    "ill-conditioned": (ill_conditioned(), 4),
    "tiny": (counts() * 1e-12, 4),
    "huge": (counts() * 1e12, 4),
}
every_problem = pytest.mark.parametrize("problem", PROBLEMS)


def true_error(X: Array, solution: Solution) -> float:
    product = solution.factors.D.astype(float) @ solution.factors.C.astype(float)
    return float(np.linalg.norm(X - product) / np.linalg.norm(X))


@every_rule
@every_layout
@every_dtype
@every_problem
def test_factors_are_nonnegative_finite_and_as_good_as_reported(
    rule: Rule, layout: Callable[[Array], Any], dtype: Any, problem: str
) -> None:
    X, rank = PROBLEMS[problem]
    X = X.astype(dtype)
    solution = factorize(layout(X), rank, rule=rule, stop=Stop(30, 0.0))
    factors = solution.factors
    assert solution.reason is not StopReason.NON_FINITE
    assert factors.D.shape == (X.shape[0], rank)
    assert factors.C.shape == (rank, X.shape[1])
    assert factors.D.dtype == factors.C.dtype == dtype
    for factor in (factors.D, factors.C):
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()
    # A squared error is uncertain by a few machine epsilons of ‖X‖².
    assert solution.error**2 == pytest.approx(true_error(X, solution) ** 2, abs=8 * float(np.finfo(dtype).eps))
    assert solution.error <= solution.errors[0]


@every_rule
@every_layout
@every_dtype
def test_equal_seeds_give_equal_results(rule: Rule, layout: Callable[[Array], Any], dtype: Any) -> None:
    X = layout(counts().astype(dtype))
    first, again = (factorize(X, 4, rule=rule, start=RandomStart(3), stop=Stop(20)) for _ in range(2))
    assert first.errors == again.errors
    np.testing.assert_array_equal(first.factors.D, again.factors.D)
    np.testing.assert_array_equal(first.factors.C, again.factors.C)


# A choice may take another rule where X is sparse.
@pytest.mark.parametrize("rule", [rule for rule in RULES if not isinstance(rule, RuleChoice)], ids=str)
@every_problem
@pytest.mark.parametrize("start", [RandomStart(3), Nndsvd(3, fill_zeros=True)], ids=str)
def test_dense_and_sparse_are_solved_alike(rule: Rule, problem: str, start: Any) -> None:
    X, rank = PROBLEMS[problem]
    first = start.factors(checked(X), rank)  # that of a sparse X differs by the rounding of its drafts
    same = WarmStart(first.D, first.C)
    # A joint step solves for both factors, whose split is not unique where rows repeat: rounding decides the way,
    # not where it leads.
    joint = isinstance(rule, JointRule)
    stop = Stop(60 if joint else 3, 0.0)
    dense, csr = (factorize(lay(X), rank, rule=rule, start=same, stop=stop) for lay in LAYOUTS)
    assert csr.error == pytest.approx(dense.error, rel=1e-3, abs=1e-6)
    if joint:
        return
    # Some components of these problems are not unique: the product is.
    np.testing.assert_allclose(
        csr.factors.D @ csr.factors.C, dense.factors.D @ dense.factors.C, rtol=1e-5, atol=1e-4 * X.max()
    )


@every_rule
@every_layout
def test_float32_comes_near_float64(rule: Rule, layout: Callable[[Array], Any]) -> None:
    single, double = (
        factorize(layout(counts().astype(dtype)), 4, rule=rule, start=RandomStart(3), stop=Stop(20, 0.0))
        for dtype in (np.float32, np.float64)
    )
    assert single.error == pytest.approx(double.error, rel=1e-3)
    np.testing.assert_allclose(single.factors.D, double.factors.D, atol=1e-2 * double.factors.D.max())


@pytest.mark.parametrize("rule", [rule for rule in ALTERNATING if rule.monotone], ids=str)
@every_dtype
@every_problem
def test_no_update_raises_the_error_if_the_rule_promises_so(
    rule: UpdateRule[Any], dtype: Any, problem: str
) -> None:
    X, rank = PROBLEMS[problem]
    X = (X / X.max()).astype(dtype)
    rng = np.random.default_rng(0)
    D, Ct = rng.random((X.shape[0], rank)).astype(dtype), rng.random((X.shape[1], rank)).astype(dtype)
    state_D, state_C = rule.init(D, 0), rule.init(Ct, 1)
    squared_norm = float((X.astype(float) ** 2).sum())
    last = np.inf
    for _ in range(15):
        D, state_D = rule.update(D, NormalEquations(X @ Ct, Ct.T @ Ct), state_D)
        after_D = float(((X - D.astype(float) @ Ct.T.astype(float)) ** 2).sum())
        Ct, state_C = rule.update(Ct, NormalEquations(X.T @ D, D.T @ D), state_C)
        after_C = float(((X - D.astype(float) @ Ct.T.astype(float)) ** 2).sum())
        rounding = 16 * float(np.finfo(dtype).eps) * squared_norm
        assert after_D <= last + rounding
        assert after_C <= after_D + rounding
        last = after_C


@pytest.mark.parametrize("rule", ALTERNATING, ids=str)
@every_dtype
def test_an_update_is_pure(rule: UpdateRule[Any], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    factor, partner = rng.random((9, 3)).astype(dtype), rng.random((7, 3)).astype(dtype)
    normal = NormalEquations(rng.random((9, 7)).astype(dtype) @ partner, partner.T @ partner)
    held = factor.copy(), normal.cross.copy(), normal.gram.copy()
    state = rule.init(factor, 0)
    first, again = (rule.update(factor, normal, state)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.shares_memory(first, factor)
    assert first.dtype == dtype
    for before, after in zip(held, (factor, normal.cross, normal.gram), strict=True):
        np.testing.assert_array_equal(before, after)


@every_rule
@every_layout
def test_nothing_that_was_passed_is_changed(rule: Rule, layout: Callable[[Array], Any]) -> None:
    X = layout(counts())
    rng = np.random.default_rng(0)
    D, C = rng.random((40, 4)), rng.random((4, 25))
    parts = [D, C, X] if isinstance(X, np.ndarray) else [D, C, X.data, X.indices, X.indptr]
    held = [part.copy() for part in parts]
    factorize(X, 4, rule=rule, start=WarmStart(D, C), stop=Stop(3))
    for before, after in zip(held, parts, strict=True):
        np.testing.assert_array_equal(before, after)


@every_rule
@every_dtype
@pytest.mark.parametrize("loses_D", [True, False], ids=["D dead", "D alive"])
@pytest.mark.parametrize("loses_C", [True, False], ids=["C dead", "C alive"])
def test_dead_components_do_no_harm_and_recover_from_one_side(
    rule: Rule, dtype: Any, loses_D: bool, loses_C: bool
) -> None:
    X = counts().astype(dtype)
    rng = np.random.default_rng(0)
    D, C = rng.random((40, 4)), rng.random((4, 25))
    D[:, 2] *= not loses_D
    C[2] *= not loses_C
    solution = factorize(X, 4, rule=rule, start=WarmStart(D, C), stop=Stop(30, 0.0))
    assert solution.reason is not StopReason.NON_FINITE
    assert solution.error < solution.errors[0]
    alive = bool(solution.factors.D[:, 2].any() and solution.factors.C[2].any())
    lost = (loses_D or loses_C) if rule.zeros_lock else (loses_D and loses_C)
    assert alive is not lost


@every_rule
@every_layout
@every_dtype
def test_a_start_of_zeros_alone_is_survived(rule: Rule, layout: Callable[[Array], Any], dtype: Any) -> None:
    zeros = WarmStart(np.zeros((40, 4)), np.zeros((4, 25)))
    solution = factorize(layout(counts().astype(dtype)), 4, rule=rule, start=zeros)
    assert solution.errors[-1] == 1.0
    assert solution.reason is StopReason.TOLERANCE


@every_rule
def test_zeros_lock_if_and_only_if_the_rule_says_so(rule: Rule) -> None:
    X = counts() + 1
    rng = np.random.default_rng(0)
    D = rng.random((40, 1))
    D[5] = 0.0
    solution = factorize(X, 1, rule=rule, start=WarmStart(D, rng.random((1, 25))), stop=Stop(10))
    assert bool(solution.factors.D[5] == 0) is rule.zeros_lock


@every_rule
@every_layout
@every_dtype
def test_the_true_factors_are_kept(rule: Rule, layout: Callable[[Array], Any], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    D, C = rng.random((30, 3)), rng.random((3, 20))
    solution = factorize(layout((D @ C).astype(dtype)), 3, rule=rule, start=WarmStart(D, C))
    assert solution.reason is StopReason.EXACT
    np.testing.assert_allclose(solution.factors.D, D, rtol=1e-3, atol=1e-3)


@every_rule
@settings(deadline=None, derandomize=True, max_examples=15)
@given(seed=st.integers(0, 2**32), unit=st.floats(1e-12, 1e12))
def test_the_unit_of_x_changes_no_error(rule: Rule, seed: int, unit: float) -> None:
    X = np.random.default_rng(seed).poisson(1.0, (9, 7)).astype(float) + 0.1
    plain, scaled = (factorize(x, 3, rule=rule, start=RandomStart(seed), stop=Stop(8, 1e-9)) for x in (X, X * unit))
    assert scaled.errors == pytest.approx(plain.errors, rel=1e-6)


@every_rule
@settings(deadline=None, derandomize=True, max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_permuted_rows_permute_the_memberships_alone(rule: Rule, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.poisson(1.0, (9, 7)).astype(float) + 0.1
    D, C = rng.random((9, 3)), rng.random((3, 7))
    order = rng.permutation(9)
    plain = factorize(X, 3, rule=rule, start=WarmStart(D, C), stop=Stop(8, 1e-9))
    permuted = factorize(X[order], 3, rule=rule, start=WarmStart(D[order], C), stop=Stop(8, 1e-9))
    assert permuted.errors == pytest.approx(plain.errors, rel=1e-6)
    np.testing.assert_allclose(permuted.factors.D, plain.factors.D[order], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(permuted.factors.C, plain.factors.C, rtol=1e-6, atol=1e-6)


@every_rule
@settings(deadline=None, derandomize=True, max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    density=st.floats(0.05, 1.0),
    data=st.data(),
)
def test_any_small_window_is_factorised(
    rule: Rule, seed: int, rows: int, columns: int, density: float, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.geometric(0.3, (rows, columns)) * (rng.random((rows, columns)) < density)
    X[rng.integers(rows), rng.integers(columns)] = 1
    rank = data.draw(st.integers(1, min(rows, columns)))
    solution = factorize(sparse.csr_array(X), rank, rule=rule, stop=Stop(20))
    assert solution.reason is not StopReason.NON_FINITE
    assert solution.error**2 == pytest.approx(true_error(X.astype(float), solution) ** 2, abs=1e-12)
