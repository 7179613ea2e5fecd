"""What a start from singular vectors is made of: random directions, XᵀX times directions, parts of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.tiles import ROWS, gather_rows, room, scatter_rows
from lnmf_core.kernels.vectors import WIDTH

if TYPE_CHECKING:
    from lnmf_core.factors import Array

BUILT_ON = "32c8e305abdfb344"


@compiled
def random_directions(seed: int, out: Array) -> None:
    """Fill `out` (m × w) with −1 … 1, four numbers from each word of SplitMix64 (Steele, Lea & Flood 2014)."""
    state, word, number = np.uint64(seed), np.uint64(0), 0
    unit = out.dtype.type(1 / 32768)
    for row in range(out.shape[0]):
        for j in range(out.shape[1]):
            if number % 4 == 0:
                state += np.uint64(0x9E3779B97F4A7C15)
                word = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                word ^= word >> np.uint64(31)
            out[row, j] = unit * (np.int64(word & np.uint64(0xFFFF)) - 32767.5)
            word >>= np.uint64(16)
            number += 1


@compiled
def random_factors(seed: int, level: float, rows: int, columns: int, rank: int, like: Array) -> tuple[Array, Array]:
    """Return D (rows × rank) and C (rank × columns), uniform from 0 to `level`, of the dtype of `like`."""
    D, C = np.empty((rows, rank), like.dtype), np.empty((rank, columns), like.dtype)
    uniform_values(seed, 0, level, D)
    uniform_values(seed, D.size, level, C)
    return D, C


@compiled
def uniform_values(seed: int, skip: int, level: float, out: Array) -> None:
    """Fill `out` with 0 … `level`, each from its own word of SplitMix64, after the first `skip` of them."""
    state = np.uint64(seed) + np.uint64(skip) * np.uint64(0x9E3779B97F4A7C15)
    unit = level / 9007199254740992.0  # 2⁵³
    for row in range(out.shape[0]):
        for j in range(out.shape[1]):
            state += np.uint64(0x9E3779B97F4A7C15)
            word = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            word ^= word >> np.uint64(31)
            out[row, j] = unit * np.float64(np.int64(word >> np.uint64(11)))


@compiled
def padded(columns: Array) -> Array:
    """Return a copy with zeros up to a multiple of `WIDTH` columns."""
    rows, width = columns.shape
    out = room(rows, -(-width // WIDTH) * WIDTH, columns)
    out[:] = 0
    for row in range(rows):
        for j in range(width):
            out[row, j] = columns[row, j]
    return out


@compiled
def csr_product(
    order: NDArray[np.int64], indptr: NDArray[Any], indices: NDArray[Any], data: Array, right: Array
) -> Array:
    """Return X·right for X in CSR, m × k in, n × k out. Row i becomes row order[i], unless there is no order."""
    rows, k = len(indptr) - 1, right.shape[1]
    wide = padded(right)
    images = room(ROWS, wide.shape[1], right)
    out = np.empty((rows, k), right.dtype)
    for begin in range(0, rows, ROWS):
        end = min(begin + ROWS, rows)
        gather_rows(indptr, indices, data, begin, end, wide, images)
        for row in range(begin, end):
            to = order[row] if len(order) else row
            for j in range(k):
                out[to, j] = images[row - begin, j]
    return out


@compiled
def csr_gram_product(indptr: NDArray[Any], indices: NDArray[Any], data: Array, right: Array) -> Array:
    """Return Xᵀ·(X·right) for X in CSR: m × k in and out, in one pass over X."""
    rows, (m, k) = len(indptr) - 1, right.shape
    wide = padded(right) if k % WIDTH else right
    images = room(ROWS, wide.shape[1], right)
    out = room(m, wide.shape[1], right)
    out[:] = 0
    for begin in range(0, rows, ROWS):
        end = min(begin + ROWS, rows)
        gather_rows(indptr, indices, data, begin, end, wide, images)
        scatter_rows(indptr, indices, data, begin, end, images, out)
    return np.ascontiguousarray(out[:, :k]) if k % WIDTH else out


@compiled
def part_norms(columns: Array, count: int) -> NDArray[np.float64]:
    """Return the squared norms of the positive and of the negative part of the first `count` columns, count × 2."""
    out = np.zeros((count, 2))
    for row in range(columns.shape[0]):
        for j in range(count):
            value = np.float64(columns[row, j])
            out[j, 0] += max(value, 0.0) ** 2
            out[j, 1] += min(value, 0.0) ** 2
    return out


@compiled
def keep_parts(columns: Array, scales: NDArray[np.float64]) -> None:
    """Set columns_j to [columns_j · scales_j]₊."""
    own, zero = scales.astype(columns.dtype), columns.dtype.type(0)
    for row in range(columns.shape[0]):
        for j in range(columns.shape[1]):
            columns[row, j] = max(columns[row, j] * own[j], zero)


@compiled
def nonnegative_parts(left: Array, values: Array, right: Array) -> NDArray[np.bool_]:
    """Make NNDSVD's factors of singular vectors, in place; return which components X has a triplet for.

    Of each pair the positive parts are kept, or minus the negative ones, where more is held; their norms are equal.
    """
    count = len(values)
    of_left, of_right = part_norms(left, count), part_norms(right, count)
    alive = np.empty(count, np.bool_)
    for_left, for_right = np.zeros(count), np.zeros(count)
    for j in range(count):
        side, sign = 0, 1.0
        if of_left[j, 1] * of_right[j, 1] > of_left[j, 0] * of_right[j, 0]:
            side, sign = 1, -1.0
        left_norm, right_norm = np.sqrt(of_left[j, side]), np.sqrt(of_right[j, side])
        strength = np.sqrt(values[j] * left_norm * right_norm)
        alive[j] = strength > 0
        if alive[j]:
            for_left[j], for_right[j] = sign * strength / left_norm, sign * strength / right_norm
    keep_parts(left, for_left)
    keep_parts(right, for_right)
    return alive
