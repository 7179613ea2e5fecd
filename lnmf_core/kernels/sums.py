"""Products with sparse X, inner products, and the error that follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled, reduction

if TYPE_CHECKING:
    from lnmf_core.factors import Array

CHUNK = 1024
"""Products that are summed before compensation sets in."""


@reduction
def chunk_inner(left: Array, right: Array, begin: int, end: int) -> float:
    """Return the sum of left[i]·right[i] over begin ≤ i < end, in float64."""
    total = 0.0
    for i in range(begin, end):
        total += np.float64(left[i]) * np.float64(right[i])
    return total


@compiled
def inner_product(left: Array, right: Array) -> float:
    """Return ⟨left, right⟩ of two C-contiguous arrays in float64, with Neumaier's compensation (1974)."""
    a, b = left.ravel(), right.ravel()
    total = lost = 0.0
    for begin in range(0, a.size, CHUNK):
        term = chunk_inner(a, b, begin, min(begin + CHUNK, a.size))
        after = total + term
        lost += (total - after) + term if abs(total) >= abs(term) else (term - after) + total
        total = after
    return total + lost


@compiled
def csr_times(indptr: NDArray[Any], indices: NDArray[Any], data: Array, right: Array, out: Array) -> None:
    """Write X·right (m × k) to `out` (n × k) for X in CSR; arrays of floats have one dtype."""
    k = right.shape[1]
    out[:] = 0
    for row in range(out.shape[0]):
        total = out[row]
        for at in range(indptr[row], indptr[row + 1]):
            value, source = data[at], right[indices[at]]
            for j in range(k):
                total[j] += value * source[j]


@compiled
def csr_transposed_times(
    indptr: NDArray[Any], indices: NDArray[Any], data: Array, right: Array, out: Array
) -> None:
    """Write Xᵀ·right (n × k) to `out` (m × k) for X in CSR; arrays of floats have one dtype."""
    k = right.shape[1]
    out[:] = 0
    for row in range(right.shape[0]):
        source = right[row]
        for at in range(indptr[row], indptr[row + 1]):
            value, total = data[at], out[indices[at]]
            for j in range(k):
                total[j] += value * source[j]


@compiled
def relative_error(squared_norm: float, factor: Array, cross: Array, gram: Array, factor_gram: Array) -> float:
    """Return ‖X − DC‖_F / ‖X‖_F from the normal equations of `factor`; what rounding makes negative is 0."""
    squared = squared_norm - 2 * inner_product(factor, cross) + inner_product(factor_gram, gram)
    # What overflows must not pass for a perfect fit, whatever its sign.
    return 0.0 if -np.inf < squared < 0 else np.sqrt(abs(squared) / squared_norm)


@compiled
def all_finite(matrix: Array) -> bool:
    """Return whether no entry of a small matrix is NaN or infinite, without making another one."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            if not np.isfinite(matrix[i, j]):
                return False
    return True
