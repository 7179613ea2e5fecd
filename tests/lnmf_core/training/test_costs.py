from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lnmf_core import ParameterError
from lnmf_core.rules.sweep_plan import SweepPlan
from lnmf_core.training.costs import BUDGETS, MISSING, PoolSpec, Problem, cost, drawn, mean_log_cost, run

SMALL = PoolSpec(shapes=((12, 10, 2), (9, 11, 3)), noises=(0.01, 0.1), problems=4)
STILL = SweepPlan(2, np.zeros((1, 3)))


def test_a_pool_takes_shapes_and_noises_in_turn() -> None:
    pool = drawn(SMALL, np.random.default_rng(0))
    assert [(*each.X.shape, each.start.rank) for each in pool] == 2 * list(SMALL.shapes)
    assert max(each.best for each in pool[:2]) < min(each.best for each in pool[2:])


def test_no_run_ends_below_the_best_known_error_by_much() -> None:
    for problem in drawn(SMALL, np.random.default_rng(1)):
        assert run(problem.X, problem.start, STILL, 300)[-1] > 0.99 * problem.best


def test_the_cost_is_where_the_error_crosses_the_goal() -> None:
    problem = drawn(SMALL, np.random.default_rng(0))[0]
    needed = cost(STILL, problem)
    errors = run(problem.X, problem.start, STILL, int(np.ceil(needed)))
    assert errors[-1] <= problem.best * 1.001 < errors[-2]
    assert mean_log_cost(STILL, [problem]) == pytest.approx(np.log(needed))


def test_a_goal_that_is_never_reached_costs_more_than_any_other() -> None:
    problem = drawn(SMALL, np.random.default_rng(0))[0]
    beyond = Problem(problem.X, problem.start, problem.best * 0.5)
    assert cost(STILL, beyond) == np.inf
    assert mean_log_cost(STILL, [beyond]) == pytest.approx(np.log(BUDGETS[-1]) + MISSING)


@pytest.mark.parametrize("empty", [{"shapes": ()}, {"noises": ()}, {"problems": 0}])
def test_an_empty_pool_is_refused(empty: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        PoolSpec(**empty)
