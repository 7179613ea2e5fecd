from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnmf_core.rules.learned_momentum import KIND, schedule_of
from lnmf_core.rules.sweep_plan import SweepPlan
from lnmf_core.training.momentum import (
    BUDGETS,
    MISSING,
    MomentumSpec,
    Problem,
    SeparableSearch,
    cost,
    mean_log_cost,
    random_problem,
    run,
    train_momentum,
    weights_of,
)
from lnmf_core.weights.store import load, save

SMALL = MomentumSpec(
    shapes=((12, 10, 2),), problems=12, batch=12, generations=12, population=8, sweeps=2, rows=4, cap=4.0
)
STILL = SweepPlan(2, np.zeros((1, 3)))


def test_training_lowers_the_loss_and_equal_specs_give_equal_schedules() -> None:
    reported: list[int] = []
    trained = train_momentum(SMALL, lambda generation, _: reported.append(generation))
    assert reported == list(range(12))
    assert trained.losses[-1] < trained.losses[0]
    np.testing.assert_array_equal(trained.plan.momentum, train_momentum(SMALL).plan.momentum)
    assert (trained.plan.momentum <= SMALL.cap).all()


def test_what_was_trained_can_be_saved_and_run(tmp_path: Path) -> None:
    trained = train_momentum(replace(SMALL, generations=1))
    save("mine", weights_of(SMALL, trained, "unknown", {"problems": 3}), tmp_path)
    plan = schedule_of(load("mine", KIND, tmp_path))
    np.testing.assert_array_equal(plan.momentum, trained.plan.momentum)
    assert (plan.sweeps, plan.period) == (2, 2)


def test_the_cost_is_where_the_error_crosses_the_goal() -> None:
    problem = random_problem(SMALL, 0, np.random.default_rng(0))
    needed = cost(STILL, problem)
    errors = run(problem.X, problem.start, STILL, int(np.ceil(needed)))
    assert errors[-1] <= problem.best * 1.001 < errors[-2]
    assert mean_log_cost(STILL, [problem]) == pytest.approx(np.log(needed))


def test_a_goal_that_is_never_reached_costs_more_than_any_other() -> None:
    problem = random_problem(SMALL, 0, np.random.default_rng(0))
    beyond = Problem(problem.X, problem.start, problem.best * 0.5)
    assert cost(STILL, beyond) == np.inf
    assert mean_log_cost(STILL, [beyond]) == pytest.approx(np.log(BUDGETS[-1]) + MISSING)


def test_the_search_finds_the_bottom_of_a_stretched_bowl() -> None:
    stretch = np.array([1.0, 10.0, 100.0])
    search = SeparableSearch(np.full(3, 2.0), 0.5, 12, np.random.default_rng(0))
    for _ in range(150):
        candidates = search.ask()
        search.tell(candidates, (stretch * candidates**2).sum(axis=1))
    np.testing.assert_allclose(search.mean, 0, atol=1e-4)
