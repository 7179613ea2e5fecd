"""Compiled checks and copies of sparse rows; numpy is the oracle in the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled, reduction

if TYPE_CHECKING:
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

FINE, BROKEN, UNSORTED = -1, -2, -3
"""What `first_fault` says besides the place of a bad value."""


@compiled
def first_fault(indptr: Any, indices: Any, data: Any, columns: int, largest: float) -> int:
    """Return FINE, the place of the first value that is negative, NaN or above `largest`, or another code.

    BROKEN: no CSR arrays of a matrix with so many columns. UNSORTED: a row's columns do not strictly ascend.
    """
    entries = len(indices)
    if len(indptr) < 1 or indptr[0] != 0 or indptr[-1] != entries or entries != len(data):
        return BROKEN
    broken = False
    for row in range(len(indptr) - 1):
        broken |= indptr[row + 1] < indptr[row]
    if broken:
        return BROKEN
    # No loop over the entries of single rows: a processor can't foresee where they end.
    outside, descents, wrong = 0, 0, 0
    for at in range(entries):
        outside += (indices[at] < 0) | (indices[at] >= columns)
    for at in range(1, entries):
        descents += indices[at] <= indices[at - 1]
    for at in range(entries):
        wrong += not ((data[at] >= 0) & (data[at] <= largest))
    if outside:
        return BROKEN
    if wrong:
        for at in range(entries):
            if not (data[at] >= 0 and data[at] <= largest):
                return at
    # A row may begin before the last one's end.
    for row in range(len(indptr) - 1):
        begin = indptr[row]
        if begin > 0 and begin < indptr[row + 1]:
            descents -= indices[begin] <= indices[begin - 1]
    return UNSORTED if descents else FINE


@reduction
def summary(values: Any) -> tuple[float, float, float]:
    """Return the largest of `values` (one dimension), their sum and that of their squares, in float64.

    The largest is NaN if one of them is negative or NaN.
    """
    wrong, largest, total, squares = 0, 0.0, 0.0, 0.0
    for at in range(len(values)):
        value = np.float64(values[at])
        wrong += not value >= 0
        largest = max(largest, value)
        total += value
        squares += value * value
    return (np.nan if wrong else largest), total, squares


@compiled
def count_positive(values: Any) -> int:
    """Return how many of `values` (one dimension) are above zero."""
    count = 0
    for at in range(len(values)):
        count += values[at] > 0
    return count


@compiled
def ascends(keys: Ints) -> bool:
    """Return whether each key is larger than the one before."""
    ordered = True
    for at in range(1, len(keys)):
        ordered &= keys[at] > keys[at - 1]
    return ordered


@compiled
def same(left: Ints, right: Ints) -> bool:
    """Return whether these keys are equal, one by one."""
    if len(left) != len(right):
        return False
    equal = True
    for at in range(len(left)):
        equal &= left[at] == right[at]
    return equal


@compiled
def packed(count: int, begins: Ints, ends: Ints, indices: Indices, data: Floats) -> tuple[Ints, Indices, Floats]:
    """Return the first `count` rows as the three arrays of a CSR matrix.

    Row s has the entries begins[s] … ends[s] − 1 of `indices` and `data`.
    """
    indptr = np.zeros(count + 1, np.int64)
    for row in range(count):
        indptr[row + 1] = indptr[row] + ends[row] - begins[row]
    out_indices = np.empty(indptr[-1], np.int32)
    out_data = np.empty(indptr[-1], np.float64)
    for row in range(count):
        begin = begins[row]
        for at in range(indptr[row + 1] - indptr[row]):
            out_indices[indptr[row] + at] = indices[begin + at]
            out_data[indptr[row] + at] = data[begin + at]
    return indptr, out_indices, out_data
