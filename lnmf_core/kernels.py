"""The compiled code of the core; the tests hold every kernel against plain numpy.

numba's cache does not notice changes in compiled functions of other files, so all of them stand here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lnmf_core.factors import Array

F = TypeVar("F", bound=Callable[..., Any])

LANES = 64
"""Rows that are swept side by side: enough to fill vector registers, few enough for the first cache."""
CHUNK = 1024
"""Products that are summed before compensation sets in."""

GOING_ON, EXACT, TOLERANCE, BUDGET, NON_FINITE = range(5)
"""How `extrapolated_sweeps` ended."""


def compiled(function: F) -> F:
    """Compile `function` at its first call for each dtype; the machine code is cached beside the source."""
    # Multiplications and additions may fuse and the sign of zero may be lost; NaN and infinity are kept.
    return _compiled(function, {"contract", "nsz"})


def reduction(function: F) -> F:
    """Compile `function` like `compiled`, free to add up in any order, as a vectorised sum must."""
    return _compiled(function, {"contract", "nsz", "reassoc"})


def _compiled(function: F, liberties: set[str]) -> F:
    # numpy's error model: a check for division by zero would keep the loop from being vectorised.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": liberties}
    try:
        return cast("F", numba.njit(cache=True, **options)(function))
    except RuntimeError:  # numba found no place for its cache: compile once for each process
        return cast("F", numba.njit(**options)(function))


@compiled
def hals_sweeps(factor: Array, cross: Array, gram: Array, sweeps: int, least: float) -> Array:
    """Return `factor` (rows × k) after `sweeps` rounds of nonnegative Gauss–Seidel over its k columns.

    f_j ← [f_j + (cross_j − F·gram_j) / gram_jj]₊ for j = 1 … k in turn: the exact minimum in f_j (Cichocki &
    Phan 2009). Columns with gram_jj ≤ `least` are left as they are: their component is absent from the
    partner, so that every value is as good. All arrays have one dtype; none is changed.
    """
    out = np.empty_like(factor)
    sweep_into(factor, cross, gram, sweeps, least, out)
    return out


@compiled
def sweep_into(factor: Array, cross: Array, gram: Array, sweeps: int, least: float, out: Array) -> None:
    """Write what `hals_sweeps` returns to `out`, which may be `factor` itself."""
    rows, k = factor.shape
    zero = factor.dtype.type(0)
    # Rows do not depend on one another, columns do. So a block of rows is turned on its side and the inner
    # loops run over rows, which vectorises; the block stays in the cache for all sweeps.
    block = np.empty((k, LANES), factor.dtype)
    target = np.empty((k, LANES), factor.dtype)
    fresh = np.empty(LANES, factor.dtype)
    # The division by gram_jj is made once for all rows.
    weights = np.zeros((k, k), factor.dtype)
    present = np.zeros(k, np.bool_)
    for j in range(k):
        present[j] = not gram[j, j] <= least
        if present[j]:
            for other in range(k):
                weights[j, other] = -gram[j, other] / gram[j, j]
            weights[j, j] = zero
    for begin in range(0, rows, LANES):
        width = min(LANES, rows - begin)
        for i in range(width):
            for j in range(k):
                block[j, i] = factor[begin + i, j]
                target[j, i] = cross[begin + i, j]
        for j in range(k):
            if present[j]:
                for i in range(width):
                    target[j, i] /= gram[j, j]
        for _ in range(sweeps):
            for j in range(k):
                if not present[j]:
                    continue
                for i in range(width):
                    fresh[i] = target[j, i]
                for other in range(k):
                    weight = weights[j, other]
                    for i in range(width):
                        fresh[i] += weight * block[other, i]
                for i in range(width):
                    value = fresh[i]
                    block[j, i] = zero if value < zero else value  # noqa: FURB136  (max would hide NaN)
        for i in range(width):
            for j in range(k):
                out[begin + i, j] = block[j, i]


@compiled
def extrapolate_into(new: Array, old: Array, momentum: float, out: Array) -> None:
    """Write [new + momentum·(new − old)]₊ to `out`; all are C-contiguous, of one shape and dtype."""
    a, b, c = new.ravel(), old.ravel(), out.ravel()
    if momentum == 0:
        c[:] = a
        return
    zero, share = new.dtype.type(0), new.dtype.type(momentum)
    for i in range(a.size):
        value = a[i] + share * (a[i] - b[i])
        c[i] = zero if value < zero else value  # noqa: FURB136


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


@compiled
def extrapolated_sweeps(
    dense: Array,
    indptr: NDArray[Any],
    indices: NDArray[Any],
    data: Array,
    squared_norm: float,
    D: Array,
    Ct: Array,
    sweeps: int,
    table: NDArray[np.float64],
    period: int,
    pace: NDArray[np.float64],
    joint: NDArray[np.float64],
    errors: NDArray[np.float64],
    rounding: float,
    tolerance: float,
    memory: int,
) -> tuple[int, int]:
    """Run `solve._iterate` for a rule that is a `SweepPlan`; return the number of errors and how it ended.

    X is `dense` (n × m), or CSR if `dense` is empty. D (n × k) and Ct (m × k), C-contiguous, become the best
    pair. `errors` takes the start's relative error and then one after each iteration, until it is full
    (BUDGET). `table`, `period`, `pace` and `joint` (may be empty) are those of the plan;
    `rounding`, `tolerance` and `memory` those of the stopping test. Sweeps allocate next to
    nothing.
    """
    sparse = dense.shape[0] == 0
    least = np.finfo(D.dtype).tiny
    D_new, D_kept, D_before, D_next = D.copy(), D.copy(), D.copy(), D.copy()
    C_kept, C_before, C_from, C_next = Ct.copy(), Ct.copy(), Ct.copy(), Ct.copy()
    cross_D, cross_C = np.empty_like(D), np.empty_like(Ct)
    gram_C, gram_D, gram_next = np.dot(Ct.T, Ct), np.dot(D.T, D), np.dot(Ct.T, Ct)
    if sparse:
        csr_times(indptr, indices, data, Ct, cross_D)
    else:
        np.dot(dense, Ct, cross_D)
    errors[0] = relative_error(squared_norm, D, cross_D, gram_C, gram_D)
    if not np.isfinite(errors[0]):
        return 1, NON_FINITE
    scale, ceiling = pace[0], pace[4]
    rose = False
    damping = joint[0] if len(joint) else 0.0
    for step in range(errors.size - 1):
        row = step if step < len(table) else len(table) - period + (step - len(table)) % period
        share = 0.0 if rose else scale
        jumped = False
        if len(joint) and step and not rose:
            jumped = joint_step(D, Ct, cross_D, gram_C, cross_C, gram_D, damping, D_next, C_from)
        if not jumped:
            extrapolate_into(D_kept, D_before, share * table[row, 0], D_new)
            sweep_into(D_new, cross_D, gram_C, sweeps, least, D_new)
            extrapolate_into(D_new, D_kept, share * table[row, 2], D_next)
            extrapolate_into(C_kept, C_before, share * table[row, 1], C_from)
        if sparse:
            csr_transposed_times(indptr, indices, data, D_next, cross_C)
        else:
            np.dot(dense.T, D_next, cross_C)
        np.dot(D_next.T, D_next, gram_D)
        if not np.isfinite(gram_D).all():
            return step + 1, NON_FINITE
        sweep_into(C_from, cross_C, gram_D, sweeps, least, C_next)
        np.dot(C_next.T, C_next, gram_next)
        error = relative_error(squared_norm, C_next, cross_C, gram_D, gram_next)
        if not np.isfinite(error):
            return step + 1, NON_FINITE
        rose = not error <= np.hypot(errors[step], rounding)
        if jumped:
            damping = min(max(damping * (joint[2] if rose else joint[1]), joint[3]), joint[4])
            D_new[:] = D_next
        if rose:
            D_kept[:], D_before[:], C_kept[:], C_before[:] = D, D, Ct, Ct
            ceiling, scale = scale, scale / pace[1]
        else:
            D[:], Ct[:] = D_next, C_next
            D_before, D_kept, D_new = D_kept, D_new, D_before
            C_before, C_kept, C_next = C_kept, C_next, C_before
            gram_C[:] = gram_next
            scale, ceiling = min(ceiling, scale * pace[2]), min(pace[4], ceiling * pace[3])
        errors[step + 1] = min(error, errors[step])
        if errors[step + 1] <= rounding:
            return step + 2, EXACT
        if step + 1 >= memory and errors[step + 1 - memory] - errors[step + 1] <= tolerance * errors[step + 1]:
            return step + 2, TOLERANCE
        if not rose:
            if sparse:
                csr_times(indptr, indices, data, Ct, cross_D)
            else:
                np.dot(dense, Ct, cross_D)
    return errors.size, BUDGET
