"""Leading singular triplets of X, from a few products with thin matrices: a sparse X stays sparse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.matrix import Matrix

OVERSAMPLING = 8
"""Directions beyond those wanted: they make the wanted ones accurate."""

POWER_STEPS = 2

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
    width = min(count + OVERSAMPLING, *matrix.shape)
    directions = np.random.default_rng(seed).standard_normal((matrix.shape[1], width))
    images = matrix.times(directions.astype(matrix.dtype))
    for _ in range(POWER_STEPS):
        # (Xᵀ·images)·whiten, not Xᵀ·(images·whiten): the same, but only the services' side is multiplied.
        returned = matrix.transposed_times(images) @ _whitening(images)
        directions = returned @ _whitening(returned)
        images = matrix.times(directions)
    squares, rotation = _spectrum(images)
    found = min(count, len(squares))
    values = np.sqrt(squares[:found])
    left = images @ (rotation[:, :found] / values).astype(matrix.dtype)
    right = directions @ rotation[:, :found].astype(matrix.dtype)
    return Triplets(*(_padded(part, count, matrix.dtype) for part in (left, values, right)))


def _whitening(columns: Array) -> Array:
    """Return W, l × r, such that columns · W is an orthonormal basis of what the l columns span.

    The Gram trick: far faster than QR of tall matrices, but it squares their condition, which is why
    `_spectrum` works in float64 and drops what is negligible.
    """
    squares, rotation = _spectrum(columns)
    return (rotation / np.sqrt(squares)).astype(columns.dtype)


def _spectrum(columns: Array) -> tuple[Array, Array]:
    """Return the eigenvalues of columnsᵀ · columns that aren't negligible, descending, and their vectors."""
    wide = columns.astype(np.float64, copy=False)
    squares, vectors = np.linalg.eigh(wide.T @ wide)
    kept = squares > NEGLIGIBLE * squares[-1]
    return squares[kept][::-1], np.ascontiguousarray(vectors[:, kept][:, ::-1])


def _padded(part: Array, count: int, dtype: np.dtype[np.floating[Any]]) -> Array:
    """Return `part` with its last axis, filled up with zeros, of length `count`."""
    out = np.zeros((*part.shape[:-1], count), dtype)
    out[..., : part.shape[-1]] = part
    return out
