import numpy as np

from lnmf_core import NormalEquations, ProjectedGradient


def test_an_update_is_a_step_of_one_over_the_largest_eigenvalue() -> None:
    rng = np.random.default_rng(0)
    X, D, C = rng.random((6, 5)), rng.random((6, 2)), rng.random((2, 5))
    updated, state = ProjectedGradient().update(D, NormalEquations(X @ C.T, C @ C.T), None)
    step = 1 / np.linalg.norm(C, 2) ** 2
    np.testing.assert_allclose(updated, np.maximum(D - step * (D @ C - X) @ C.T, 0))
    assert state is None


def test_one_component_is_solved_in_one_step() -> None:
    updated, _ = ProjectedGradient().update(
        np.ones((2, 1)), NormalEquations(np.array([[6.0], [-1.0]]), np.array([[2.0]])), None
    )
    np.testing.assert_allclose(updated, [[3.0], [0.0]])


def test_without_curvature_nothing_moves() -> None:
    factor = np.ones((3, 2))
    updated, _ = ProjectedGradient().update(factor, NormalEquations(np.zeros((3, 2)), np.zeros((2, 2))), None)
    assert updated is not factor
    np.testing.assert_array_equal(updated, factor)
