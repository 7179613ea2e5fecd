"""A Gauss–Newton step in both factors at once, exactly solved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled, reduction
from lnmf_core.kernels.joint_lanes import (
    LANES,
    lane_inner,
    lanes_couple,
    lanes_of,
    lanes_times,
    pair_numbers,
    project_lanes,
    subtract_product,
)

if TYPE_CHECKING:
    from lnmf_core.factors import Array

BUILT_ON = "16e95515d3db5740"

FEW = 64
"""Rows of the longer factor up to which each row gets an inverse of its own."""


@compiled
def free_sets(
    factor: Array,
    descent: Array,
    present: NDArray[np.bool_],
    sets: NDArray[np.int64],
    group: NDArray[np.int64],
    table: NDArray[np.int64],
) -> int:
    """Write each row's group, and each group's free set, bit j for column j (at most 62); return their number.

    A column is free if it is `present`, and the entry is positive or `descent` says that it should become so.
    Groups are numbered as they appear. `table` is room for hashes: a power of two, more entries than rows.
    """
    rows, k = factor.shape
    size = len(table)
    table[:] = -1
    found = 0
    for i in range(rows):
        code = 0
        for j in range(k):
            if present[j] and (factor[i, j] > 0 or descent[i, j] > 0):
                code |= 1 << j
        at = (code ^ (code >> 15) ^ (code >> 30)) & (size - 1)
        while table[at] >= 0 and sets[table[at]] != code:
            at = (at + 1) & (size - 1)
        if table[at] < 0:
            table[at] = found
            sets[found] = code
            found += 1
        group[i] = table[at]
    return found


@compiled
def masked_inverses(codes: NDArray[np.int64], matrix: Array, out: Array) -> None:
    """Write to out[g] the inverse of `matrix` (k × k, positive definite) on the set codes[g], zero outside.

    Gauss–Jordan without pivots, which a positive definite matrix does not need.
    """
    k = len(matrix)
    work = np.empty((k, k), matrix.dtype)
    held = np.empty(k, np.int64)
    for g in range(len(codes)):
        count = 0
        for j in range(k):
            if codes[g] >> j & 1:
                held[count] = j
                count += 1
        for a in range(count):
            for b in range(count):
                work[a, b] = matrix[held[a], held[b]]
        for pivot in range(count):
            scale = 1 / work[pivot, pivot]
            for b in range(count):
                work[pivot, b] *= scale
            work[pivot, pivot] = scale
            for a in range(count):
                if a != pivot:
                    share = work[a, pivot]
                    work[a, pivot] = 0
                    for b in range(count):
                        work[a, b] -= share * work[pivot, b]
        out[g] = 0
        for a in range(count):
            for b in range(count):
                out[g, held[a], held[b]] = work[a, b]


@compiled
def group_squares(factor: Array, group: NDArray[np.int64], out: Array) -> None:
    """Write to out[g] the sum of the outer products of the rows of `factor` that belong to group g."""
    rows, k = factor.shape
    out[:] = 0
    for i in range(rows):
        g = group[i]
        for a in range(k):
            value = factor[i, a]
            for b in range(k):
                out[g, a, b] += value * factor[i, b]


@reduction
def group_times(matrices: Array, group: NDArray[np.int64], vectors: Array, out: Array) -> None:
    """Write to out[i] the symmetric matrix of row i's group times vectors[i]."""
    rows, k = vectors.shape
    for i in range(rows):
        matrix = matrices[group[i]]
        for a in range(k):
            total = 0.0
            for b in range(k):
                total += matrix[a, b] * vectors[i, b]
            out[i, a] = total


@compiled
def prepare_side(
    factor: Array,
    cross: Array,
    gram: Array,
    damping: float,
    least: float,
    wide: Array,
    descent: Array,
    group: NDArray[np.int64],
) -> Array:
    """Write F in float64, minus its gradient and each row's group; return the groups' inverses (g × k × k)."""
    rows, k = factor.shape
    damped = np.empty((k, k))
    present = np.empty(k, np.bool_)
    for a in range(k):
        present[a] = gram[a, a] > least
        for b in range(k):
            damped[a, b] = gram[a, b]
    wide[:] = factor
    np.dot(wide, damped, descent)
    descent[:] = cross - descent
    for a in range(k):
        damped[a, a] *= 1 + damping
    size = 2
    while size <= rows:
        size *= 2
    sets = np.empty(rows, np.int64)
    found = free_sets(wide, descent, present, sets, group, np.empty(2 * size, np.int64))
    inverses = np.empty((found, k, k))
    masked_inverses(sets[:found], damped, inverses)
    return inverses


