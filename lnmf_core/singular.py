"""Leading singular triplets of X, from a few products with thin matrices: a sparse X stays sparse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lnmf_core.kernels.directions import random_directions
from lnmf_core.kernels.vectors import WIDTH

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.matrix import Matrix

OVERSAMPLING = 6
"""Directions beyond those wanted, at least: they make the wanted ones accurate."""

DRAFTS = 3
"""Products with XᵀX before the last."""

APART = 1e-6
"""Least share of the largest energy that the smallest must have for a draft in float32."""

NEGLIGIBLE = 1e-12
"""Directions with less than this share of the largest squared singular value are taken for rounding."""


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
    directions = np.empty((matrix.shape[1], _width(count, matrix.shape)), dtype)
    random_directions(seed, directions)
    directions = _draft(matrix, directions)
    returned = matrix.gram_times(directions)
    whitening = _whitening(directions, returned)
    # U = X·directions·whitening is orthonormal; it is left to rotate it: Xᵀ·U = right·diag(values)·rotationᵀ.
    returned = returned @ whitening
    squares, rotation = _spectrum(returned, returned)
    found = min(count, len(squares))
    values = np.sqrt(squares[:found])
    left = matrix.times(directions @ (whitening @ rotation[:, :found].astype(dtype)))
    right = returned @ (rotation[:, :found] / values).astype(dtype)
    return Triplets(*(_padded(part, count, dtype) for part in (left, values, right)))


def _width(count: int, shape: tuple[int, int]) -> int:
    return min(WIDTH * math.ceil((count + OVERSAMPLING) / WIDTH), *shape)


def _draft(matrix: Matrix, directions: Array) -> Array:
    """Return (XᵀX)^`DRAFTS` times `directions`, or another basis of the same space.

    Where no direction outgrows the others by far, the digits of float32 are enough for all but the last product,
    and nothing need be made orthonormal in between. Otherwise it is done again with care.
    """
    rough_gram_times = matrix.rough_gram_times()
    drafted = returned = directions
    for _ in range(DRAFTS):
        drafted, returned = returned, rough_gram_times(returned)
        # X's unit is anything: powers of it may overflow.
        returned *= returned.dtype.type(1 / max(returned.max(), -returned.min()))
    energies = np.linalg.eigvalsh((drafted.T.astype(returned.dtype, copy=False) @ returned).astype(np.float64))
    if energies[0] > APART * energies[-1]:
        return returned.astype(matrix.dtype, copy=False)
    for _ in range(DRAFTS):
        directions = _next_directions(directions, matrix.gram_times(directions))
    return directions


def _next_directions(directions: Array, returned: Array) -> Array:
    """Return an orthonormal basis of what the columns of `returned` = XᵀX·directions span."""
    returned = returned @ _whitening(directions, returned)
    return returned @ _whitening(returned, returned)


def _whitening(left: Array, right: Array) -> Array:
    """Return W, l × r, such that Wᵀ·leftᵀ·right·W = 1, for a product that is symmetric.

    The Gram trick: far faster than QR of tall matrices, but it squares their condition, which is why
    `_spectrum` works in float64 and drops what is negligible.
    """
    squares, rotation = _spectrum(left, right)
    return (rotation / np.sqrt(squares)).astype(left.dtype)


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
