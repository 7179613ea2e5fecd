"""HALS with momentum that grows while it helps: the best of the rules that nobody has to train."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.rules.sweep_plan import Pace, SweepPlan, SweepRule

SWEEPS = ((4, 6), (5, 10), (10, 16))
"""(largest rank, sweeps) where nothing else is asked for: the more components, the slower sweeps converge."""
MOST_SWEEPS = 24
"""Sweeps for larger ranks."""


@dataclass(frozen=True, slots=True)
class ExtrapolatedHals(SweepRule):
    """Extrapolation after Ang & Gillis (2019), with restart from the best pair when the error rises.

    As in their algorithm the same momentum β moves the start of both factors' sweeps and what D hands on to C;
    C is handed on as it is (see `SweepPlan`). With `adapt` left out β is theirs: 0.5 at first, times 1.05
    after a success, divided by 1.5 after a rise, below a ceiling that is 1 at most and grows by 1.01. Raises
    ParameterError if `sweeps` is below 1.
    """

    sweeps: int | None = None
    """Sweeps of each factor in an iteration; None chooses by the number of components."""
    adapt: Pace = field(default=Pace(start=0.5, shrink=1.5, grow=1.05, raise_ceiling=1.01, most=1.0))

    def __post_init__(self) -> None:
        if self.sweeps is not None:
            whole_number("sweeps", self.sweeps, ParameterError)

    @lru_cache(maxsize=64)  # noqa: B019  (a rule is a few numbers)
    def plan(self, rank: int, /) -> SweepPlan:
        """Return the plan: equal momentum everywhere, led by success and failure."""
        fitting = next((sweeps for most, sweeps in SWEEPS if rank <= most), MOST_SWEEPS)
        return SweepPlan(fitting if self.sweeps is None else self.sweeps, np.ones((1, 3)), pace=self.adapt)
