"""All that an update may see of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lnmf_core.factors import Array


@dataclass(frozen=True, slots=True, eq=False)
class NormalEquations:
    """The least-squares problem of one factor F (rows × k), given the other.

    The gradient of L = ½‖X − DC‖²_F in F is F·gram − cross. For F = D the partner is Cᵀ; for F = Cᵀ the
    partner is D and the data is Xᵀ, so that one rule serves both: a matrix is a tensor of two modes.

    Raises ValueError if the shapes do not fit together.
    """

    cross: Array
    """rows × k: data · partner."""
    gram: Array
    """k × k: partnerᵀ · partner."""

    def __post_init__(self) -> None:
        if self.cross.ndim != 2 or self.gram.shape != (self.cross.shape[1],) * 2:
            raise ValueError(f"cross {self.cross.shape} and gram {self.gram.shape} do not fit together")

    def squared_error(self, factor: Array, factor_gram: Array, squared_norm: float) -> float:
        """Return ‖X − DC‖²_F = ‖X‖² − 2⟨F, cross⟩ + ⟨FᵀF, gram⟩ for F = `factor`, without touching X.

        The terms nearly cancel where the fit is good: the result is uncertain by a few machine epsilons of
        `squared_norm` (‖X‖²_F) and may even be negative by as much. Sums are taken in float64.
        """
        return squared_norm - 2 * inner(factor, self.cross) + inner(factor_gram, self.gram)


def inner(left: Array, right: Array) -> float:
    """Return ⟨left, right⟩ of two matrices of one shape, summed in float64."""
    # Rows first: numpy adds the row sums pairwise, which keeps the rounding of a long sum small.
    return float(np.einsum("ij,ij->i", left, right, dtype=np.float64).sum())
