"""What a factorisation is, and how it ended: frozen, checked at construction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lnmf_core.errors import FactorError

Array: TypeAlias = NDArray[np.floating[Any]]
"""float64 or float32; the arrays of one computation share their dtype."""

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """X ≈ D·C. Holds read-only views: the arrays that were passed stay as they are.

    Raises FactorError unless D and C are finite, nonnegative, two-dimensional, of one dtype (float64 or
    float32), and fit together.
    """

    D: Array
    """n × k, the memberships."""
    C: Array
    """k × m, the patterns."""

    def __post_init__(self) -> None:
        for name in ("D", "C"):
            object.__setattr__(self, name, _frozen(name, getattr(self, name)))
        if self.D.dtype != self.C.dtype:
            raise FactorError(f"D is {self.D.dtype} and C is {self.C.dtype}: convert one to the other's dtype")
        if self.D.shape[1] != self.C.shape[0]:
            raise FactorError(
                f"D has shape {self.D.shape} and C has shape {self.C.shape}: D needs as many columns as C has rows"
            )

    @property
    def rank(self) -> int:
        """The number of components, k."""
        return len(self.C)


class StopReason(StrEnum):
    """Why an iteration ended."""

    TOLERANCE = "tolerance"
    """The error no longer falls by as much as was asked."""
    EXACT = "exact"
    """The error can't be told from rounding."""
    BUDGET = "budget"
    """The iterations are used up."""
    NON_FINITE = "non_finite"
    """The next factors would have been infinite or undefined; the last finite ones are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The best factors of a run, and how the run went.

    Raises ValueError if `errors` is empty or holds a value that is no error, or `seconds` is negative.
    """

    factors: Factors
    errors: tuple[float, ...]
    """Relative error ‖X − DC‖_F / ‖X‖_F of the start, then after each iteration; never rises."""
    reason: StopReason
    seconds: float
    """Duration of the run, start included, s."""

    def __post_init__(self) -> None:
        if not self.errors:
            raise ValueError("errors: is empty, but the start has an error too")
        if not (all(map(math.isfinite, self.errors)) and min(self.errors) >= 0):
            index, error = next(each for each in enumerate(self.errors) if not 0 <= each[1] < math.inf)
            raise ValueError(f"errors[{index}]: {error} is no relative error")
        if not self.seconds >= 0:
            raise ValueError(f"seconds: {self.seconds} is no duration")

    @property
    def error(self) -> float:
        """The relative error of `factors`."""
        return self.errors[-1]

    @property
    def iterations(self) -> int:
        """The number of iterations that were run."""
        return len(self.errors) - 1


def _frozen(name: str, values: Array) -> Array:
    if not isinstance(values, np.ndarray):
        raise FactorError(f"{name} is a {type(values).__name__}: pass a numpy array")
    if values.ndim != 2:
        raise FactorError(f"{name} has {values.ndim} dimensions: it needs two")
    if 0 in values.shape:
        raise FactorError(f"{name} has shape {values.shape}: it needs at least one row and one column")
    if values.dtype not in FLOATS:
        raise FactorError(f"{name} is {values.dtype}: convert it to float64 or float32")
    if not are_counts(values):
        row, column = np.argwhere(~((values >= 0) & (values < np.inf)))[0]
        raise FactorError(
            f"{name}[{row}, {column}] is {values[row, column]}: factors must be finite and nonnegative"
        )
    view = values.view()
    view.setflags(write=False)
    return view


def are_counts(values: NDArray[Any]) -> bool:
    """Return whether all values (any shape, at least one) are finite and not negative."""
    flat = values.ravel("K")
    # Comparisons with NaN are false, and NaN is what argmin and argmax find first. They start sooner than
    # minimum and maximum do, which matters for small factors.
    return bool(flat[flat.argmin()] >= 0 and flat[flat.argmax()] < math.inf)
