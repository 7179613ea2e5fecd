"""Leading singular triplets of X, from a few products with thin matrices: a sparse X stays sparse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lnmf_core.kernels.directions import random_directions
from lnmf_core.kernels.grams import NEGLIGIBLE, triplets_of_gram
from lnmf_core.kernels.vectors import WIDTH

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.matrix import Matrix

OVERSAMPLING = 6
"""Directions beyond those wanted, at least: they make the wanted ones accurate."""

DRAFTS = 3
"""Products with XᵀX before the last."""

SHORT, MOST_WORK = 100, 1_000_000
"""Length of X's short side, and multiplications, up to which its Gram matrix is made as it is."""

APART = 1e-9
"""Least share of the largest energy, after one product more, that the smallest must have for a draft in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Triplets:
    """X ≈ left · diag(values) · rightᵀ, in X's dtype; triplets that X lacks are zero."""

    left: Array
    """n × k, orthonormal columns."""
    values: Array
    """k singular values, descending."""
    right: Array
    """m × k, orthonormal columns."""


def leading_triplets(matrix: Matrix, count: int, seed: int) -> Triplets:
    """Return the `count` ≤ min(n, m) leading singular triplets; equal seeds give equal results.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.1). The random
    directions belong to columns of X, so that permuting its rows permutes `left` and nothing else. Values are
    found from below: none exceeds the true one but for rounding.
    """
    dtype = matrix.dtype
    if _has_short_side(matrix):
        return Triplets(*triplets_of_gram(*matrix.parts(), matrix.shape[1], count, seed))
    directions = np.empty((matrix.shape[1], _width(count, matrix.shape)), dtype)
    random_directions(seed, directions)
    directions, returned, whitening = _whitened(matrix, directions)
    # U = X·directions·whitening is orthonormal; it is left to rotate it: Xᵀ·U = right·diag(values)·rotationᵀ.
    returned = returned @ whitening
    squares, rotation = _spectrum(returned, returned)
    found = min(count, len(squares))
    values = np.sqrt(squares[:found])
    left = matrix.times(directions @ (whitening @ rotation[:, :found].astype(dtype)))
    right = returned @ (rotation[:, :found] / values).astype(dtype)
    return Triplets(*(_padded(part, count, dtype) for part in (left, values, right)))


def _has_short_side(matrix: Matrix) -> bool:
    rows, columns = matrix.shape
    short, long = min(rows, columns), max(rows, columns)
    if short > SHORT:
        return False
    # What a Gram matrix costs: the squares of the numbers of entries along the long side.
    entries = rows * columns if isinstance(matrix.values, np.ndarray) else len(matrix.values.data)
    return entries * entries <= MOST_WORK * long


def _width(count: int, shape: tuple[int, int]) -> int:
    return min(WIDTH * math.ceil((count + OVERSAMPLING) / WIDTH), *shape)


def _whitened(matrix: Matrix, directions: Array) -> tuple[Array, Array, Array]:
    """Return (XᵀX)^`DRAFTS` times `directions` or another basis of the same space, XᵀX times that, and W.

    W is `_whitening` of both. Where no direction outgrows the others by far, the digits of float32 are enough for
    all but the last product, and nothing need be made orthonormal in between. Otherwise it is done again with care.
    """
    rough_gram_times = matrix.rough_gram_times()
    drafted = directions
    for _ in range(DRAFTS):
        drafted = rough_gram_times(drafted)
    drafted = drafted.astype(matrix.dtype, copy=False)
    returned = matrix.gram_times(drafted)
    squares, rotation = _spectrum(drafted, returned)
    if len(squares) == drafted.shape[1] and squares[-1] > APART * squares[0]:
        return drafted, returned, _whitening_of(squares, rotation, matrix.dtype)
    for _ in range(DRAFTS):
        directions = _next_directions(directions, matrix.gram_times(directions))
    returned = matrix.gram_times(directions)
    return directions, returned, _whitening(directions, returned)


def _next_directions(directions: Array, returned: Array) -> Array:
    """Return an orthonormal basis of what the columns of `returned` = XᵀX·directions span."""
    returned = returned @ _whitening(directions, returned)
    return returned @ _whitening(returned, returned)


def _whitening(left: Array, right: Array) -> Array:
    """Return W, l × r, such that Wᵀ·leftᵀ·right·W = 1, for a product that is symmetric.

    The Gram trick: far faster than QR of tall matrices, but it squares their condition, which is why
    `_spectrum` works in float64 and drops what is negligible.
    """
    return _whitening_of(*_spectrum(left, right), left.dtype)


def _whitening_of(squares: Array, rotation: Array, dtype: np.dtype[np.floating[Any]]) -> Array:
    return (rotation / np.sqrt(squares)).astype(dtype)


def _spectrum(left: Array, right: Array) -> tuple[Array, Array]:
    """Return the eigenvalues of leftᵀ · right that aren't negligible, descending, and their vectors."""
    wide, other = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    squares, vectors = np.linalg.eigh(wide.T @ other)
    kept = squares > NEGLIGIBLE * squares[-1]
    return squares[kept][::-1], np.ascontiguousarray(vectors[:, kept][:, ::-1])


def _padded(part: Array, count: int, dtype: np.dtype[np.floating[Any]]) -> Array:
    """Return `part` with its last axis, filled up with zeros, of length `count`."""
    if part.shape[-1] == count:
        return part.astype(dtype, copy=False)
    out = np.zeros((*part.shape[:-1], count), dtype)
    out[..., : part.shape[-1]] = part
    return out
