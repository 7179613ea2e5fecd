"""The joint step of small problems: all rows of a factor side by side, each with its own inverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled, reduction

if TYPE_CHECKING:
    from lnmf_core.factors import Array

LANES = 32
"""Rows are filled up to a multiple of this, so that vector loops leave no rest."""


@reduction
def lane_inner(left: Array, right: Array) -> float:
    """Return ⟨left, right⟩ of two rows of lanes."""
    total = 0.0
    for i in range(len(left)):
        total += left[i] * right[i]
    return total


@compiled
def pair_numbers(k: int) -> NDArray[np.int64]:
    """Return the number of each unordered pair (a, b), k × k."""
    at = np.empty((k, k), np.int64)
    count = 0
    for a in range(k):
        for b in range(a, k):
            at[a, b] = at[b, a] = count
            count += 1
    return at


@compiled
def subtract_product(weights: Array, rows: Array, out: Array) -> None:
    """Take weights · rows off `out`, a row of lanes at a time."""
    count, k = weights.shape
    lanes = rows.shape[1]
    for a in range(count):
        for b in range(0, k - 2, 3):
            one, two, three = (
                np.float64(weights[a, b]),
                np.float64(weights[a, b + 1]),
                np.float64(weights[a, b + 2]),
            )
            for i in range(lanes):
                out[a, i] -= one * rows[b, i] + two * rows[b + 1, i] + three * rows[b + 2, i]
        for b in range(k - k % 3, k):
            one = np.float64(weights[a, b])
            for i in range(lanes):
                out[a, i] -= one * rows[b, i]


@compiled
def invert_lanes(
    gram: Array, damping: float, at: NDArray[np.int64], free: Array, inverses: Array, scale: Array
) -> None:
    """Write the inverses of `gram` with its diagonal raised by `damping`, on each lane's free set."""
    k, lanes = free.shape
    for a in range(k):
        for b in range(a, k):
            here, weight = at[a, b], np.float64(gram[a, b])
            if a == b:
                weight *= 1 + damping
                for i in range(lanes):
                    inverses[here, i] = weight * free[a, i] + (1 - free[a, i])
            else:
                for i in range(lanes):
                    inverses[here, i] = weight * free[a, i] * free[b, i]
    # The sweep operator (Beaton 1964) on every pivot makes minus the inverse, and keeps the matrix symmetric.
    for pivot in range(k):
        centre = at[pivot, pivot]
        for i in range(lanes):
            scale[i] = 1 / inverses[centre, i]
            inverses[centre, i] = -scale[i]
        for a in range(k):
            if a != pivot:
                side = at[a, pivot]
                for b in range(a, k):
                    if b != pivot:
                        here, other = at[a, b], at[pivot, b]
                        for i in range(lanes):
                            inverses[here, i] -= inverses[side, i] * scale[i] * inverses[other, i]
        for a in range(k):
            if a != pivot:
                side = at[a, pivot]
                for i in range(lanes):
                    inverses[side, i] *= scale[i]
    for a in range(k):
        for b in range(a, k):
            here = at[a, b]
            for i in range(lanes):
                inverses[here, i] *= -free[a, i] * free[b, i]


@compiled
def invert_threes(gram: Array, damping: float, free: Array, inverses: Array) -> None:
    """Do what `invert_lanes` does for three components, by cofactors: all in one loop."""
    raised = 1 + damping
    first, second, third = gram[0, 0] * raised, gram[1, 1] * raised, gram[2, 2] * raised
    one, two, three = np.float64(gram[0, 1]), np.float64(gram[0, 2]), np.float64(gram[1, 2])
    for i in range(free.shape[1]):
        f, g, h = free[0, i], free[1, i], free[2, i]
        a, d, e = first * f + (1 - f), second * g + (1 - g), third * h + (1 - h)
        u, v, w = one * f * g, two * f * h, three * g * h
        aa, uu, vv = d * e - w * w, v * w - u * e, u * w - v * d
        scale = 1 / (a * aa + u * uu + v * vv)
        inverses[0, i] = scale * aa * f
        inverses[1, i] = scale * uu * f * g
        inverses[2, i] = scale * vv * f * h
        inverses[3, i] = scale * (a * e - v * v) * g
        inverses[4, i] = scale * (u * v - a * w) * g * h
        inverses[5, i] = scale * (a * d - u * u) * h


@compiled
def lanes_of(
    factor: Array,
    cross: Array,
    gram: Array,
    damping: float,
    least: float,
    at: NDArray[np.int64],
    wide: Array,
    descent: Array,
    free: Array,
    inverses: Array,
    scale: Array,
) -> None:
    """Write F, minus its gradient, 1 where it is free, and the inverses of the damped gram on the free sets.

    `wide`, `descent` and `free` are k × lanes, `inverses` is pairs × lanes and zero outside of the free sets.
    """
    rows, k = factor.shape
    lanes = wide.shape[1]
    for j in range(k):
        for i in range(rows):
            wide[j, i] = factor[i, j]
            descent[j, i] = cross[i, j]
        for i in range(rows, lanes):
            wide[j, i] = 0.0
            descent[j, i] = 0.0
    subtract_product(gram, wide, descent)
    for a in range(k):
        if gram[a, a] > least:
            for i in range(lanes):
                free[a, i] = 1.0 if wide[a, i] > 0 or descent[a, i] > 0 else 0.0
        else:
            free[a] = 0.0
    if k == 3:
        invert_threes(gram, damping, free, inverses)
    else:
        invert_lanes(gram, damping, at, free, inverses, scale)


@compiled
def lanes_times(inverses: Array, at: NDArray[np.int64], vectors: Array, out: Array) -> None:
    """Write to out[:, i] the i-th inverse times vectors[:, i]."""
    k, lanes = vectors.shape
    for a in range(k):
        out[a] = 0.0
        for b in range(0, k - 2, 3):
            one, two, three = at[a, b], at[a, b + 1], at[a, b + 2]
            for i in range(lanes):
                out[a, i] += (
                    inverses[one, i] * vectors[b, i]
                    + inverses[two, i] * vectors[b + 1, i]
                    + inverses[three, i] * vectors[b + 2, i]
                )
        for b in range(k - k % 3, k):
            one = at[a, b]
            for i in range(lanes):
                out[a, i] += inverses[one, i] * vectors[b, i]


@reduction
def lanes_couple(wide: Array, inverses: Array, at: NDArray[np.int64], product: Array, out: Array) -> None:
    """Write to out[(a, c), (b, d)], by numbers of pairs, Σ_i F_ia F_ic P_i⁻¹_bd."""
    k, lanes = wide.shape
    pairs = len(inverses)
    for a in range(k):
        for c in range(a, k):
            for i in range(lanes):
                product[i] = wide[a, i] * wide[c, i]
            here = at[a, c]
            for pair in range(0, pairs - 2, 3):
                one = two = three = 0.0
                for i in range(lanes):
                    one += product[i] * inverses[pair, i]
                    two += product[i] * inverses[pair + 1, i]
                    three += product[i] * inverses[pair + 2, i]
                out[here, pair], out[here, pair + 1], out[here, pair + 2] = one, two, three
            for pair in range(pairs - pairs % 3, pairs):
                out[here, pair] = lane_inner(product, inverses[pair])


@reduction
def project_lanes(wide: Array, step: Array, out: Array) -> float:
    """Write [wide + step]₊ to the rows of `out`; return the sum of wide + step, to tell whether all are finite."""
    total = 0.0
    for j in range(len(wide)):
        for i in range(len(out)):
            value = wide[j, i] + step[j, i]
            out[i, j] = max(value, 0.0)
            total += value
    return total
