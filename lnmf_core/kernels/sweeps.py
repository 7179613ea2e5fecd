"""Nonnegative Gauss–Seidel sweeps over one factor, and extrapolation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.kernels.compiled import compiled

if TYPE_CHECKING:
    from lnmf_core.factors import Array

LANES = 64
"""Rows that are swept side by side: enough to fill vector registers, few enough for the first cache."""
STEP = 32
"""Rows of the last block are filled up to a multiple of this: what vectors leave over costs more."""


@compiled
def hals_sweeps(factor: Array, cross: Array, gram: Array, sweeps: int, least: float) -> Array:
    """Return `factor` (rows × k) after `sweeps` rounds of nonnegative Gauss–Seidel over its k columns.

    f_j ← [f_j + (cross_j − F·gram_j) / gram_jj]₊ for j = 1 … k in turn: the exact minimum in f_j (Cichocki &
    Phan 2009). Columns with gram_jj ≤ `least` are left as they are: their component is absent from the
    partner, so that every value is as good. All arrays have one dtype; none is changed.
    """
    out = np.empty_like(factor)
    room = np.empty(room_to_sweep(factor.shape[1]), factor.dtype)
    sweep_into(factor, cross, gram, sweeps, least, out, room)
    return out


@compiled
def room_to_sweep(rank: int) -> int:
    """Return how many numbers of room `sweep_into` needs."""
    return (2 * rank + 1) * LANES + rank * rank


@compiled
def sweep_into(
    factor: Array, cross: Array, gram: Array, sweeps: int, least: float, out: Array, room: Array
) -> None:
    """Write what `hals_sweeps` returns to `out`, which may be `factor` itself; see `room_to_sweep`."""
    rows, k = factor.shape
    zero, one = factor.dtype.type(0), factor.dtype.type(1)
    # Rows do not depend on one another, columns do. So a block of rows is turned on its side and the inner
    # loops run over rows, which vectorises; the block stays in the cache for all sweeps.
    block, target = room[: k * LANES].reshape(k, LANES), room[k * LANES : 2 * k * LANES].reshape(k, LANES)
    fresh = room[2 * k * LANES : (2 * k + 1) * LANES]
    # The division by gram_jj is made once for all rows.
    weights = room[(2 * k + 1) * LANES : (2 * k + 1) * LANES + k * k].reshape(k, k)
    for j in range(k):
        scale = one / gram[j, j]
        for other in range(k):
            weights[j, other] = -gram[j, other] * scale
        weights[j, j] = zero
    tripled = k // 3 * 3
    for begin in range(0, rows, LANES):
        width = min(LANES, rows - begin)
        for i in range(width):
            for j in range(k):
                block[j, i] = factor[begin + i, j]
                target[j, i] = cross[begin + i, j]
        lanes = (width + STEP - 1) // STEP * STEP
        for j in range(k):
            block[j, width:lanes] = zero
            target[j, width:lanes] = zero
            scale = one / gram[j, j]
            for i in range(lanes):
                target[j, i] *= scale
        for _ in range(sweeps):
            for j in range(k):
                if gram[j, j] <= least:
                    continue
                for i in range(lanes):
                    fresh[i] = target[j, i]
                # Three columns in each pass: fewer trips to memory.
                for other in range(0, tripled, 3):
                    first, second, third = weights[j, other], weights[j, other + 1], weights[j, other + 2]
                    for i in range(lanes):
                        fresh[i] += (
                            first * block[other, i] + second * block[other + 1, i] + third * block[other + 2, i]
                        )
                for other in range(tripled, k):
                    first = weights[j, other]
                    for i in range(lanes):
                        fresh[i] += first * block[other, i]
                for i in range(lanes):
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
