from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import MatrixError, ParameterError, RankError, choose_rank

# Squared singular values 16, 9, 4, 1 of 30: the first k hold 0.53, 0.83, 0.97 and all of the energy.
STAIRS = np.diag([4.0, 3.0, 2.0, 1.0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(("energy", "k"), [(0.1, 1), (0.53, 1), (0.54, 2), (0.83, 2), (0.9, 3), (0.97, 4), (1, 4)])
def test_the_smallest_rank_that_holds_the_energy(make: Any, dtype: Any, energy: float, k: int) -> None:
    assert choose_rank(make(STAIRS.astype(dtype)), 4, energy) == k


def test_nine_tenths_are_asked_for_unless_said_otherwise() -> None:
    assert choose_rank(STAIRS, 4) == 3


@pytest.mark.parametrize(("cap", "k"), [(1, 1), (2, 2), (3, 3), (100, 3)])
def test_the_cap_holds_and_may_exceed_the_matrix(cap: int, k: int) -> None:
    assert choose_rank(STAIRS, cap) == k


def test_all_the_energy_of_a_matrix_of_rank_two_is_in_two() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((50, 2)) @ rng.random((2, 40))
    assert choose_rank(X, 10, 1.0) == 2
    assert choose_rank(X.astype(np.float32), 10, 1.0) == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_large_matrix_is_never_given_too_few(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.poisson(rng.gamma(0.3, 2.0, (120, 6)) @ rng.gamma(0.3, 2.0, (6, 90)))
    squares = np.linalg.svd(X, compute_uv=False) ** 2
    needed = int(np.argmax(np.cumsum(squares) >= 0.95 * squares.sum())) + 1
    assert needed <= choose_rank(X, 60, 0.95, seed=seed) <= needed + 1


def test_one_value_has_rank_one() -> None:
    assert choose_rank(np.array([[7]]), 10) == 1


@pytest.mark.parametrize("cap", [0, -1, 2.0, True, None])
def test_an_impossible_cap_is_refused(cap: Any) -> None:
    with pytest.raises(RankError, match=f"cap is {cap}"):
        choose_rank(STAIRS, cap)


@pytest.mark.parametrize("energy", [0.0, -0.5, 1.1, float("nan")])
def test_an_impossible_energy_is_refused(energy: float) -> None:
    with pytest.raises(ParameterError, match=f"energy is {energy}"):
        choose_rank(STAIRS, 4, energy)


def test_an_impossible_matrix_is_refused() -> None:
    with pytest.raises(MatrixError):
        choose_rank(-STAIRS, 4)
