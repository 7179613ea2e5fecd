from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmf_core import Hals, NormalEquations, ParameterError


def swept(rule: Hals, factor: NDArray[Any], normal: NormalEquations) -> NDArray[Any]:
    return rule.update(factor, normal, rule.init(factor, 0))[0]


def test_one_component_is_solved_exactly() -> None:
    normal = NormalEquations(np.array([[6.0], [-1.0]]), np.array([[2.0]]))
    assert swept(Hals(), np.ones((2, 1)), normal).tolist() == [[3.0], [0.0]]


def test_many_sweeps_reach_the_nonnegative_least_squares_solution() -> None:
    rng = np.random.default_rng(1)
    X, C = rng.standard_normal((8, 6)), rng.random((3, 6))
    updated = swept(Hals(sweeps=2000), np.ones((8, 3)), NormalEquations(X @ C.T, C @ C.T))
    gradient = updated @ (C @ C.T) - X @ C.T
    assert (gradient > -1e-9).all()
    np.testing.assert_allclose(updated * gradient, 0, atol=1e-9)


def test_sweeps_are_updates_with_the_same_normal_equations() -> None:
    rng = np.random.default_rng(2)
    factor, C = rng.random((70, 4)), rng.random((4, 9))
    normal = NormalEquations(rng.random((70, 9)) @ C.T, C @ C.T)
    once = factor
    for _ in range(3):
        once = swept(Hals(sweeps=1), once, normal)
    np.testing.assert_allclose(swept(Hals(sweeps=3), factor, normal), once, atol=1e-12)


@pytest.mark.parametrize("sweeps", [0, -1, 1.5, True])
def test_an_impossible_number_of_sweeps_is_refused(sweeps: Any) -> None:
    with pytest.raises(ParameterError, match=f"sweeps is {sweeps}"):
        Hals(sweeps=sweeps)
