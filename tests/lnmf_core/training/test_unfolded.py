from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lnmf_core import ParameterError  # noqa: E402
from lnmf_core.rules.sweep_plan import SweepPlan  # noqa: E402
from lnmf_core.training.costs import PoolSpec, drawn, run  # noqa: E402
from lnmf_core.training.momentum import as_pools  # noqa: E402
from lnmf_core.training.unfolded import Unfolding, row_at, unfolded, unfolded_loss  # noqa: E402

PROBLEMS = drawn(PoolSpec(((10, 9, 3),), (0.01, 0.1), 8), np.random.default_rng(4))
[POOL] = as_pools(PROBLEMS)


@pytest.mark.parametrize("sweeps", [1, 4])
def test_the_unfolded_loop_is_the_compiled_one_rises_included(sweeps: int) -> None:
    momenta = np.random.default_rng(1).uniform(0, 4, (6, 3))
    found = unfolded(POOL, torch.from_numpy(momenta), Unfolding(sweeps, 3), 20).numpy()
    stood_still = 0
    for at, problem in enumerate(PROBLEMS):
        errors = run(problem.X, problem.start, SweepPlan(sweeps, momenta, 3), 20)
        np.testing.assert_allclose(found[:, at], errors[1:], rtol=1e-8)
        stood_still += int((np.diff(errors) == 0).sum())
    assert stood_still > 8


def test_the_derivatives_are_those_of_finite_differences_through_steps_taken_back() -> None:
    unfolding = Unfolding(2, 2)
    numbers = torch.from_numpy(np.random.default_rng(2).normal(-1.5, 1.0, (3, 3))).requires_grad_()
    errors = unfolded(POOL, unfolding.cap * numbers.sigmoid(), unfolding, 6)
    assert (errors.diff(dim=0) == 0).any()
    assert torch.autograd.gradcheck(lambda each: unfolded_loss(POOL, each, unfolding, 6), numbers, eps=1e-7)


def test_rows_are_those_of_the_plan() -> None:
    plan = SweepPlan(1, np.arange(15.0).reshape(5, 3), 2)
    for step in range(12):
        np.testing.assert_array_equal(plan.row(step), plan.momentum[row_at(step, 5, 2)])


def test_a_perfect_fit_has_the_least_loss_and_a_finite_derivative() -> None:
    X = torch.full((1, 4, 4), 2.0, dtype=torch.float64)
    ones = torch.ones((1, 4, 1), dtype=torch.float64)
    pool = type(POOL)(X, ones, ones, torch.tensor([0.1], dtype=torch.float64))
    numbers = torch.zeros((1, 3), dtype=torch.float64, requires_grad=True)
    loss = unfolded_loss(pool, numbers, Unfolding(1, 1), 2)
    assert loss.item() == pytest.approx(-4)
    torch.autograd.backward(loss)
    assert numbers.grad is not None
    assert torch.isfinite(numbers.grad).all()


def test_the_run_grows_to_its_reach_over_the_first_half() -> None:
    unfolding = Unfolding(from_length=3, reach=36)
    lengths = [unfolding.length_at(step, 340) for step in range(340)]
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[170], lengths[-1]) == (3, 36, 36)
    assert set(lengths) == set(range(3, 37))


@pytest.mark.parametrize("options", [{"sweeps": 0}, {"period": 0}, {"reach": 2}, {"cap": 0.0}])
def test_impossible_unfoldings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Unfolding(**options)
