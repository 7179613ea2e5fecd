from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core import FactorError, Nndsvd, ParameterError, RandomStart, Start, WarmStart
from lnmf_core.matrix import checked

STARTS: list[Start] = [RandomStart(3), Nndsvd(3), Nndsvd(3, fill_zeros=True)]


def counts() -> NDArray[Any]:
    rng = np.random.default_rng(1)
    return rng.poisson(rng.gamma(0.4, 3.0, (40, 4)) @ rng.gamma(0.4, 3.0, (4, 25))).astype(float)


def relative_error(X: NDArray[Any], D: NDArray[Any], C: NDArray[Any]) -> float:
    return float(np.linalg.norm(X - D @ C) / np.linalg.norm(X))


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rank", [1, 4, 25])
def test_starts_make_factors_of_the_right_shape_and_dtype(start: Start, dtype: Any, rank: int) -> None:
    made = start.factors(checked(counts().astype(dtype)), rank)
    assert made.D.shape == (40, rank)
    assert made.C.shape == (rank, 25)
    assert made.D.dtype == made.C.dtype == dtype


@pytest.mark.parametrize("start", STARTS)
def test_no_component_starts_dead_even_where_x_has_fewer(start: Start) -> None:
    X = np.zeros((6, 5))
    X[:3, :2] = 2.0
    made = start.factors(checked(X), 4)
    assert (made.D.max(axis=0) > 0).all()
    assert (made.C.max(axis=1) > 0).all()


@pytest.mark.parametrize("start", STARTS)
def test_dense_and_sparse_start_alike(start: Start) -> None:
    dense, csr = (start.factors(checked(make(counts())), 4) for make in (np.asarray, sparse.csr_array))
    np.testing.assert_allclose(csr.D, dense.D, atol=1e-6)
    np.testing.assert_allclose(csr.C, dense.C, atol=1e-6)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("power", [-12, 12])
def test_the_unit_of_x_is_shared_out_evenly(start: Start, power: int) -> None:
    unit = 4.0**power
    plain, scaled = (start.factors(checked(x), 4) for x in (counts(), counts() * unit))
    np.testing.assert_allclose(scaled.D, plain.D * np.sqrt(unit), rtol=1e-9)
    np.testing.assert_allclose(scaled.C, plain.C * np.sqrt(unit), rtol=1e-9)


@pytest.mark.parametrize("start", [RandomStart, Nndsvd])
def test_the_seed_decides(start: Any) -> None:
    X = checked(counts())
    first, again, other = (start(seed).factors(X, 4).D for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("seed", [-1, 1.5, True, None])
@pytest.mark.parametrize("start", [RandomStart, Nndsvd])
def test_an_impossible_seed_is_refused(start: Any, seed: Any) -> None:
    with pytest.raises(ParameterError, match=f"seed is {seed}"):
        start(seed)


def test_a_random_start_has_the_mean_of_x() -> None:
    X = counts()
    made = RandomStart(0).factors(checked(X), 10)
    assert (made.D @ made.C).mean() == pytest.approx(X.mean(), rel=0.2)


def test_nndsvd_finds_separate_blocks_at_once() -> None:
    X = np.zeros((7, 6))
    X[:4, :2], X[4:, 2:] = 3.0, 1.0
    made = Nndsvd(0).factors(checked(X), 2)
    assert relative_error(X, made.D, made.C) < 1e-7


def test_nndsvd_follows_the_paper() -> None:
    rng = np.random.default_rng(1)
    X = rng.gamma(0.4, 3.0, (40, 5)) @ rng.gamma(0.4, 3.0, (5, 25))
    left, values, right = np.linalg.svd(X, full_matrices=False)
    expected = np.zeros_like(X)
    for j in range(3):
        u, v = left[:, j], right[j]
        sides = [(np.maximum(sign * u, 0), np.maximum(sign * v, 0)) for sign in (1, -1)]
        p, q = max(sides, key=lambda side: np.linalg.norm(side[0]) * np.linalg.norm(side[1]))
        expected += values[j] * np.outer(p, q)
    made = Nndsvd(0).factors(checked(X), 3)
    np.testing.assert_allclose(made.D @ made.C, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(made.D, axis=0), np.linalg.norm(made.C, axis=1))


def test_filled_zeros_become_the_mean_of_their_component() -> None:
    X = checked(counts())
    plain, filled = Nndsvd(0).factors(X, 4), Nndsvd(0, fill_zeros=True).factors(X, 4)
    assert (plain.D == 0).any()
    np.testing.assert_array_equal(filled.D, np.where(plain.D == 0, plain.D.mean(axis=0), plain.D))
    np.testing.assert_array_equal(filled.C.T, np.where(plain.C.T == 0, plain.C.T.mean(axis=0), plain.C.T))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_a_warm_start_is_converted_to_the_dtype_of_x(dtype: Any) -> None:
    D, C = np.zeros((40, 2), dtype), np.ones((2, 25), dtype)
    made = WarmStart(D, C).factors(checked(counts()), 2)
    assert made.D.dtype == made.C.dtype == np.float64
    assert not np.shares_memory(made.D, D)
    np.testing.assert_array_equal(made.C, C)


@pytest.mark.parametrize(
    ("D", "C", "message"),
    [
        (np.ones((39, 2)), np.ones((2, 25)), r"D has shape \(39, 2\): X and the rank ask for \(40, 2\)"),
        (np.ones((40, 2)), np.ones((3, 25)), r"C has shape \(3, 25\): X and the rank ask for \(2, 25\)"),
        (np.ones((40, 2)), np.ones(25), r"C has shape \(25,\)"),
        (np.ones((40, 2)), np.full((2, 25), -1.0), r"C\[0, 0\] is -1.0"),
        (np.full((40, 2), np.nan), np.ones((2, 25)), r"D\[0, 0\] is nan"),
        (np.ones((40, 2), complex), np.ones((2, 25)), "D holds complex128"),
        (np.ones((40, 2)), [[1.0]], "C is a list: pass a numpy array"),
    ],
)
def test_a_warm_start_that_does_not_fit_is_refused(D: Any, C: Any, message: str) -> None:
    with pytest.raises(FactorError, match=message):
        WarmStart(D, C).factors(checked(counts()), 2)
