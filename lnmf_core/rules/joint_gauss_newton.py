"""Gauss–Newton in both factors at once: few iterations, each dear."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.kernels import (
    extrapolate_into,
    free_sets,
    group_squares,
    group_times,
    hals_sweeps,
    masked_inverses,
)

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations
    from lnmf_core.rules.base import Point

LARGEST_RANK = 24
"""The coupling is a system of rank² equations: beyond this rank the rule only sweeps, with momentum."""
LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e6


@dataclass(frozen=True, slots=True, eq=False)
class JointState:
    """What the rule remembers between two iterations."""

    step: int
    damping: float
    joint: bool
    """Whether the last iteration was a joint step: only those say how to damp the next."""
    handed: Array
    """D as it was handed on, to tell whether the last iteration was taken back."""
    D_before: Array
    Ct_before: Array


@dataclass(frozen=True, slots=True)
class JointGaussNewton:
    """Damped Gauss–Newton steps on ½‖X − (D + x)(C + y)‖² with the term x·y left out, projected, then sweeps.

    Alternating rules are slow where D and C have to move together; here they do. Each row of x and column of
    y has its own free set (positive, or zero with a gradient that says grow), and the coupling of all of them
    has rank k²: eliminating the rows leaves one k² × k² system (see `_coupled`). The first iterations are
    sweeps with momentum, and so is each one that follows a rise of the error, which also raises the damping.

    Raises ParameterError if `sweeps` is below 1, `warm_up` is below 1, or `damping` is not positive.
    """

    sweeps: int = 8
    warm_up: int = 4
    """Iterations before the first joint step: far from the solution it is no better than a sweep."""
    momentum: float = 0.5
    damping: float = 0.03
    """Share by which the diagonals of the normal equations are raised at first, ..."""
    shrink: float = 0.7
    """... times this after a success, ..."""
    grow: float = 3.0
    """... and times this after a rise."""

    monotone: ClassVar[bool] = False
    zeros_lock: ClassVar[bool] = False

    def __post_init__(self) -> None:
        whole_number("sweeps", self.sweeps, ParameterError)
        whole_number("warm_up", self.warm_up, ParameterError)
        if not 0 < self.damping < math.inf:
            raise ParameterError(f"damping is {self.damping}: it must be positive and finite")

    def begin(self, D: Array, Ct: Array, /) -> JointState:
        """Return a state at rest; see `JointRule.begin`."""
        return JointState(0, self.damping, joint=False, handed=D, D_before=D, Ct_before=Ct)

    def move(self, here: Point, state: JointState, /) -> tuple[Array, Array, JointState]:
        """Return D, the point from which C sweeps, and the state; see `JointRule.move`."""
        rose = here.D is not state.handed
        damping = state.damping
        if state.joint:
            damping = min(max(damping * (self.grow if rose else self.shrink), LEAST_DAMPING), MOST_DAMPING)
        moved = None
        if (
            state.step >= self.warm_up
            and not rose
            and here.Ct_normal is not None
            and here.D.shape[1] <= LARGEST_RANK
        ):
            moved = joint_step(here, here.Ct_normal, damping)
        D, Ct = self._swept(here, state, 0.0 if rose else self.momentum) if moved is None else moved
        return D, Ct, JointState(state.step + 1, damping, moved is not None, D, here.D, here.Ct)

    def settle(self, Ct: Array, of_C: NormalEquations, state: JointState, /) -> tuple[Array, JointState]:
        """Return C after its sweeps; see `JointRule.settle`."""
        return _sweeps(Ct, of_C, self.sweeps), state

    def _swept(self, here: Point, state: JointState, momentum: float) -> tuple[Array, Array]:
        rested = here.D is not state.handed
        D_before, Ct_before = (here.D, here.Ct) if rested else (state.D_before, state.Ct_before)
        swept = _sweeps(_extrapolated(here.D, D_before, momentum), here.D_normal, self.sweeps)
        return _extrapolated(swept, here.D, momentum), _extrapolated(here.Ct, Ct_before, momentum)


def joint_step(here: Point, of_C: NormalEquations, damping: float) -> tuple[Array, Array] | None:
    """Return [D + x]₊ and [Cᵀ + yᵀ]₊ for the Gauss–Newton step (x, y), or None where there is none.

    Computed in float64, returned in the dtype of D.
    """
    left = _Side.of(here.D, here.D_normal, damping)
    right = _Side.of(here.Ct, of_C, damping)
    coupling = _coupled(left, right)
    if coupling is None:
        return None
    A, B = coupling
    x, y = left.step(left.factor @ A), right.step(right.factor @ B.T)
    D, Ct = np.maximum(left.factor + x, 0), np.maximum(right.factor + y, 0)
    if not np.isfinite(D.sum() + Ct.sum()):
        return None
    return D.astype(here.D.dtype), Ct.astype(here.D.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One factor's rows, all in float64. Rows with the same free set form a group, and share an inverse."""

    factor: Array
    descent: Array
    """Minus the gradient, cross − F·gram."""
    group: NDArray[np.int64]
    """The group of each row."""
    inverses: Array
    """groups × k × k, P⁻¹: the damped gram, inverted on the group's free set."""

    @classmethod
    def of(cls, factor: Array, normal: NormalEquations, damping: float) -> _Side:
        wide, gram = factor.astype(np.float64, copy=False), normal.gram.astype(np.float64)
        descent = normal.cross - wide @ gram
        present = gram.diagonal() > np.finfo(factor.dtype).tiny
        sets, group = np.empty(len(wide), np.int64), np.empty(len(wide), np.int64)
        room = np.empty(2 << len(wide).bit_length(), np.int64)
        sets = sets[: free_sets(wide, descent, present, sets, group, room)]
        inverses = np.empty((len(sets), *gram.shape))
        masked_inverses(sets, gram + np.diag(damping * gram.diagonal()), inverses)
        return cls(wide, descent, group, inverses)

    def step(self, coupled: Array | None = None) -> Array:
        """Return P_i⁻¹ (descent_i − coupled_i) for each row i; without `coupled` the other factor stands still."""
        out = np.empty_like(self.descent)
        wanted = self.descent if coupled is None else self.descent - coupled
        group_times(self.inverses, self.group, wanted, out)
        return out

    def coupling(self) -> Array:
        """Return Σ_i F_iF_iᵀ ⊗ P_i⁻¹ as an array (a, b, c, d) = Σ_i F_ia F_ic P_i⁻¹_bd."""
        groups, k, _ = self.inverses.shape
        squares = np.empty_like(self.inverses)
        group_squares(self.factor, self.group, squares)
        summed = squares.reshape(groups, -1).T @ self.inverses.reshape(groups, -1)
        return np.asarray(summed.reshape(k, k, k, k).transpose(0, 2, 1, 3))


