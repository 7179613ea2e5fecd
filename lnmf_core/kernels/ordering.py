"""Rows of X in the order of how many entries they have, so that the ends of short loops can be foreseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled

if TYPE_CHECKING:
    from lnmf_core.factors import Array

STRETCH = 2048
"""Rows that are put in order among themselves: few enough that what belongs to them stays near."""
LENGTHS = 64
"""Rows with so many entries, less one, or more are left as they come, behind the others."""


@compiled
def in_order(
    indptr: NDArray[Any], indices: NDArray[Any], data: Array
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any], Array]:
    """Return which row of X each row of the result is, and the three arrays of CSR."""
    rows = len(indptr) - 1
    order = np.empty(rows, np.int64)
    out_indptr, out_indices, out_data = np.empty_like(indptr), np.empty_like(indices), np.empty_like(data)
    places = np.empty(LENGTHS + 1, np.int64)
    out_indptr[0] = 0
    filled = 0
    for begin in range(0, rows, STRETCH):
        end = min(begin + STRETCH, rows)
        places[:] = 0
        places[0] = begin
        for row in range(begin, end):
            places[min(np.int64(indptr[row + 1]) - indptr[row], LENGTHS - 1) + 1] += 1
        for length in range(LENGTHS):
            places[length + 1] += places[length]
        for row in range(begin, end):
            length = min(np.int64(indptr[row + 1]) - indptr[row], LENGTHS - 1)
            order[places[length]] = row
            places[length] += 1
        for place in range(begin, end):
            row = order[place]
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                out_indices[filled] = indices[at]
                out_data[filled] = data[at]
                filled += 1
            out_indptr[place + 1] = filled
    return order, out_indptr, out_indices, out_data
