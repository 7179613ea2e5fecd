"""Singular vectors of a matrix with a short side, from the Gram matrix of that side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled, reduction
from lnmf_core.kernels.directions import random_directions

if TYPE_CHECKING:
    from lnmf_core.factors import Array

BUILT_ON = "bf26e9d6885d4e3e"

DIRECT = 32
"""Rows of a Gram matrix up to which all eigenvectors are cheaper than a search for some of them."""
SPARE = 6
"""Directions beyond those wanted."""
ROUNDS = 6
"""Products of the directions with the Gram matrix."""
NEGLIGIBLE = 1e-12
"""Directions with less than this share of the largest squared singular value are taken for rounding."""


@compiled
def csr_turned(
    indptr: NDArray[Any], indices: NDArray[Any], data: Array, columns: int
) -> tuple[NDArray[Any], NDArray[Any], Array]:
    """Return Xᵀ as the three arrays of CSR, rows of ascending columns."""
    begins = np.zeros(columns + 1, np.int64)
    for at in range(len(indices)):
        begins[indices[at] + 1] += 1
    for column in range(columns):
        begins[column + 1] += begins[column]
    places = begins.copy()
    rows, values = np.empty(len(indices), np.int32), np.empty(len(indices), data.dtype)
    for row in range(len(indptr) - 1):
        for at in range(indptr[row], indptr[row + 1]):
            place = places[indices[at]]
            rows[place], values[place] = row, data[at]
            places[indices[at]] = place + 1
    return begins, rows, values


@compiled
def csr_gram(indptr: NDArray[Any], indices: NDArray[Any], data: Array, columns: int) -> NDArray[np.float64]:
    """Return XᵀX (m × m) in float64 for X in CSR with ascending columns."""
    gram = np.zeros((columns, columns))
    for row in range(len(indptr) - 1):
        for at in range(indptr[row], indptr[row + 1]):
            value, line = np.float64(data[at]), gram[indices[at]]
            for other in range(indptr[row], at + 1):
                line[indices[other]] += value * data[other]
    for i in range(columns):
        for j in range(i):
            gram[j, i] = gram[i, j]
    return gram


@reduction
def orthonormal_rows(block: NDArray[np.float64], passes: int) -> None:
    """Make the rows of `block` orthonormal by Gram and Schmidt; those that the others span become zero.

    Two passes are enough for it to be so but for rounding (Giraud et al. 2005).
    """
    rows, length = block.shape
    for i in range(rows):
        before = 0.0
        for at in range(length):
            before += block[i, at] * block[i, at]
        for _ in range(passes):
            for j in range(i):
                share = 0.0
                for at in range(length):
                    share += block[i, at] * block[j, at]
                for at in range(length):
                    block[i, at] -= share * block[j, at]
        after = 0.0
        for at in range(length):
            after += block[i, at] * block[i, at]
        scale = 1 / np.sqrt(after) if after > 1e-24 * before else 0.0
        for at in range(length):
            block[i, at] *= scale


@compiled
def leading_eigenvectors(
    gram: NDArray[np.float64], count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return at most `count` eigenvalues of `gram` (s × s), descending, and their vectors, as rows.

    `gram` is positive semidefinite; what is negligible is left out. Up to `DIRECT` rows they are exact, beyond
    found by subspace iteration from random directions (Halko, Martinsson & Tropp 2011).
    """
    size = len(gram)
    wanted = min(count, size)
    block = np.eye(size)
    small = gram
    if size > DIRECT and size > wanted + SPARE:
        directions = np.empty((size, wanted + SPARE))
        random_directions(seed, directions)
        block = np.ascontiguousarray(directions.T)
        # X's unit is anything: squares of it may overflow.
        scaled = gram * (1 / np.trace(gram))
        for each in range(ROUNDS):
            block = np.dot(block, scaled)
            orthonormal_rows(block, 2 if each == ROUNDS - 1 else 1)
        small = np.dot(np.dot(block, gram), block.T)
    values, vectors = np.linalg.eigh(small)
    found = 0
    while found < wanted and values[-1 - found] > NEGLIGIBLE * values[-1]:
        found += 1
    rotation = np.empty((found, len(small)))
    for i in range(found):
        rotation[i] = vectors[:, -1 - i]
    return values[::-1][:found].copy(), np.dot(rotation, block)


@compiled
def triplets_of_gram(
    dense: Array, indptr: NDArray[Any], indices: NDArray[Any], data: Array, columns: int, count: int, seed: int
) -> tuple[Array, Array, Array]:
    """Return the leading left vectors (n × count), singular values and right vectors (m × count) of X.

    X is `dense`, or CSR with so many columns if `dense` is empty. Triplets that X lacks are zero.
    """
    is_dense = dense.shape[0] > 0
    rows = dense.shape[0] if is_dense else len(indptr) - 1
    turned = rows < columns
    if is_dense:
        wide = dense.astype(np.float64)
        gram = np.dot(wide, wide.T) if turned else np.dot(wide.T, wide)
    elif turned:
        begins, others, values = csr_turned(indptr, indices, data, columns)
        gram = csr_gram(begins, others, values, rows)
    else:
        gram = csr_gram(indptr, indices, data, columns)
    squares, vectors = leading_eigenvectors(gram, count, seed)
    short, strengths = np.zeros((len(gram), count)), np.zeros(count, data.dtype)
    for j in range(len(squares)):
        strengths[j] = np.sqrt(squares[j])
        for i in range(len(gram)):
            short[i, j] = vectors[j, i]
    long = np.zeros((max(rows, columns), count))
    if is_dense and turned:
        np.dot(wide.T, short, long)
    elif is_dense:
        np.dot(wide, short, long)
    else:
        for row in range(rows):
            for at in range(indptr[row], indptr[row + 1]):
                value = np.float64(data[at])
                target, source = (indices[at], row) if turned else (row, indices[at])
                for j in range(count):
                    long[target, j] += value * short[source, j]
    for i in range(len(long)):
        for j in range(len(squares)):
            long[i, j] /= np.sqrt(squares[j])
    own_short, own_long = short.astype(data.dtype), long.astype(data.dtype)
    return (own_short, strengths, own_long) if turned else (own_long, strengths, own_short)
