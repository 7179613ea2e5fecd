"""Hierarchical alternating least squares: one component after the other, each solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.kernels import hals_sweeps

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations


@dataclass(frozen=True, slots=True)
class Hals:
    """Gauss–Seidel sweeps over the components (Cichocki & Phan 2009).

    A sweep costs less than the products with X, so that it pays to make several while cross and gram are at
    hand (accelerated HALS, Gillis & Glineur 2012). Raises ParameterError if `sweeps` is below 1.
    """

    sweeps: int = 3

    monotone: ClassVar[bool] = True
    zeros_lock: ClassVar[bool] = False

    def __post_init__(self) -> None:
        whole_number("sweeps", self.sweeps, ParameterError)

    def init(self, _factor: Array, _mode: int, /) -> None:
        """Return no state: each update stands alone."""

    def update(self, factor: Array, normal: NormalEquations, state: None, /) -> tuple[Array, None]:
        """Return `factor` after the sweeps; see `UpdateRule.update`."""
        least = float(np.finfo(factor.dtype).tiny)
        return hals_sweeps(factor, normal.cross, normal.gram, self.sweeps, least), state
