"""The compiled likeness of the iteration loop in `lnmf_core.solve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.joint import joint_step
from lnmf_core.kernels.sums import csr_times, csr_transposed_times, relative_error
from lnmf_core.kernels.sweeps import extrapolate_into, sweep_into

if TYPE_CHECKING:
    from lnmf_core.factors import Array

BUILT_ON = "aa6c4e2c21839bd3"

GOING_ON, EXACT, TOLERANCE, BUDGET, NON_FINITE = range(5)
"""How `extrapolated_sweeps` ended."""


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

    X is `dense` (n × m), or CSR if `dense` is empty; without joint steps `sparse_sweeps` is the loop for CSR.
    D (n × k) and Ct (m × k), C-contiguous, become the best pair. `errors` takes the start's relative error and then
    one after each iteration, until it is full (BUDGET). `table`, `period`, `pace` and `joint` (may be empty) are
    those of the plan; `rounding`, `tolerance` and `memory` those of the stopping test. Sweeps allocate next to
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
