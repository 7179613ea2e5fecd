"""Multiplicative updates: nothing to set, slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations


@dataclass(frozen=True, slots=True)
class Multiplicative:
    """F ← F ⊛ cross / (F·gram) (Lee & Seung 2001, theorem 1). Start it positive: its zeros stay zero."""

    monotone: ClassVar[bool] = True
    zeros_lock: ClassVar[bool] = True

    def init(self, _factor: Array, _mode: int, /) -> None:
        """Return no state: each update stands alone."""

    def update(self, factor: Array, normal: NormalEquations, state: None, /) -> tuple[Array, None]:
        """Return `factor` times its ratio; see `UpdateRule.update`."""
        predicted = factor @ normal.gram
        # Where nothing is predicted the entry has no effect on the error: it stays, for want of a ratio.
        ratio = np.ones_like(factor)
        least = np.finfo(factor.dtype).tiny
        np.divide(normal.cross, predicted, out=ratio, where=predicted > least)
        return factor * ratio, state
