from typing import Any

import pytest

from lnmf_core import ParameterError, Stop, StopReason


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([0.5, 0.4], None),
        ([0.5, 0.4, 0.3], None),
        ([0.5, 0.4, 0.3, 0.2], StopReason.BUDGET),
        ([0.5, 0.5], None),
        ([0.5, 0.5, 0.4999], StopReason.TOLERANCE),
        ([0.5, 0.5, 0.5], StopReason.TOLERANCE),
        ([0.5, 0.4, 0.4], None),
        ([0.5, 1e-9], StopReason.EXACT),
        ([0.0], StopReason.EXACT),
        ([0.5, 0.4, 0.4, 0.4], StopReason.TOLERANCE),
    ],
)
def test_reasons(errors: list[float], reason: StopReason | None) -> None:
    assert Stop(max_iterations=3, tolerance=1e-3).reason(errors, 1e-8) is reason


def test_without_tolerance_any_fall_goes_on() -> None:
    stop = Stop(max_iterations=9, tolerance=0.0)
    assert stop.reason([0.5, 0.5, 0.5 - 1e-15], 1e-8) is None
    assert stop.reason([0.5, 0.5, 0.5], 1e-8) is StopReason.TOLERANCE


@pytest.mark.parametrize("count", [0, -1, 1.0, True, None])
def test_an_impossible_budget_is_refused(count: Any) -> None:
    with pytest.raises(ParameterError, match=f"max_iterations is {count}"):
        Stop(max_iterations=count)


@pytest.mark.parametrize("tolerance", [-1e-9, float("nan"), float("inf")])
def test_an_impossible_tolerance_is_refused(tolerance: float) -> None:
    with pytest.raises(ParameterError, match=f"tolerance is {tolerance}"):
        Stop(tolerance=tolerance)
