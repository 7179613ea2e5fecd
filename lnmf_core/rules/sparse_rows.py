"""Few memberships for each row: D by matching pursuit, C by hierarchical alternating least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnmf_core.errors import FactorError, ParameterError, whole_number
from lnmf_core.kernels.matching import match_rows
from lnmf_core.kernels.sweeps import hals_sweeps

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations


@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """At most `most` non-zeros in a row of D.

    With one, D's columns have disjoint support, so that DᵀD is diagonal: this is orthogonal NMF, and, but for
    the weight of long rows, spherical k-means (Ding et al. 2006; Pompili et al. 2014); both updates are then
    exact. With more, D is found greedily, and a row keeps its memberships unless others fit better. Raises
    ParameterError for a parameter out of its range.
    """

    energy: Array
    """‖x_i‖² of each row of X, length n, which cross and gram do not tell."""
    most: int = 1
    gain: float = 0.08
    """Share of its row's energy that a further membership must explain."""
    sweeps: int = 3
    """Over C, where rows may have more than one membership."""

    monotone: ClassVar[bool] = True
    zeros_lock: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("most", "sweeps"):
            whole_number(name, getattr(self, name), ParameterError)
        if not (math.isfinite(self.gain) and 0 <= self.gain <= 1):
            raise ParameterError(f"gain is {self.gain}: it must lie between 0 and 1")

    def init(self, factor: Array, mode: int, /) -> int:
        """Return the mode; raises FactorError unless `energy` has an entry for each row of D."""
        if mode == 0 and self.energy.shape != (len(factor),):
            raise FactorError(f"energy has shape {self.energy.shape}, but D has {len(factor)} rows")
        return mode

    def update(self, factor: Array, normal: NormalEquations, state: int, /) -> tuple[Array, int]:
        """Return D matched anew, or Cᵀ after the sweeps; see `UpdateRule.update`."""
        least = float(np.finfo(factor.dtype).tiny)
        if state == 0:
            most = min(self.most, factor.shape[1])
            return match_rows(factor, normal.cross, normal.gram, self.energy, most, self.gain, least), state
        if self.most > 1:
            return hals_sweeps(factor, normal.cross, normal.gram, self.sweeps, least), state
        # A sweep is exact where gram is diagonal, and this is the sweep without its k² products.
        moved = factor.copy()
        diagonal = normal.gram.diagonal()
        np.divide(normal.cross, diagonal, out=moved, where=diagonal > least)
        return moved, state
