from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.rates import Rates, RateSpec


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    per_second=st.floats(0.5, 1000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=150),
)
def test_never_more_than_the_burst_and_what_time_gives(per_second: float, burst: int, pauses: list[float]) -> None:
    clock = Clock()
    rates = Rates(RateSpec(per_second, burst), clock)
    passed: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = rates.wait("x")
        assert wait >= 0
        if not wait:
            passed.append(clock.now)
    for i, begin in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + per_second * (passed[j] - begin) + 1e-6


@given(per_second=st.floats(0.5, 1000), burst=st.integers(1, 50), extra=st.integers(1, 100))
def test_who_waits_as_told_comes_in(per_second: float, burst: int, extra: int) -> None:
    clock = Clock()
    rates = Rates(RateSpec(per_second, burst), clock)
    for _ in range(burst):
        assert rates.wait("x") == 0
    for _ in range(extra):
        wait = rates.wait("x")
        assert 0 < wait <= 1 / per_second + 1e-6
    clock.now += wait + 1e-6
    assert rates.wait("x") == 0


def test_nobody_pays_for_others() -> None:
    rates = Rates(RateSpec(1.0, 2), Clock())
    assert [rates.wait("a") for _ in range(3)] == [0, 0, pytest.approx(1.0)]
    assert rates.wait("b") == 0


def test_few_are_remembered() -> None:
    rates = Rates(RateSpec(1.0, 1, most=2), Clock())
    for who in "abc":
        assert rates.wait(who) == 0
    assert rates.wait("c") > 0
    assert rates.wait("a") == 0


@pytest.mark.parametrize("wrong", [(0.0, 1, 1), (1.0, 0, 1), (1.0, 1, 0)])
def test_a_rate_is_positive(wrong: tuple[float, int, int]) -> None:
    with pytest.raises(ValueError, match="make no sense"):
        RateSpec(*wrong)