def _coupled(left: _Side, right: _Side) -> tuple[Array, Array] | None:
    """Return A = yCᵀ and B = Dᵀx (k × k) of the Gauss–Newton step, or None if it is not defined.

    Its normal equations are, with g = cross − F·gram and P_i, Q_j the grams on the rows' free sets,
    x_i = P_i⁻¹(g_i − Aᵀ D_i) and y_j = Q_j⁻¹(h_j − B C_j). Summed against D and C they become
    B = B⁰ − M_D A and A = A⁰ − M_C B, where M_D = Σ D_iD_iᵀ ⊗ P_i⁻¹ and M_C = Σ Q_j⁻¹ ⊗ C_jC_jᵀ:
    k² equations for A.
    """
    k = left.factor.shape[1]
    M_D = left.coupling().reshape(k * k, k * k)
    M_C = right.coupling().transpose(1, 0, 3, 2).reshape(k * k, k * k)
    A_alone = (right.step().T @ right.factor).reshape(-1)
    B_alone = (left.factor.T @ left.step()).reshape(-1)
    try:
        A = np.linalg.solve(np.eye(k * k) - M_C @ M_D, A_alone - M_C @ B_alone)
    except np.linalg.LinAlgError:
        return None
    return A.reshape(k, k), (B_alone - M_D @ A).reshape(k, k)


def _sweeps(factor: Array, normal: NormalEquations, sweeps: int) -> Array:
    return hals_sweeps(factor, normal.cross, normal.gram, sweeps, float(np.finfo(factor.dtype).tiny))


def _extrapolated(new: Array, old: Array, momentum: float) -> Array:
    out = np.empty_like(new, order="C")
    extrapolate_into(np.ascontiguousarray(new), np.ascontiguousarray(old), momentum, out)
    return out
