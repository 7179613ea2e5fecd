"""Gauss–Newton in both factors at once: few iterations, each dear."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.kernels.joint import joint_step
from lnmf_core.kernels.sweeps import hals_sweeps
from lnmf_core.rules.sweep_plan import Damping, SweepPlan

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations
    from lnmf_core.rules.base import Point

LARGEST_RANK = 24
"""The coupling is a system of rank² equations: beyond this rank the rule only sweeps."""


@dataclass(frozen=True, slots=True, eq=False)
class JointState:
    """What the rule remembers between two iterations."""

    damping: float
    jumped: bool
    """Whether the last iteration was a joint step: only those say how to damp the next."""
    handed: Array
    """D as it was handed on, to tell whether the last iteration was taken back."""


@dataclass(frozen=True, slots=True)
class JointGaussNewton:
    """Damped Gauss–Newton steps on ½‖X − (D + x)(C + y)‖² with the term x·y left out, projected; then C sweeps.

    Alternating rules are slow where D and C have to move together; here they do. Each row of x and column of
    y has its own free set (positive, or zero with a gradient that says grow), and the coupling of all of them
    has rank k²: eliminating the rows leaves one k² × k² system (see `kernels.joint_step`). The first iteration
    is one of sweeps, and so is each one that follows a rise of the error, which also raises the damping. The
    default damping came out first in a random search on problems of 45 × 70 × 6 to 400 × 300 × 10
    (`python -m lnmf_core.training damping`).

    Raises ParameterError if `sweeps` is below 1.
    """

    sweeps: int = 6
    damping: Damping = field(default=Damping())

    monotone: ClassVar[bool] = False
    zeros_lock: ClassVar[bool] = False

    def __post_init__(self) -> None:
        whole_number("sweeps", self.sweeps, ParameterError)

    def plan(self, rank: int, /) -> SweepPlan:
        """Return the plan of the same iteration."""
        return _plan(self.sweeps, self.damping if rank <= LARGEST_RANK else None)

    def begin(self, D: Array, _Ct: Array, /) -> JointState:
        """Return a state at rest; see `JointRule.begin`."""
        return JointState(self.damping.start, jumped=False, handed=D)

    def move(self, here: Point, state: JointState, /) -> tuple[Array, Array, JointState]:
        """Return D, the point from which C sweeps, and the state; see `JointRule.move`."""
        rose = here.D is not state.handed
        damping = self.damping.after(state.damping, rose=rose) if state.jumped else state.damping
        D, Ct = np.empty_like(here.D), np.empty_like(here.Ct)
        jumped = False
        if here.Ct_normal is not None and not rose and here.D.shape[1] <= LARGEST_RANK:
            of_D, of_C = here.D_normal, here.Ct_normal
            jumped = joint_step(here.D, here.Ct, of_D.cross, of_D.gram, of_C.cross, of_C.gram, damping, D, Ct)
        if not jumped:
            D, Ct = self._swept(here.D, here.D_normal), here.Ct
        return D, Ct, JointState(damping, jumped, D)

    def settle(self, Ct: Array, of_C: NormalEquations, state: JointState, /) -> tuple[Array, JointState]:
        """Return C after its sweeps; see `JointRule.settle`."""
        return self._swept(Ct, of_C), state

    def _swept(self, factor: Array, normal: NormalEquations) -> Array:
        return hals_sweeps(factor, normal.cross, normal.gram, self.sweeps, float(np.finfo(factor.dtype).tiny))


@lru_cache(maxsize=64)
def _plan(sweeps: int, damping: Damping | None) -> SweepPlan:
    return SweepPlan(sweeps, np.zeros((1, 3)), joint=damping)
