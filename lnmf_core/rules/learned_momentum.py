"""Deep-unfolded extrapolated HALS: the momentum of each iteration is a trained number."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from lnmf_core.errors import WeightsError
from lnmf_core.rules.sweep_plan import SweepPlan, SweepRule
from lnmf_core.weights.store import Weights, load

KIND = "momentum"
"""The kind, and the name, of the shipped weights."""


@cache
def shipped_schedule() -> SweepPlan:
    """Return the schedule that is part of the package; raises WeightsError if its files are damaged."""
    return schedule_of(load(KIND, KIND))


def schedule_of(weights: Weights) -> SweepPlan:
    """Return the plan held by weights of kind `momentum`; raises WeightsError if they hold none.

    Arrays: `momentum`, T × 3, as in `SweepPlan`; `shape`, the numbers of sweeps and of rows repeated.
    """
    sweeps, period = (float(each) for each in weights.array("shape", 2))
    try:
        return SweepPlan(int(sweeps), weights.array("momentum", -1, 3).astype(np.float64), int(period))
    except ValueError as error:
        raise WeightsError(f"momentum: {error}; train the set again") from error


@dataclass(frozen=True, slots=True)
class LearnedMomentum(SweepRule):
    """A schedule of momenta, trained on random problems (algorithm unrolling, Monga, Li & Eldar 2021).

    A trained schedule is bolder than any fixed rule, now nothing, now many times the last step, as Chebyshev's
    semi-iteration is; what goes wrong is taken back by the loop, so that the error never rises.
    """

    schedule: SweepPlan = field(default_factory=shipped_schedule)

    def plan(self, _rank: int, /) -> SweepPlan:
        """Return the schedule, which is one for all sizes."""
        return self.schedule
