"""What all rules have in common that sweep from an extrapolated point: a plan, which is data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.kernels.sweeps import extrapolate_into, hals_sweeps

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations


@dataclass(frozen=True, slots=True)
class Pace:
    """How the momentum answers to success and failure (Ang & Gillis 2019, algorithm 2).

    After a success it grows by `grow`, up to a ceiling, which itself grows by `raise_ceiling` up to `most`;
    after a rise of the error the ceiling is where the momentum was, and it is divided by `shrink`. Raises
    ParameterError unless 0 ≤ `start` ≤ `most` and the others are finite and at least 1.
    """

    start: float = 1.0
    shrink: float = 1.0
    grow: float = 1.0
    raise_ceiling: float = 1.0
    most: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.most < math.inf:
            raise ParameterError(f"start is {self.start}: it must lie between 0 and most, which is {self.most}")
        for name in ("shrink", "grow", "raise_ceiling"):
            value = getattr(self, name)
            if not 1 <= value < math.inf:
                raise ParameterError(f"{name} is {value}: it must be finite, and 1 or more")

    def array(self) -> NDArray[np.float64]:
        """Return the five numbers in their order, as the compiled loop takes them."""
        return np.array([self.start, self.shrink, self.grow, self.raise_ceiling, self.most])


@dataclass(frozen=True, slots=True)
class Damping:
    """How joint Gauss–Newton steps are damped (Levenberg 1944, Marquardt 1963).

    The diagonals of the normal equations are raised by the share `start`, times `shrink` after a step that
    lowered the error and times `grow` after one that raised it, within `least` and `most`. Raises
    ParameterError unless 0 < `least` ≤ `start` ≤ `most` < ∞ and 0 < `shrink` ≤ 1 ≤ `grow` < ∞.
    """

    start: float = 0.005
    shrink: float = 0.75
    grow: float = 6.0
    least: float = 1e-6
    most: float = 1e6

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.start <= self.most < math.inf:
            raise ParameterError(f"damping: start is {self.start}: it must lie between least and most, above 0")
        if not 0 < self.shrink <= 1 <= self.grow < math.inf:
            raise ParameterError(f"damping: shrink is {self.shrink} and grow {self.grow}: 1 must lie between them")

    def after(self, damping: float, *, rose: bool) -> float:
        """Return the damping of the next joint step."""
        return min(max(damping * (self.grow if rose else self.shrink), self.least), self.most)

    def array(self) -> NDArray[np.float64]:
        """Return the five numbers in their order, as the compiled loop takes them."""
        return np.array([self.start, self.shrink, self.grow, self.least, self.most])


@dataclass(frozen=True, slots=True, eq=False)
class SweepPlan:
    """HALS sweeps with momentum, as data, so that one compiled loop serves every such rule.

    In iteration t, with (a, c, b) = scale · `momentum[t]`:
    D sweeps from [D + a(D − D_old)]₊ to D', and [D' + b(D' − D)]₊ is handed to C; C sweeps from
    [C + c(C − C_old)]₊. `scale` follows `pace`. After an iteration that raised the error, which the loop takes
    back, the next one has no momentum: it can't raise the error. The last `period` rows are repeated for ever.

    Only D is handed on extrapolated: what C solves for is then the error that the loop measures.

    Raises ParameterError if `sweeps` is below 1, `momentum` is not T × 3, finite and nonnegative, or `period`
    is not between 1 and T.
    """

    sweeps: int
    momentum: NDArray[np.float64] = field(repr=False)
    period: int = 1
    pace: Pace = Pace()
    joint: Damping | None = None
    """If given, a joint Gauss–Newton step takes the place of D's sweeps and of C's start, but for the first
    iteration and those that follow a rise."""
    constants: tuple[NDArray[np.float64], NDArray[np.float64]] = field(init=False, repr=False)
    """The numbers of `pace` and of `joint`, the latter none if there is none, as the compiled loop takes them."""

    def __post_init__(self) -> None:
        whole_number("sweeps", self.sweeps, ParameterError)
        table = np.array(self.momentum, dtype=np.float64, order="C")
        if table.ndim != 2 or table.shape[1] != 3 or not len(table):
            raise ParameterError(f"momentum has shape {table.shape}: it needs at least one row, and three columns")
        if not (table.min() >= 0 and table.max() < np.inf):
            raise ParameterError("momentum has entries that are negative or not finite")
        if not 1 <= self.period <= len(table):
            raise ParameterError(f"period is {self.period}: momentum has {len(table)} rows")
        table.flags.writeable = False
        object.__setattr__(self, "momentum", table)
        joint = np.empty(0) if self.joint is None else self.joint.array()
        object.__setattr__(self, "constants", (self.pace.array(), joint))

    def row(self, step: int) -> NDArray[np.float64]:
        """Return (a, c, b) of iteration `step` ≥ 0, before scaling."""
        length = len(self.momentum)
        at = step if step < length else length - self.period + (step - length) % self.period
        return np.asarray(self.momentum[at])


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What a factor has to remember to have momentum."""

    plan: SweepPlan
    mode: int
    step: int
    handed: Array
    """What the last update returned: if another array comes back, the error had risen."""
    kept: Array
    """The last result of the sweeps, ..."""
    before: Array
    """... and the one before."""
    scale: float
    ceiling: float


class SweepRule(ABC):
    """A rule that is a `SweepPlan`: `solve` runs it in compiled code, and `update` is the same in Python."""

    monotone: ClassVar[bool] = False
    zeros_lock: ClassVar[bool] = False

    @abstractmethod
    def plan(self, rank: int, /) -> SweepPlan:
        """Return the plan for factors of `rank` components."""

    def init(self, factor: Array, mode: int, /) -> Motion:
        """Return a state at rest; see `UpdateRule.init`."""
        plan = self.plan(factor.shape[1])
        return Motion(plan, mode, 0, factor, factor, factor, plan.pace.start, plan.pace.most)

    def update(self, factor: Array, normal: NormalEquations, state: Motion, /) -> tuple[Array, Motion]:
        """Return the factor after its sweeps, and its motion; see `UpdateRule.update`."""
        plan, pace = state.plan, state.plan.pace
        kept, before, scale, ceiling = state.kept, state.before, state.scale, state.ceiling
        rose = factor is not state.handed
        if rose:
            kept = before = factor
            scale, ceiling = scale / pace.shrink, scale
        elif state.step:
            scale, ceiling = min(ceiling, scale * pace.grow), min(pace.most, ceiling * pace.raise_ceiling)
        first, second, third = (0.0 if rose else scale) * plan.row(state.step)
        least = float(np.finfo(factor.dtype).tiny)
        origin = _extrapolated(kept, before, second if state.mode else first)
        swept = hals_sweeps(origin, normal.cross, normal.gram, plan.sweeps, least)
        handed = swept if state.mode else _extrapolated(swept, kept, third)
        return handed, Motion(plan, state.mode, state.step + 1, handed, swept, kept, scale, ceiling)


def _extrapolated(new: Array, old: Array, momentum: float) -> Array:
    out = np.empty_like(new, order="C")
    extrapolate_into(np.ascontiguousarray(new), np.ascontiguousarray(old), momentum, out)
    return out
