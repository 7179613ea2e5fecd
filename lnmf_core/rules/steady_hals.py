"""HALS with one momentum throughout: nothing to adapt, nothing to train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.rules.sweep_plan import SweepPlan, SweepRule


@dataclass(frozen=True, slots=True)
class SteadyHals(SweepRule):
    """Sweeps that start β beyond the last result, and D handed on 2β beyond it.

    Twice, since D moves for both factors (see `SweepPlan`): handing on both by β, as Ang & Gillis (2019) do,
    carries the pair (1 + β)² − 1 ≈ 2β beyond. Raises ParameterError if `sweeps` is below 1, or unless
    0 ≤ β < ∞.
    """

    sweeps: int = 10
    momentum: float = 0.4
    """β."""

    def __post_init__(self) -> None:
        whole_number("sweeps", self.sweeps, ParameterError)
        if not 0 <= self.momentum < math.inf:
            raise ParameterError(f"momentum is {self.momentum}: it must be finite and not negative")

    @lru_cache(maxsize=64)  # noqa: B019  (a rule is a few numbers)
    def plan(self, _rank: int, /) -> SweepPlan:
        """Return the plan: one row."""
        return SweepPlan(self.sweeps, self.momentum * np.array([[1.0, 1.0, 2.0]]))
