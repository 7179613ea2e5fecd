"""Projected gradient descent with a line search along the projection arc."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnmf_core.normal import inner

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations

DOUBLINGS = 20
"""The longest step is this often the double of the safe one."""


@dataclass(frozen=True, slots=True)
class ProjectedGradient:
    """F ← [F − η(F·gram − cross)]₊, η found by a search along the projection arc (Lin 2007, section 4).

    η is 2ʲ/λ, λ the largest eigenvalue of gram, the Lipschitz constant of the gradient. From the last j on, the
    search goes to longer or shorter steps while they lower L more: L is quadratic, so that this costs no look
    at X. At j = 0 a step never raises the error (Beck & Teboulle 2009, lemma 2.3): there is no need to look below.
    """

    monotone: ClassVar[bool] = True
    zeros_lock: ClassVar[bool] = False

    def init(self, _factor: Array, _mode: int, /) -> int:
        """Return j = 0."""
        return 0

    def update(self, factor: Array, normal: NormalEquations, state: int, /) -> tuple[Array, int]:
        """Return `factor` one step further, and j; see `UpdateRule.update`."""
        steepest = float(np.linalg.eigvalsh(normal.gram)[-1])
        if steepest <= np.finfo(factor.dtype).tiny:
            return factor.copy(), state
        arc = _Arc(factor, factor @ normal.gram - normal.cross, normal.gram, 1 / steepest)
        doublings, moved, change = state, *arc.step(state)
        while doublings < DOUBLINGS:
            longer, further = arc.step(doublings + 1)
            if not further < change:
                break
            doublings, moved, change = doublings + 1, longer, further
        # What overflowed compares as no better, and is left by shorter steps.
        while doublings > 0 and doublings <= state:
            shorter, less = arc.step(doublings - 1)
            if change <= less and change < 0:
                break
            doublings, moved, change = doublings - 1, shorter, less
        return moved, doublings


@dataclass(frozen=True, slots=True, eq=False)
class _Arc:
    """[F − η∇L]₊ for all η."""

    factor: Array
    gradient: Array
    gram: Array
    safe: float

    def step(self, doublings: int) -> tuple[Array, float]:
        """Return the point of η = 2ʲ·safe, and L there minus L at F."""
        length = self.factor.dtype.type(self.safe * 2**doublings)
        moved = np.asarray(np.maximum(self.factor - length * self.gradient, 0))
        way = moved - self.factor
        return moved, inner(self.gradient, way) + 0.5 * inner(way @ self.gram, way)
