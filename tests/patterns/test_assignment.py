from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from service.patterns.assignment import assign


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 9), st.floats(0, 1), st.booleans())
def test_the_sum_is_that_of_scipy(seed: int, rows: int, columns: int, density: float, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, 4, (rows, columns)) / 4 if coarse else rng.uniform(0.01, 1, (rows, columns))
    fits = rng.uniform(size=scores.shape) < density
    found = assign(scores, fits)
    assert len(set(found.values())) == len(found)
    assert all(fits[pair] for pair in found.items())
    gains = np.where(fits, scores, 0.0)
    wanted = gains[linear_sum_assignment(gains, maximize=True)].sum()
    assert sum(scores[pair] for pair in found.items()) == pytest.approx(wanted, abs=1e-9)


def test_the_best_sum_counts_not_the_best_pair() -> None:
    scores = np.array([[0.9, 0.8, 0.0], [0.8, 0.1, 0.0], [0.0, 0.0, 0.5]])
    assert assign(scores, scores > 0) == {0: 1, 1: 0, 2: 2}


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_where_nothing_fits_nothing_is_assigned(shape: tuple[int, int]) -> None:
    assert assign(np.ones(shape), np.zeros(shape, np.bool_)) == {}
