from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmf_core.kernels.sweeps import LANES, hals_sweeps


def plain_sweeps(factor: NDArray[Any], cross: NDArray[Any], gram: NDArray[Any], sweeps: int) -> NDArray[Any]:
    out = factor.copy()
    for _ in range(sweeps):
        for j in np.flatnonzero(gram.diagonal() > 0):
            out[:, j] = np.maximum(out[:, j] + (cross[:, j] - out @ gram[:, j]) / gram[j, j], 0)
    return out


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sweeps", [1, 3])
@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("rows", [1, LANES - 1, LANES, LANES + 1, 3 * LANES + 5])
def test_sweeps_are_those_of_plain_numpy(rows: int, k: int, sweeps: int, dtype: type[np.floating[Any]]) -> None:
    rng = np.random.default_rng(rows + 100 * k)
    factor = rng.random((rows, k)).astype(dtype)
    partner = rng.random((20, k)).astype(dtype)
    cross = (rng.standard_normal((rows, 20)) @ partner).astype(dtype)
    gram = partner.T @ partner
    swept = hals_sweeps(factor, cross, gram, sweeps, 0.0)
    assert swept.dtype == dtype
    assert (swept == 0).any() or rows * k < 10
    np.testing.assert_allclose(
        swept, plain_sweeps(factor, cross, gram, sweeps), rtol=0, atol=1e3 * float(np.finfo(dtype).eps)
    )


def test_components_that_are_absent_from_the_partner_stay_as_they_are() -> None:
    factor = np.array([[0.5, 0.25], [0.75, 0.125]])
    gram = np.array([[0.0, 0.0], [0.0, 4.0]])
    swept = hals_sweeps(factor, np.array([[0.0, 8.0], [0.0, 4.0]]), gram, 2, 0.0)
    np.testing.assert_array_equal(swept, [[0.5, 2.0], [0.75, 1.0]])


def test_a_nan_is_passed_on_rather_than_made_zero() -> None:
    swept = hals_sweeps(np.ones((1, 1)), np.full((1, 1), np.nan), np.ones((1, 1)), 1, 0.0)
    assert np.isnan(swept).all()
