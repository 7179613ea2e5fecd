from typing import Any

import numpy as np
import pytest

from lnmf_core import FactorError, Factors, Solution, StopReason


def factors() -> Factors:
    return Factors(np.ones((4, 2)), np.ones((2, 3)))


def test_factors_know_their_rank() -> None:
    assert factors().rank == 2


def test_factors_are_read_only_but_the_arrays_that_were_passed_are_not() -> None:
    D, C = np.ones((4, 2)), np.ones((2, 3))
    held = Factors(D, C)
    assert np.shares_memory(held.D, D)
    assert not held.D.flags.writeable
    assert not held.C.flags.writeable
    D[0, 0] = C[0, 0] = 5.0


@pytest.mark.parametrize(
    ("D", "C", "message"),
    [
        (np.full((2, 1), -1.0), np.ones((1, 3)), r"D\[0, 0\] is -1.0: factors must be finite and nonneg"),
        (np.ones((2, 1)), np.array([[1.0, np.nan]]), r"C\[0, 1\] is nan"),
        (np.array([[1.0], [np.inf]]), np.ones((1, 3)), r"D\[1, 0\] is inf"),
        (np.ones(2), np.ones((1, 3)), "D has 1 dimensions"),
        (np.ones((2, 0)), np.ones((0, 3)), r"D has shape \(2, 0\)"),
        (np.ones((2, 2)), np.ones((1, 3)), r"D has shape \(2, 2\) and C has shape \(1, 3\)"),
        (np.ones((2, 1), int), np.ones((1, 3)), "D is int64: convert it to float64 or float32"),
        (np.ones((2, 1), np.float32), np.ones((1, 3)), "D is float32 and C is float64"),
        ([[1.0]], np.ones((1, 3)), "D is a list: pass a numpy array"),
    ],
)
def test_impossible_factors_are_refused(D: Any, C: Any, message: str) -> None:
    with pytest.raises(FactorError, match=message):
        Factors(D, C)


def test_a_solution_tells_its_error_and_its_iterations() -> None:
    solution = Solution(factors(), (0.5, 0.25, 0.125), StopReason.BUDGET, 0.5)
    assert solution.error == 0.125
    assert solution.iterations == 2


@pytest.mark.parametrize(
    ("errors", "seconds", "message"),
    [
        ((), 0.0, "errors: is empty"),
        ((0.5, float("nan")), 0.0, r"errors\[1\]: nan is no relative error"),
        ((-0.5,), 0.0, r"errors\[0\]: -0.5"),
        ((float("inf"),), 0.0, r"errors\[0\]: inf"),
        ((0.5,), -1.0, "seconds: -1.0 is no duration"),
        ((0.5,), float("nan"), "seconds: nan is no duration"),
    ],
)
def test_impossible_solutions_are_refused(errors: tuple[float, ...], seconds: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Solution(factors(), errors, StopReason.BUDGET, seconds)


def test_stop_reasons_are_words() -> None:
    assert [str(reason) for reason in StopReason] == ["tolerance", "exact", "budget", "non_finite"]
