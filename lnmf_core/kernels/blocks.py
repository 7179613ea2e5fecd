"""What the sparse loop is made of: blocks of `ROWS` rows of a factor on their sides, parts, sums and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.tiles import ROWS
from lnmf_core.kernels.vectors import load, multiply_add, spread, store, total

if TYPE_CHECKING:
    from lnmf_core.factors import Array

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

BUILT_ON = "32c8e305abdfb344"


@compiled
def to_blocks(factor: Array, order: Ints, blocks: Array) -> None:
    """Copy `factor` (rows × k) to blocks of `ROWS` rows on their sides: line b·k + j is column j of block b.

    Row order[i] becomes row i of the blocks, unless `order` is empty.
    """
    rows, k = factor.shape
    blocks[len(blocks) - k :] = 0
    for row in range(rows):
        line, at = (row // ROWS) * k, row % ROWS
        of = order[row] if len(order) else row
        for j in range(k):
            blocks[line + j, at] = factor[of, j]


@compiled
def from_blocks(blocks: Array, order: Ints, factor: Array) -> None:
    """Undo `to_blocks`."""
    rows, k = factor.shape
    for row in range(rows):
        line, at = (row // ROWS) * k, row % ROWS
        to = order[row] if len(order) else row
        for j in range(k):
            factor[to, j] = blocks[line + j, at]


@compiled
def bounds_of(indptr: NDArray[Any], columns: int, parts: int) -> Ints:
    """Return the first row of X, and of Cᵀ, of each part, whole blocks; the end follows.

    Parts of X have about as many rows and entries.
    """
    rows = len(indptr) - 1
    blocks, blocks_of_C = -(-rows // ROWS), -(-columns // ROWS)
    bounds = np.empty((2, parts + 1), np.int64)
    block = 0
    for part in range(parts + 1):
        fair = (np.int64(indptr[rows]) + rows) * part // parts
        while block < blocks and np.int64(indptr[min(block * ROWS, rows)]) + block * ROWS < fair:
            block += 1
        bounds[0, part] = min(block * ROWS, rows)
        bounds[1, part] = blocks_of_C * part // parts * ROWS
    return bounds


@compiled
def finish_grams(sums: Array, parts: int, gram: Array) -> None:
    """Set `gram` from the partial sums of all parts, in their order, and those to zero."""
    k = len(gram)
    nothing, one = spread(gram.dtype.type(0)), spread(gram.dtype.type(1))
    for i in range(k):
        for j in range(i + 1):
            sum_ = load(sums, i * k + j, 0)
            store(sums, i * k + j, 0, nothing)
            for part in range(1, parts):
                sum_ = multiply_add(one, load(sums, (part * k + i) * k + j, 0), sum_)
                store(sums, (part * k + i) * k + j, 0, nothing)
            gram[i, j] = gram[j, i] = total(sum_)


@compiled
def small_inner(left: Array, right: Array) -> float:
    """Return ⟨left, right⟩ of two k × k matrices in float64."""
    sum_ = 0.0
    for i in range(len(left)):
        for j in range(len(left)):
            sum_ += np.float64(left[i, j]) * np.float64(right[i, j])
    return sum_


@compiled
def sum_of(values: Floats) -> float:
    """Return the sum of `values` in their order."""
    sum_ = 0.0
    for value in values:
        sum_ += value
    return sum_


@compiled
def share_of_norm(squared: float, squared_norm: float) -> float:
    """Return the relative error; what rounding makes negative is 0."""
    # What overflows must not pass for a perfect fit, whatever its sign.
    return 0.0 if -np.inf < squared < 0 else np.sqrt(abs(squared) / squared_norm)