@compiled
def couple(factor: Array, group: NDArray[np.int64], inverses: Array) -> Array:
    """Return T (k² × k²) with T[(a, c), (b, d)] = Σ_i F_ia F_ic P_i⁻¹_bd."""
    found, k, _ = inverses.shape
    squares = np.empty_like(inverses)
    group_squares(factor, group, squares)
    return np.dot(squares.reshape(found, k * k).T, inverses.reshape(found, k * k))


@compiled
def eliminate(matrix: Array, right: Array) -> None:
    """Make `right` the solution of matrix · x = right by Gauss with row pivots; `matrix` is used up."""
    size = len(matrix)
    for column in range(size):
        pivot = column
        for row in range(column + 1, size):
            if abs(matrix[row, column]) > abs(matrix[pivot, column]):
                pivot = row
        if pivot != column:
            for j in range(column, size):
                matrix[column, j], matrix[pivot, j] = matrix[pivot, j], matrix[column, j]
            right[column], right[pivot] = right[pivot], right[column]
        for row in range(column + 1, size):
            share = matrix[row, column] / matrix[column, column]
            for j in range(column, size):
                matrix[row, j] -= share * matrix[column, j]
            right[row] -= share * right[column]
    for row in range(size - 1, -1, -1):
        value = right[row]
        for j in range(row + 1, size):
            value -= matrix[row, j] * right[j]
        right[row] = value / matrix[row, row]


@compiled
def joint_step_of_few(
    D: Array,
    Ct: Array,
    cross_D: Array,
    gram_C: Array,
    cross_C: Array,
    gram_D: Array,
    damping: float,
    D_out: Array,
    C_out: Array,
) -> bool:
    """Do what `joint_step` does, with few rows side by side and in one piece of memory."""
    (n, k), m = D.shape, len(Ct)
    least = np.finfo(D.dtype).tiny
    at = pair_numbers(k)
    pairs, size = k * (k + 1) // 2, k * k
    lanes = (max(n, m) + LANES - 1) // LANES * LANES
    depth = 4 * k + pairs + 1
    # One piece of memory: each would cost as much as a hundred multiplications.
    room = np.empty(2 * depth * lanes + 2 * pairs * pairs + 3 * size * size + 2 * size)
    sides = room[: 2 * depth * lanes].reshape(2, depth, lanes)
    left, right = sides[0], sides[1]
    rest = room[2 * depth * lanes :]
    couples = rest[: 2 * pairs * pairs].reshape(2, pairs, pairs)
    rest = rest[2 * pairs * pairs :]
    squares = rest[: 3 * size * size].reshape(3, size, size)
    M_D, M_C, system = squares[0], squares[1], squares[2]
    A, B = rest[3 * size * size : -size], rest[-size:]
    D_wide, D_descent, D_free, D_inverses = left[:k], left[k : 2 * k], left[2 * k : 3 * k], left[4 * k : -1]
    C_wide, C_descent, C_free, C_inverses = right[:k], right[k : 2 * k], right[2 * k : 3 * k], right[4 * k : -1]
    x, y = left[3 * k : 4 * k], right[3 * k : 4 * k]
    lanes_of(D, cross_D, gram_C, damping, least, at, D_wide, D_descent, D_free, D_inverses, left[-1])
    lanes_of(Ct, cross_C, gram_D, damping, least, at, C_wide, C_descent, C_free, C_inverses, right[-1])
    lanes_times(D_inverses, at, D_descent, x)
    lanes_times(C_inverses, at, C_descent, y)
    lanes_couple(D_wide, D_inverses, at, left[-1], couples[0])
    lanes_couple(C_wide, C_inverses, at, right[-1], couples[1])
    for a in range(k):
        for b in range(k):
            B[a * k + b] = lane_inner(D_wide[a], x[b])
            A[a * k + b] = lane_inner(y[a], C_wide[b])
            for c in range(k):
                for d in range(k):
                    M_D[a * k + b, c * k + d] = couples[0, at[a, c], at[b, d]]
                    M_C[a * k + b, c * k + d] = couples[1, at[b, d], at[a, c]]
    system[:] = 0.0
    for a in range(size):
        system[a, a] = 1.0
        for b in range(size):
            A[a] -= M_C[a, b] * B[b]
    subtract_product(M_C, M_D, system)
    eliminate(system, A)
    for a in range(size):
        for b in range(size):
            B[a] -= M_D[a, b] * A[b]
    subtract_product(A.reshape(k, k).T, D_wide, D_descent)
    subtract_product(B.reshape(k, k), C_wide, C_descent)
    lanes_times(D_inverses, at, D_descent, x)
    lanes_times(C_inverses, at, C_descent, y)
    return bool(np.isfinite(project_lanes(D_wide, x, D_out) + project_lanes(C_wide, y, C_out)))


