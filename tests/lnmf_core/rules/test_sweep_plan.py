from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmf_core import Hals, NormalEquations, ParameterError
from lnmf_core.rules.sweep_plan import Damping, Pace, SweepPlan, SweepRule


class Planned(SweepRule):
    """Runs the plan that it is given."""

    def __init__(self, plan: SweepPlan) -> None:
        self._plan = plan

    def plan(self, _rank: int, /) -> SweepPlan:
        return self._plan


def normal() -> NormalEquations:
    return NormalEquations(np.array([[6.0], [2.0]]), np.array([[2.0]]))


def first_two(plan: SweepPlan, mode: int, taken_back: bool = False) -> tuple[NDArray[Any], NDArray[Any]]:
    rule, start = Planned(plan), np.array([[1.0], [4.0]])
    first, state = rule.update(start, normal(), rule.init(start, mode))
    return first, rule.update(start if taken_back else first, normal(), state)[0]


def test_the_last_rows_repeat_for_ever() -> None:
    plan = SweepPlan(1, np.arange(12.0).reshape(4, 3), period=2)
    assert [int(plan.row(step)[0]) // 3 for step in range(8)] == [0, 1, 2, 3, 2, 3, 2, 3]


def test_d_is_handed_on_beyond_the_result_of_its_sweeps_and_never_below_zero() -> None:
    # The sweeps solve one component exactly: from (1, 4) to (3, 1), so the motion is (2, −3).
    first, second = first_two(SweepPlan(1, np.array([[0.0, 0.0, 0.5]])), mode=0)
    assert first.tolist() == [[4.0], [0.0]]
    assert second.tolist() == [[3.0], [1.0]]


def test_c_is_handed_on_as_it_is() -> None:
    assert first_two(SweepPlan(1, np.array([[0.0, 0.9, 0.9]])), mode=1)[0].tolist() == [[3.0], [1.0]]


def test_sweeps_start_beyond_the_last_result() -> None:
    rng = np.random.default_rng(0)
    factor, partner = rng.random((9, 3)), rng.random((7, 3))
    equations = NormalEquations(rng.random((9, 7)) @ partner, partner.T @ partner)
    rule = Planned(SweepPlan(1, np.array([[0.4, 0.4, 0.0]])))
    first, state = rule.update(factor, equations, rule.init(factor, 0))
    beyond = np.maximum(first + 0.4 * (first - factor), 0)
    expected = Hals(sweeps=1).update(beyond, equations, Hals(sweeps=1).init(beyond, 0))[0]
    np.testing.assert_allclose(rule.update(first, equations, state)[0], expected, rtol=1e-12)


def test_after_a_rise_there_is_one_update_without_momentum() -> None:
    plan = SweepPlan(1, np.array([[0.5, 0.5, 0.5]]))
    assert first_two(plan, mode=0, taken_back=True)[1].tolist() == [[3.0], [1.0]]


def test_the_pace_grows_to_its_ceiling_and_falls_after_a_rise() -> None:
    rule = Planned(SweepPlan(1, np.ones((1, 3)), pace=Pace(0.5, 2.0, 1.5, 1.1, 0.7)))
    factor = np.array([[1.0], [4.0]])
    state = rule.init(factor, 0)
    seen = []
    for rises in (False, False, False, True, False):
        handed, state = rule.update(factor, normal(), state)
        seen.append((round(state.scale, 6), round(state.ceiling, 6)))
        factor = handed.copy() if rises else handed
    assert seen == [(0.5, 0.7), (0.7, 0.7), (0.7, 0.7), (0.7, 0.7), (0.35, 0.7)]


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (np.zeros((0, 3)), "momentum has shape"),
        (np.zeros((2, 2)), "momentum has shape"),
        (np.full((1, 3), np.nan), "negative or not finite"),
        (np.full((1, 3), -0.1), "negative or not finite"),
    ],
)
def test_an_impossible_table_is_refused(table: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        SweepPlan(1, table)


@pytest.mark.parametrize("period", [0, 3])
def test_a_period_longer_than_the_table_is_refused(period: int) -> None:
    with pytest.raises(ParameterError, match=f"period is {period}"):
        SweepPlan(1, np.zeros((2, 3)), period=period)


@pytest.mark.parametrize(
    "wrong", [{"start": -1.0}, {"start": 2.0}, {"most": np.inf}, {"shrink": 0.9}, {"grow": np.nan}]
)
def test_an_impossible_pace_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong)).replace("most", "start")):
        Pace(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"start": 0.0}, {"start": np.nan}, {"most": np.inf}, {"shrink": 1.1}, {"shrink": 0.0}, {"grow": 0.9}]
)
def test_an_impossible_damping_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="damping"):
        Damping(**wrong)


def test_the_damping_stays_within_its_bounds() -> None:
    damping = Damping(1.0, 0.5, 4.0, 0.5, 2.0)
    assert [damping.after(1.0, rose=rose) for rose in (False, True)] == [0.5, 2.0]
    assert damping.after(0.6, rose=False) == 0.5
