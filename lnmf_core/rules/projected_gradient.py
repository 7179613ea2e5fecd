"""Projected gradient descent with the step that Lipschitz continuity allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations


@dataclass(frozen=True, slots=True)
class ProjectedGradient:
    """F ← [F − η(F·gram − cross)]₊ with η = 1/λ, λ the largest eigenvalue of gram.

    λ is the Lipschitz constant of the gradient, so the step needs no line search and never raises the error
    (Beck & Teboulle 2009, lemma 2.3; for this problem Guan et al. 2012, lemma 1).
    """

    monotone: ClassVar[bool] = True
    zeros_lock: ClassVar[bool] = False

    def init(self, _factor: Array, _mode: int, /) -> None:
        """Return no state: each update stands alone."""

    def update(self, factor: Array, normal: NormalEquations, state: None, /) -> tuple[Array, None]:
        """Return `factor` one step further; see `UpdateRule.update`."""
        steepest = float(np.linalg.eigvalsh(normal.gram)[-1])
        if steepest <= np.finfo(factor.dtype).tiny:
            return factor.copy(), state
        step = factor.dtype.type(1 / steepest)
        moved = factor - step * (factor @ normal.gram - normal.cross)
        return np.maximum(moved, 0), state
