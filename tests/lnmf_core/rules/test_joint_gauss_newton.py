from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmf_core import (
    ExtrapolatedHals,
    JointGaussNewton,
    NormalEquations,
    ParameterError,
    RandomStart,
    Stop,
    factorize,
)
from lnmf_core.kernels.joint import FEW, joint_step
from lnmf_core.rules.base import Point
from lnmf_core.rules.joint_gauss_newton import LARGEST_RANK


def at(X: NDArray[Any], D: NDArray[Any], C: NDArray[Any]) -> Point:
    Ct = np.ascontiguousarray(C.T)
    return Point(D, Ct, NormalEquations(X @ Ct, C @ Ct), NormalEquations(X.T @ D, D.T @ D))


def step_at(here: Point, damping: float) -> tuple[NDArray[Any], NDArray[Any]]:
    D, Ct = np.empty_like(here.D), np.empty_like(here.Ct)
    assert taken(here, damping, D, Ct)
    return D, Ct


def taken(here: Point, damping: float, D: NDArray[Any], Ct: NDArray[Any]) -> bool:
    of_D, of_C = here.D_normal, here.Ct_normal
    assert of_C is not None
    return joint_step(here.D, here.Ct, of_D.cross, of_D.gram, of_C.cross, of_C.gram, damping, D, Ct)


def dense_step(
    X: NDArray[Any], D: NDArray[Any], C: NDArray[Any], damping: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Solve the same normal equations with one large matrix."""
    n, k = D.shape
    m = C.shape[1]
    jacobian = np.hstack([np.kron(np.eye(n), C.T), np.kron(D, np.eye(m))])
    normal, right = jacobian.T @ jacobian, jacobian.T @ (X - D @ C).ravel()
    here = np.concatenate([D.ravel(), C.ravel()])
    free = (here > 0) | (right > 0)
    lifted = (normal + damping * np.diag(normal.diagonal()))[np.ix_(free, free)]
    here[free] += np.linalg.solve(lifted, right[free])
    return np.maximum(here[: n * k].reshape(n, k), 0), np.maximum(here[n * k :].reshape(k, m), 0)


@pytest.mark.parametrize("zeros", [0.0, 0.4])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("rows", "columns"), [(9, 7), (7, 40), (FEW + 3, 8)], ids=["few", "wide", "many"])
def test_the_step_solves_the_large_system(rows: int, columns: int, k: int, zeros: float) -> None:
    rng = np.random.default_rng(k)
    X = rng.random((rows, columns))
    D, C = rng.random((rows, k)), rng.random((k, columns))
    D[1:][rng.random((rows - 1, k)) < zeros] = 0
    C[:, 1:][rng.random((k, columns - 1)) < zeros] = 0
    D_new, Ct_new = step_at(at(X, D, C), 0.3)
    D_true, C_true = dense_step(X, D, C, 0.3)
    np.testing.assert_allclose(D_new, D_true, atol=1e-9)
    np.testing.assert_allclose(Ct_new.T, C_true, atol=1e-9)


def test_an_absent_component_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    D, C = rng.random((9, 3)), rng.random((3, 7))
    C[1] = 0
    D_new, _ = step_at(at(rng.random((9, 7)), D, C), 0.1)
    np.testing.assert_array_equal(D_new[:, 1], D[:, 1])


def test_a_point_that_is_not_finite_has_no_step() -> None:
    here = at(np.ones((9, 7)), np.ones((9, 2)), np.ones((2, 7)))
    wrong = replace(here, D_normal=NormalEquations(np.full((9, 2), np.nan), here.D_normal.gram))
    assert not taken(wrong, 0.1, np.empty((9, 2)), np.empty((7, 2)))


def test_it_needs_far_fewer_iterations_than_sweeps() -> None:
    rng = np.random.default_rng(6)
    X = np.maximum(rng.random((60, 5)) @ rng.random((5, 40)) + 0.01 * rng.standard_normal((60, 40)), 0)
    runs = {
        type(rule): factorize(X, 5, rule=rule, start=RandomStart(2), stop=Stop(300, 1e-6))
        for rule in (ExtrapolatedHals(), JointGaussNewton())
    }
    goal = 1.001 * runs[ExtrapolatedHals].error
    needed = {kind: int(np.argmax(np.array(run.errors) <= goal)) for kind, run in runs.items()}
    assert 0 < needed[JointGaussNewton] < 0.7 * needed[ExtrapolatedHals]


def test_a_rank_too_large_for_the_coupling_is_swept() -> None:
    X = np.random.default_rng(0).random((40, 40))
    solution = factorize(X, LARGEST_RANK + 1, rule=JointGaussNewton(), stop=Stop(8, 0.0))
    assert solution.error < 0.9 * solution.errors[0]


def test_no_sweeps_are_refused() -> None:
    with pytest.raises(ParameterError, match="sweeps is 0"):
        JointGaussNewton(sweeps=0)