@compiled
def joint_step(
    D: Array,
    Ct: Array,
    cross_D: Array,
    gram_C: Array,
    cross_C: Array,
    gram_D: Array,
    damping: float,
    D_out: Array,
    C_out: Array,
) -> bool:
    """Write [D + x]₊ and [Cᵀ + yᵀ]₊ for the damped Gauss–Newton step (x, y) of ½‖X − (D + x)(C + y)‖².

    With g = cross − F·gram and P_i, Q_j the damped grams on the rows' free sets, its normal equations are
    x_i = P_i⁻¹(g_i − Aᵀ D_i) and y_j = Q_j⁻¹(h_j − B C_j), where A = yCᵀ and B = Dᵀx are k × k. Summed against
    D and C they become B = B⁰ − M_D A and A = A⁰ − M_C B, with M_D = Σ D_iD_iᵀ ⊗ P_i⁻¹ and
    M_C = Σ Q_j⁻¹ ⊗ C_jC_jᵀ: k² equations for A. Rows with the same free set share an inverse. Computed in
    float64; returns whether the result is finite.
    """
    if max(len(D), len(Ct)) <= FEW:
        return joint_step_of_few(D, Ct, cross_D, gram_C, cross_C, gram_D, damping, D_out, C_out)
    (n, k), m = D.shape, len(Ct)
    least = np.finfo(D.dtype).tiny
    left, left_descent, left_group = np.empty((n, k)), np.empty((n, k)), np.empty(n, np.int64)
    right, right_descent, right_group = np.empty((m, k)), np.empty((m, k)), np.empty(m, np.int64)
    left_inverses = prepare_side(D, cross_D, gram_C, damping, least, left, left_descent, left_group)
    right_inverses = prepare_side(Ct, cross_C, gram_D, damping, least, right, right_descent, right_group)
    x, y = np.empty((n, k)), np.empty((m, k))
    group_times(left_inverses, left_group, left_descent, x)
    group_times(right_inverses, right_group, right_descent, y)
    alone_B, alone_A = np.dot(left.T, x).ravel(), np.dot(y.T, right).ravel()
    left_couple, right_couple = (
        couple(left, left_group, left_inverses),
        couple(right, right_group, right_inverses),
    )
    M_D, M_C = np.empty((k * k, k * k)), np.empty((k * k, k * k))
    for a in range(k):
        for b in range(k):
            for c in range(k):
                for d in range(k):
                    M_D[a * k + b, c * k + d] = left_couple[a * k + c, b * k + d]
                    M_C[a * k + b, c * k + d] = right_couple[b * k + d, a * k + c]
    system = np.dot(M_C, M_D)
    for a in range(k * k):
        for b in range(k * k):
            system[a, b] = -system[a, b]
        system[a, a] += 1
    A = alone_A - np.dot(M_C, alone_B)
    eliminate(system, A)
    B = alone_B - np.dot(M_D, A)
    left_descent -= np.dot(left, A.reshape(k, k))
    right_descent -= np.dot(right, B.reshape(k, k).T)
    group_times(left_inverses, left_group, left_descent, x)
    group_times(right_inverses, right_group, right_descent, y)
    total = 0.0
    for i in range(n):
        for j in range(k):
            D_out[i, j] = max(left[i, j] + x[i, j], 0.0)
            total += left[i, j] + x[i, j]
    for i in range(m):
        for j in range(k):
            C_out[i, j] = max(right[i, j] + y[i, j], 0.0)
            total += right[i, j] + y[i, j]
    return bool(np.isfinite(total))
