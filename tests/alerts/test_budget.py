from __future__ import annotations

import pytest

from service.alerts.budget import GroupBudget
from service.alerts.incidents import DAY, HOUR, Channel


def test_the_budget_is_shared_out() -> None:
    budget = GroupBudget(2.0)
    total = sum(budget.of(channel, length) for channel in Channel for length in (HOUR // 6, HOUR, DAY))
    assert total == pytest.approx(2.0)
    assert budget.of(Channel.PATTERN, DAY) == 0.38


@pytest.mark.parametrize(
    ("part", "value"), [("surge", (-0.1, 0.0, 0.0)), ("per_day", -1.0), ("per_day", float("nan"))]
)
def test_no_part_is_negative(part: str, value: object) -> None:
    with pytest.raises(ValueError, match=part):
        GroupBudget(**{part: value})  # type: ignore[arg-type]
