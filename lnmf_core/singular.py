"""Leading singular triplets of X, from a few products with thin matrices: a sparse X stays sparse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lnmf_core.kernels.directions import random_directions
from lnmf_core.kernels.lanes import WIDTH

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.matrix import Matrix

OVERSAMPLING = 6
"""Directions beyond those wanted, at least: they make the wanted ones accurate."""

PRODUCTS = 4
"""With XᵀX."""

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
    for _ in range(PRODUCTS - 1):
        directions = _next_directions(directions, matrix.gram_times(directions))
    returned = matrix.gram_times(directions)
    whitening = _whitening(directions, returned)
    # U = X·directions·whitening is orthonormal, and what is left is to rotate it: Xᵀ·U = right·diag(values)·rotationᵀ.
    returned = returned @ whitening
    squares, rotation = _spectrum(returned, returned)
    found = min(count, len(squares))
    values = np.sqrt(squares[:found])
    left = matrix.times(directions @ (whitening @ rotation[:, :found].astype(dtype)))
    right = returned @ (rotation[:, :found] / values).astype(dtype)
    return Triplets(*(_padded(part, count, dtype) for part in (left, values, right)))


def _width(count: int, shape: tuple[int, int]) -> int:
    return min(WIDTH * math.ceil((count + OVERSAMPLING) / WIDTH), *shape)


def _next_directions(directions: Array, returned: Array) -> Array:
    """Return a basis of what the columns of `returned` = XᵀX·directions span."""
    energies, rotation = _spectrum(directions, returned)
    # To make them orthonormal costs more than the product, and is only needed where small ones would get lost.
    apart = math.sqrt(np.finfo(returned.dtype).eps)
    if len(energies) == directions.shape[1] and energies[-1] > apart * energies[0]:
        return returned * returned.dtype.type(1 / energies[0])
    returned = returned @ (rotation / np.sqrt(energies)).astype(returned.dtype)
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
