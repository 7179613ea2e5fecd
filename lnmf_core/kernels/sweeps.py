"""Nonnegative Gauss–Seidel sweeps over one factor, and extrapolation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.kernels.compiled import compiled

if TYPE_CHECKING:
    from lnmf_core.factors import Array

LANES = 64
"""Rows that are swept side by side: enough to fill vector registers, few enough for the first cache."""


@compiled
def hals_sweeps(factor: Array, cross: Array, gram: Array, sweeps: int, least: float) -> Array:
    """Return `factor` (rows × k) after `sweeps` rounds of nonnegative Gauss–Seidel over its k columns.

    f_j ← [f_j + (cross_j − F·gram_j) / gram_jj]₊ for j = 1 … k in turn: the exact minimum in f_j (Cichocki &
    Phan 2009). Columns with gram_jj ≤ `least` are left as they are: their component is absent from the
    partner, so that every value is as good. All arrays have one dtype; none is changed.
    """
    out = np.empty_like(factor)
    sweep_into(factor, cross, gram, sweeps, least, out)
    return out


@compiled
def sweep_into(factor: Array, cross: Array, gram: Array, sweeps: int, least: float, out: Array) -> None:
    """Write what `hals_sweeps` returns to `out`, which may be `factor` itself."""
    rows, k = factor.shape
    zero = factor.dtype.type(0)
    # Rows do not depend on one another, columns do. So a block of rows is turned on its side and the inner
    # loops run over rows, which vectorises; the block stays in the cache for all sweeps.
    block = np.empty((k, LANES), factor.dtype)
    target = np.empty((k, LANES), factor.dtype)
    fresh = np.empty(LANES, factor.dtype)
    # The division by gram_jj is made once for all rows.
    weights = np.zeros((k, k), factor.dtype)
    present = np.zeros(k, np.bool_)
    for j in range(k):
        present[j] = not gram[j, j] <= least
        if present[j]:
            for other in range(k):
                weights[j, other] = -gram[j, other] / gram[j, j]
            weights[j, j] = zero
    for begin in range(0, rows, LANES):
        width = min(LANES, rows - begin)
        for i in range(width):
            for j in range(k):
                block[j, i] = factor[begin + i, j]
                target[j, i] = cross[begin + i, j]
        for j in range(k):
            if present[j]:
                for i in range(width):
                    target[j, i] /= gram[j, j]
        for _ in range(sweeps):
            for j in range(k):
                if not present[j]:
                    continue
                for i in range(width):
                    fresh[i] = target[j, i]
                for other in range(k):
                    weight = weights[j, other]
                    for i in range(width):
                        fresh[i] += weight * block[other, i]
                for i in range(width):
                    value = fresh[i]
                    block[j, i] = zero if value < zero else value  # noqa: FURB136  (max would hide NaN)
        for i in range(width):
            for j in range(k):
                out[begin + i, j] = block[j, i]


@compiled
def extrapolate_into(new: Array, old: Array, momentum: float, out: Array) -> None:
    """Write [new + momentum·(new − old)]₊ to `out`; all are C-contiguous, of one shape and dtype."""
    a, b, c = new.ravel(), old.ravel(), out.ravel()
    if momentum == 0:
        c[:] = a
        return
    zero, share = new.dtype.type(0), new.dtype.type(momentum)
    for i in range(a.size):
        value = a[i] + share * (a[i] - b[i])
        c[i] = zero if value < zero else value  # noqa: FURB136
