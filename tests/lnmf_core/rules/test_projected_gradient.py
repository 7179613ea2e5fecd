import numpy as np
import pytest
from numpy.typing import NDArray

from lnmf_core import NormalEquations, ProjectedGradient
from lnmf_core.rules.projected_gradient import DOUBLINGS


@pytest.mark.parametrize("last", [0, 3, DOUBLINGS])
def test_among_its_doublings_the_step_lowers_the_error_most(last: int) -> None:
    D, C = 1 + np.random.default_rng(0).random((6, 2)), np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0]])
    # The way to the solution lies where L is flat, across what C's rows have in common.
    X = (D + np.array([0.5, -0.5])) @ C
    updated, doublings = ProjectedGradient().update(D, NormalEquations(X @ C.T, C @ C.T), last)

    def point(j: int) -> NDArray[np.float64]:
        return np.asarray(np.maximum(D - 2.0**j / np.linalg.norm(C, 2) ** 2 * (D @ C - X) @ C.T, 0))

    losses = [float(((X - point(j) @ C) ** 2).sum()) for j in range(DOUBLINGS + 1)]
    assert 0 < doublings == int(np.argmin(losses))
    np.testing.assert_allclose(updated, point(doublings))


def test_a_direction_of_little_curvature_is_followed_so_far_and_no_further() -> None:
    gram = np.diag([1.0, 1e-9])
    updated, doublings = ProjectedGradient().update(
        np.ones((1, 2)), NormalEquations(np.array([[1.0, 2e-9]]), gram), 0
    )
    assert doublings == DOUBLINGS
    np.testing.assert_allclose(updated, [[1.0, 1 + 2**DOUBLINGS * 1e-9]])


def test_one_component_is_solved_in_one_step() -> None:
    updated, _ = ProjectedGradient().update(
        np.ones((2, 1)), NormalEquations(np.array([[6.0], [-1.0]]), np.array([[2.0]])), 0
    )
    np.testing.assert_allclose(updated, [[3.0], [0.0]])


def test_without_curvature_nothing_moves() -> None:
    factor = np.ones((3, 2))
    updated, _ = ProjectedGradient().update(factor, NormalEquations(np.zeros((3, 2)), np.zeros((2, 2))), 0)
    assert updated is not factor
    np.testing.assert_array_equal(updated, factor)
