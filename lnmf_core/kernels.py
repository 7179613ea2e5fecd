"""The compiled code of the core; the tests hold every kernel against plain numpy.

scipy's products of a CSR matrix and a dense one are as fast as loops compiled here: they are not repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

if TYPE_CHECKING:
    from lnmf_core.factors import Array

F = TypeVar("F", bound=Callable[..., Any])

LANES = 64
"""Rows that are swept side by side: enough to fill vector registers, few enough for the first cache."""


def compiled(function: F) -> F:
    """Compile `function` at its first call for each dtype; the machine code is cached beside the source."""
    # numpy's error model: a check for division by zero would keep the loop from being vectorised.
    try:
        return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # numba found no place for its cache: compile once for each process
        return cast("F", numba.njit(nogil=True, error_model="numpy")(function))


@compiled
def hals_sweeps(factor: Array, cross: Array, gram: Array, sweeps: int, least: float) -> Array:
    """Return `factor` (rows × k) after `sweeps` rounds of nonnegative Gauss–Seidel over its k columns.

    f_j ← [f_j + (cross_j − F·gram_j) / gram_jj]₊ for j = 1 … k in turn: the exact minimum in f_j (Cichocki &
    Phan 2009). Columns with gram_jj ≤ `least` are left as they are: their component is absent from the
    partner, so that every value is as good. All arrays have one dtype; none is changed.
    """
    rows, k = factor.shape
    zero = factor.dtype.type(0)
    out = np.empty_like(factor)
    # Rows do not depend on one another, columns do. So a block of rows is turned on its side and the inner
    # loops run over rows, which vectorises; the block stays in the cache for all sweeps.
    block = np.empty((k, LANES), factor.dtype)
    target = np.empty((k, LANES), factor.dtype)
    slack = np.empty(LANES, factor.dtype)
    for begin in range(0, rows, LANES):
        width = min(LANES, rows - begin)
        for i in range(width):
            for j in range(k):
                block[j, i] = factor[begin + i, j]
                target[j, i] = cross[begin + i, j]
        for _ in range(sweeps):
            for j in range(k):
                curvature = gram[j, j]
                if not curvature > least:
                    continue
                for i in range(width):
                    slack[i] = target[j, i]
                for other in range(k):
                    weight = gram[j, other]
                    for i in range(width):
                        slack[i] -= weight * block[other, i]
                for i in range(width):
                    value = block[j, i] + slack[i] / curvature
                    block[j, i] = zero if value < zero else value  # noqa: FURB136  (max would hide NaN)
        for i in range(width):
            for j in range(k):
                out[begin + i, j] = block[j, i]
    return out
