"""When an iteration ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.factors import StopReason

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY = 2
"""Iterations over which the fall of the error is judged: one that had to be taken back is no end yet."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Ends when the error falls too little, can't be told from rounding, or the iterations are used up.

    Raises ParameterError if `max_iterations` is below 1 or `tolerance` is negative or not finite.
    """

    max_iterations: int = 200
    tolerance: float = 1e-4
    """Least fall of the relative error over two iterations, as a share of it."""

    def __post_init__(self) -> None:
        whole_number("max_iterations", self.max_iterations, ParameterError)
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ParameterError(f"tolerance is {self.tolerance}: it must be finite and not negative")

    def reason(self, errors: Sequence[float], rounding: float) -> StopReason | None:
        """Return why to stop after these errors (the start's first, never rising), or None to go on.

        `rounding` is the relative error below which nothing but rounding is left.
        """
        if errors[-1] <= rounding:
            return StopReason.EXACT
        if len(errors) > MEMORY and errors[-1 - MEMORY] - errors[-1] <= self.tolerance * errors[-1]:
            return StopReason.TOLERANCE
        if len(errors) > self.max_iterations:
            return StopReason.BUDGET
        return None
