from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lnmf_core import ParameterError
from lnmf_core.rules.sweep_plan import SweepPlan
from lnmf_core.training.costs import Floats, PoolSpec, drawn, mean_log_cost
from lnmf_core.training.evolution import Refinement, SeparableSearch, refined

POOL = drawn(PoolSpec(shapes=((12, 10, 2),), noises=(0.01,), problems=12), np.random.default_rng(0))


def plan_of(numbers: Floats) -> SweepPlan:
    return SweepPlan(2, 4 / (1 + np.exp(-numbers)), 2)


def test_the_refined_schedule_costs_less_and_equal_seeds_give_equal_schedules() -> None:
    first = np.full((4, 3), -3.0)
    heard: list[int] = []
    ends = [
        refined(
            first, plan_of, POOL, Refinement(10, 8, 12), np.random.default_rng(1), lambda at, _: heard.append(at)
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(ends[0], ends[1])
    assert heard == 2 * list(range(10))
    assert mean_log_cost(plan_of(ends[0]), POOL) < mean_log_cost(plan_of(first), POOL)


def test_no_generations_leave_the_schedule_as_it_was() -> None:
    first = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(refined(first, plan_of, POOL, Refinement(0), np.random.default_rng(1)), first)


def test_the_search_finds_the_bottom_of_a_stretched_bowl() -> None:
    stretch = np.array([1.0, 10.0, 100.0])
    search = SeparableSearch(np.full(3, 2.0), 0.5, 12, np.random.default_rng(0))
    for _ in range(150):
        candidates = search.ask()
        search.tell(candidates, (stretch * candidates**2).sum(axis=1))
    np.testing.assert_allclose(search.mean, 0, atol=1e-4)


@pytest.mark.parametrize("options", [{"generations": -1}, {"population": 3}, {"batch": 0}, {"spread": 0.0}])
def test_impossible_refinements_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Refinement(**options)
