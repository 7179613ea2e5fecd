"""Compiled loops over single rows of a sparse matrix whose rows come and go; numpy is the oracle in the tests.

scipy multiplies whole matrices: its Xᵀ·D makes m × k numbers however few rows X has, and a row that is
replaced in place has no place in its format. These loops cost what the rows named in `slots` cost. Row s has
the entries begins[s] … ends[s] − 1 of `indices` and `data`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.sweeps import LANES

if TYPE_CHECKING:
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

BUILT_ON = "246bad78e2d8a248"

FINE, BROKEN, UNSORTED = -1, -2, -3
"""What `first_fault` says besides the place of a bad value."""


@compiled
def first_fault(indptr: Any, indices: Any, data: Any, columns: int, largest: float) -> int:
    """Return FINE, the place of the first value that is negative, NaN or above `largest`, or another code.

    BROKEN: no CSR arrays of a matrix with so many columns. UNSORTED: a row's columns do not strictly ascend.
    """
    if len(indptr) < 1 or indptr[0] != 0 or indptr[-1] != len(indices) or len(indices) != len(data):
        return BROKEN
    for row in range(len(indptr) - 1):
        if indptr[row + 1] < indptr[row] or indptr[row + 1] > len(indices):
            return BROKEN
    unsorted = False
    for row in range(len(indptr) - 1):
        last = -1
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            if column < 0 or column >= columns:
                return BROKEN
            unsorted |= column <= last
            last = column
    for at in range(len(data)):
        if not (data[at] >= 0 and data[at] <= largest):
            return at
    return UNSORTED if unsorted else FINE


@compiled
def ascends(keys: Ints) -> bool:
    """Return whether each key is larger than the one before."""
    ordered = True
    for at in range(1, len(keys)):
        ordered &= keys[at] > keys[at - 1]
    return ordered


@compiled
def solve_rows(
    slots: Ints,
    begins: Ints,
    ends: Ints,
    indices: Indices,
    data: Floats,
    Ct: Floats,
    gram: Floats,
    sweeps: int,
    least: float,
    D: Floats,
    cross: Floats,
) -> float:
    """Sweep D[slots] in place, given Cᵀ and gram = C·Cᵀ; then do what `add_products` does with sign 1.

    The sweeps are those of `lnmf_core.kernels.sweeps.hals_sweeps`. Here X·Cᵀ, the sweeps and Xᵀ·D are one pass over
    blocks of rows: nothing of the size of D is allocated, which costs as much as the sweeps do.
    """
    k = D.shape[1]
    total = 0.0
    # Four components at a time: the last ones may be padding, of weight zero.
    block, weight = np.zeros((k + 3, LANES)), np.zeros(k + 3)
    target, slack, own = np.zeros((k, LANES)), np.empty(LANES), np.empty(k)
    for begin in range(0, len(slots), LANES):
        width = min(LANES, len(slots) - begin)
        for i in range(width):
            slot = slots[begin + i]
            for j in range(k):
                own[j] = 0.0
            for at in range(begins[slot], ends[slot]):
                column, value = indices[at], data[at]
                for j in range(k):
                    own[j] += value * Ct[column, j]
            for j in range(k):
                target[j, i], block[j, i] = own[j], D[slot, j]
        for _ in range(sweeps):
            for j in range(k):
                if not gram[j, j] > least:
                    continue
                step = 1.0 / gram[j, j]
                for other in range(k):
                    weight[other] = gram[j, other]
                for i in range(LANES):
                    slack[i] = target[j, i]
                for o in range(0, k, 4):
                    w0, w1, w2, w3 = weight[o], weight[o + 1], weight[o + 2], weight[o + 3]
                    for i in range(LANES):
                        slack[i] -= (
                            w0 * block[o, i] + w1 * block[o + 1, i] + w2 * block[o + 2, i] + w3 * block[o + 3, i]
                        )
                for i in range(LANES):
                    value = block[j, i] + step * slack[i]
                    block[j, i] = 0.0 if value < 0.0 else value  # noqa: FURB136  (max would hide NaN)
        for i in range(width):
            slot = slots[begin + i]
            for j in range(k):
                own[j] = block[j, i]
                D[slot, j] = own[j]
            for at in range(begins[slot], ends[slot]):
                column, value = indices[at], data[at]
                total += value * value
                for j in range(k):
                    cross[column, j] += value * own[j]
    return total


@compiled
def add_products(
    slots: Ints, begins: Ints, ends: Ints, indices: Indices, data: Floats, D: Floats, sign: float, cross: Floats
) -> float:
    """Add sign · X[slots]ᵀ · D[slots] to `cross` (m × k), and return sign · ‖X[slots]‖²_F."""
    k = D.shape[1]
    total = 0.0
    for row in range(len(slots)):
        slot = slots[row]
        for at in range(begins[slot], ends[slot]):
            column, value = indices[at], sign * data[at]
            total += value * data[at]
            for j in range(k):
                cross[column, j] += value * D[slot, j]
    return total


@compiled
def packed(slots: Ints, begins: Ints, ends: Ints, indices: Indices, data: Floats) -> tuple[Ints, Indices, Floats]:
    """Return the rows `slots`, in this order, as the three arrays of a CSR matrix of their own."""
    indptr = np.zeros(len(slots) + 1, np.int64)
    for row in range(len(slots)):
        indptr[row + 1] = indptr[row] + ends[slots[row]] - begins[slots[row]]
    out_indices = np.empty(indptr[-1], np.int32)
    out_data = np.empty(indptr[-1], np.float64)
    for row in range(len(slots)):
        begin = begins[slots[row]]
        for at in range(indptr[row + 1] - indptr[row]):
            out_indices[indptr[row] + at] = indices[begin + at]
            out_data[indptr[row] + at] = data[begin + at]
    return indptr, out_indices, out_data


@compiled
def distinct(first: Indices, second: Indices, seen: NDArray[np.bool_]) -> Indices:
    """Return the columns named in `first` or `second`, once each; `seen` (length m) is all False and stays so."""
    out = np.empty(len(first) + len(second), np.int32)
    count = 0
    for part in (first, second):
        for column in part:
            if not seen[column]:
                seen[column] = True
                out[count] = column
                count += 1
    for at in range(count):
        seen[out[at]] = False
    return out[:count]
