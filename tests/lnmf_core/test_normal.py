import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnmf_core import NormalEquations
from lnmf_core.normal import inner


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 9), columns=st.integers(1, 9), k=st.integers(1, 4))
def test_the_squared_error_is_that_of_the_whole_product(seed: int, rows: int, columns: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    X, D, C = rng.random((rows, columns)), rng.random((rows, k)), rng.random((k, columns))
    truth = ((X - D @ C) ** 2).sum()
    of_D = NormalEquations(X @ C.T, C @ C.T)
    of_C = NormalEquations(X.T @ D, D.T @ D)
    assert of_D.squared_error(D, D.T @ D, (X**2).sum()) == pytest.approx(truth, rel=1e-9, abs=1e-12)
    assert of_C.squared_error(C.T, C @ C.T, (X**2).sum()) == pytest.approx(truth, rel=1e-9, abs=1e-12)


def test_sums_of_float32_are_taken_in_float64() -> None:
    ones = np.ones((2**13, 2**12), np.float32)
    ones[0, 0] = 2.0
    # 2²⁵ + 3 has no float32.
    assert inner(ones, ones) == 2**25 + 3


@pytest.mark.parametrize(
    ("cross", "gram"),
    [((4, 2), (3, 3)), ((4, 2), (2, 3)), ((4,), (4, 4)), ((4, 2), (2,)), ((2, 3, 2), (3, 3))],
)
def test_parts_that_do_not_fit_together_are_refused(cross: tuple[int, ...], gram: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        NormalEquations(np.ones(cross), np.ones(gram))
