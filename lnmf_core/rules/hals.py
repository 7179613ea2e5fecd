"""Hierarchical alternating least squares: one component after the other, each solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.rules.sweep_plan import SweepPlan, SweepRule


@dataclass(frozen=True, slots=True)
class Hals(SweepRule):
    """Gauss–Seidel sweeps over the components (Cichocki & Phan 2009).

    A sweep costs less than the products with X, so that it pays to make several while cross and gram are at
    hand (accelerated HALS, Gillis & Glineur 2012; their second test, which ends the sweeps of a factor early,
    costs as much as it saves where 64 rows are swept side by side). Raises ParameterError if `sweeps` is
    below 1.
    """

    sweeps: int = 3

    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number("sweeps", self.sweeps, ParameterError)

    @lru_cache(maxsize=64)  # noqa: B019  (a rule is a few numbers)
    def plan(self, _rank: int, /) -> SweepPlan:
        """Return a plan without momentum."""
        return SweepPlan(self.sweeps, np.zeros((1, 3)))
