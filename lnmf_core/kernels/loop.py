"""The compiled likeness of the iteration loop in `lnmf_core.solve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.joint import joint_step
from lnmf_core.kernels.sums import all_finite, csr_times, csr_transposed_times, relative_error
from lnmf_core.kernels.sweeps import extrapolate_into, room_to_sweep, sweep_into

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.threads import Workers

BUILT_ON = "36cc90b7292a74ac"

GOING_ON, EXACT, TOLERANCE, BUDGET, NON_FINITE = range(5)
"""How `extrapolated_sweeps` ended."""


@compiled
def gram_into(factor: Array, out: Array) -> None:
    """Write FᵀF to `out`."""
    np.dot(factor.T, factor, out)


@compiled
def multiply_part(dense: Array, right: Array, out: Array, parts: int, part: int) -> None:
    """Write X·right to `out`, in the rows of one of `parts`."""
    begin, end = len(dense) * part // parts, len(dense) * (part + 1) // parts
    np.dot(dense[begin:end], right, out[begin:end])


@compiled
def sum_part(dense: Array, left: Array, sums: Array, parts: int, part: int) -> None:
    """Write Xᵀ·left, of the rows of one of `parts` alone, to sums[part]."""
    begin, end = len(dense) * part // parts, len(dense) * (part + 1) // parts
    np.dot(dense[begin:end].T, left[begin:end], sums[part])


@compiled
def add_parts(sums: Array, out: Array) -> None:
    """Write the sum of sums[0], sums[1], … to `out`, in this order."""
    _, rows, k = sums.shape
    for row in range(rows):
        for j in range(k):
            value = sums[0, row, j]
            for part in range(1, len(sums)):
                value += sums[part, row, j]
            out[row, j] = value


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
    parts: int,
    workers: Workers | None,
) -> tuple[int, int]:
    """Run `solve._iterate` for a rule that is a `SweepPlan`; return the number of errors and how it ended.

    X is `dense` (n × m), or CSR if `dense` is empty; without joint steps `sparse_sweeps` is the loop for CSR.
    D (n × k) and Ct (m × k), C-contiguous, become the best pair. `errors` takes the start's relative error and then
    one after each iteration, until it is full (BUDGET). `table`, `period`, `pace` and `joint` (may be empty) are
    those of the plan; `rounding`, `tolerance` and `memory` those of the stopping test. An iteration of sweeps
    allocates nothing; a joint step does. Products with dense X are made in `parts` of its rows, on which sums
    depend, and side by side where there are `workers`: then this function runs as it stands here, uncompiled.
    """
    sparse = dense.shape[0] == 0
    least = np.finfo(D.dtype).tiny
    D_new, D_kept, D_before, D_next = D.copy(), D.copy(), D.copy(), D.copy()
    C_kept, C_before, C_from, C_next = Ct.copy(), Ct.copy(), Ct.copy(), Ct.copy()
    cross_D, cross_C = np.empty_like(D), np.empty_like(Ct)
    k = D.shape[1]
    gram_C, gram_D, gram_next = np.empty((k, k), D.dtype), np.empty((k, k), D.dtype), np.empty((k, k), D.dtype)
    gram_into(Ct, gram_C)
    gram_into(D, gram_D)
    sums = np.empty((parts if parts > 1 else 0, len(Ct), k), D.dtype)
    room = np.empty(room_to_sweep(k), D.dtype)
    scale, ceiling = pace[0], pace[4]
    rose = False
    damping = joint[0] if len(joint) else 0.0
    for step in range(errors.size - 1):
        if not rose:
            if sparse:
                csr_times(indptr, indices, data, Ct, cross_D)
            elif parts == 1:
                np.dot(dense, Ct, cross_D)
            elif workers is None:
                for part in range(parts):
                    multiply_part(dense, Ct, cross_D, parts, part)
            else:
                workers.share(multiply_part, parts, dense, Ct, cross_D, parts)
        if step == 0:
            errors[0] = relative_error(squared_norm, D, cross_D, gram_C, gram_D)
            if not np.isfinite(errors[0]):
                return 1, NON_FINITE
        row = step if step < len(table) else len(table) - period + (step - len(table)) % period
        share = 0.0 if rose else scale
        jumped = False
        if len(joint) and step and not rose:
            jumped = joint_step(D, Ct, cross_D, gram_C, cross_C, gram_D, damping, D_next, C_from)
        if not jumped:
            extrapolate_into(D_kept, D_before, share * table[row, 0], D_new)
            sweep_into(D_new, cross_D, gram_C, sweeps, least, D_new, room)
            extrapolate_into(D_new, D_kept, share * table[row, 2], D_next)
            extrapolate_into(C_kept, C_before, share * table[row, 1], C_from)
        if sparse:
            csr_transposed_times(indptr, indices, data, D_next, cross_C)
        elif parts == 1:
            np.dot(dense.T, D_next, cross_C)
        else:
            if workers is None:
                for part in range(parts):
                    sum_part(dense, D_next, sums, parts, part)
            else:
                workers.share(sum_part, parts, dense, D_next, sums, parts)
            add_parts(sums, cross_C)
        gram_into(D_next, gram_D)
        if not all_finite(gram_D):
            return step + 1, NON_FINITE
        sweep_into(C_from, cross_C, gram_D, sweeps, least, C_next, room)
        gram_into(C_next, gram_next)
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
    return errors.size, BUDGET
