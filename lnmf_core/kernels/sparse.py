"""The iteration loop over a sparse X: one pass over its entries for each iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.tiles import (
    ROWS,
    add_gram,
    block_inner,
    finish_gram,
    gather_rows,
    moved,
    room,
    scale_lines,
    scatter_rows,
    sweep_block,
    turn_lines,
    turn_rows,
    weigh,
)
from lnmf_core.kernels.vectors import WIDTH, load, spread, store

if TYPE_CHECKING:
    from lnmf_core.factors import Array

BUILT_ON = "ea5f03b14d83c086"

GOING_ON, EXACT, TOLERANCE, BUDGET, NON_FINITE = range(5)
"""How `sparse_sweeps` ended; as in `lnmf_core.kernels.loop`."""


@compiled
def to_blocks(factor: Array, blocks: Array) -> None:
    """Copy `factor` (rows × k) to blocks of `ROWS` rows on their sides: line b·k + j is column j of block b."""
    rows, k = factor.shape
    blocks[len(blocks) - k :] = 0
    for row in range(rows):
        line, at = (row // ROWS) * k, row % ROWS
        for j in range(k):
            blocks[line + j, at] = factor[row, j]


@compiled
def from_blocks(blocks: Array, factor: Array) -> None:
    """Undo `to_blocks`."""
    rows, k = factor.shape
    for row in range(rows):
        line, at = (row // ROWS) * k, row % ROWS
        for j in range(k):
            factor[row, j] = blocks[line + j, at]


@compiled
def pass_rows(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    data: Array,
    right: Array,
    weights: Array,
    steps: Array,
    sweeps: int,
    kept: Array,
    before: Array,
    start: float,
    handed: float,
    new: Array,
    cross: Array,
    gram_sums: Array,
) -> float:
    """Move D by one iteration, and set cross = Xᵀ·D for the D handed on; return ⟨D before, X·right⟩.

    `right` is Cᵀ and `cross` is like it, padded to a multiple of `WIDTH` columns and of `ROWS` rows; `kept`,
    `before` and `new` are D in blocks. `start` and `handed` are the momenta of the sweeps' start and of
    what is handed on, whose gram is added to `gram_sums`.
    """
    rows, k, width = len(indptr) - 1, len(steps), right.shape[1]
    products, target, out = room(ROWS, width, right), room(width, ROWS, right), room(width, ROWS, right)
    out[:] = 0
    zero = spread(right.dtype.type(0))
    inner = lost = 0.0
    cross[:] = 0
    for begin in range(0, rows, ROWS):
        line = (begin // ROWS) * k
        count = min(ROWS, rows - begin)
        gather_rows(indptr, indices, data, begin, begin + count, right, products)
        for row in range(count, ROWS):
            for j in range(0, width, WIDTH):
                store(products, row, j, zero)
        turn_rows(products, 0, target)
        # Neumaier's compensation (1974).
        term = block_inner(kept, line, target, k)
        after = inner + term
        lost += (inner - after) + term if abs(inner) >= abs(term) else (term - after) + inner
        inner = after
        scale_lines(target, steps, target)
        moved(kept, line, before, line, start, new, line, k)
        sweep_block(new, line, target, weights, steps, sweeps, 0)
        moved(new, line, kept, line, handed, out, 0, k)
        add_gram(out, 0, k, gram_sums)
        turn_lines(out, products, 0)
        scatter_rows(indptr, indices, data, begin, begin + count, products, cross)
    return inner + lost


@compiled
def settle_columns(
    cross: Array,
    weights: Array,
    steps: Array,
    sweeps: int,
    kept: Array,
    before: Array,
    start: float,
    new: Array,
    right: Array,
    gram_sums: Array,
) -> float:
    """Move C by one iteration, also into `right`; return ⟨C, cross⟩. Arguments are as in `pass_rows`."""
    k, width = len(steps), cross.shape[1]
    target, out = room(width, ROWS, cross), room(width, ROWS, cross)
    out[:] = 0
    inner = lost = 0.0
    for begin in range(0, len(cross), ROWS):
        line = (begin // ROWS) * k
        turn_rows(cross, begin, target)
        moved(kept, line, before, line, start, new, line, k)
        # The products are needed once as they are, and once divided.
        scale_lines(target, steps, out)
        sweep_block(new, line, out, weights, steps, sweeps, 0)
        term = block_inner(new, line, target, k)
        after = inner + term
        lost += (inner - after) + term if abs(inner) >= abs(term) else (term - after) + inner
        inner = after
        add_gram(new, line, k, gram_sums)
        for j in range(k):
            for at in range(0, ROWS, WIDTH):
                store(out, j, at, load(new, line + j, at))
        turn_lines(out, right, begin)
    return inner + lost


@compiled
def small_inner(left: Array, right: Array) -> float:
    """Return ⟨left, right⟩ of two k × k matrices in float64."""
    sum_ = 0.0
    for i in range(len(left)):
        for j in range(len(left)):
            sum_ += np.float64(left[i, j]) * np.float64(right[i, j])
    return sum_


@compiled
def share_of_norm(squared: float, squared_norm: float) -> float:
    """Return the relative error; what rounding makes negative is 0."""
    # What overflows must not pass for a perfect fit, whatever its sign.
    return 0.0 if -np.inf < squared < 0 else np.sqrt(abs(squared) / squared_norm)


@compiled
def gram_of(blocks: Array, k: int, sums: Array, gram: Array) -> None:
    """Set `gram` to that of a factor in blocks."""
    for line in range(0, len(blocks), k):
        add_gram(blocks, line, k, sums)
    finish_gram(sums, gram)


@compiled
def sparse_sweeps(
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
    errors: NDArray[np.float64],
    rounding: float,
    tolerance: float,
    memory: int,
) -> tuple[int, int]:
    """Do what `lnmf_core.kernels.loop.extrapolated_sweeps` does, for X in CSR and plans without joint steps.

    An iteration is one pass over X, in which X·Cᵀ, the sweeps of D and Xᵀ·D are made for `ROWS` rows at a time,
    and one over C.
    """
    n, k = D.shape
    m = len(Ct)
    least = np.finfo(D.dtype).tiny
    width = -(-k // WIDTH) * WIDTH
    of_D, of_C = -(-n // ROWS) * k, -(-m // ROWS) * k
    moving = np.any(table != 0)
    # One block of memory: what is as large and freed is reused, not handed back to the system and asked for again.
    factors, padded = 3 if moving else 2, -(-m // ROWS) * ROWS
    large, small, right_size = of_D * ROWS, of_C * ROWS, padded * width
    work = room(1, factors * (large + small) + 3 * right_size, D)[0]
    D_kept, D_new = work[:large].reshape(of_D, ROWS), work[large : 2 * large].reshape(of_D, ROWS)
    D_before = work[(factors - 1) * large : factors * large].reshape(of_D, ROWS)
    work = work[factors * large :]
    C_kept, C_new = work[:small].reshape(of_C, ROWS), work[small : 2 * small].reshape(of_C, ROWS)
    C_before = work[(factors - 1) * small : factors * small].reshape(of_C, ROWS)
    rows = work[factors * small :].reshape(3 * padded, width)
    right, right_new, cross = rows[:padded], rows[padded : 2 * padded], rows[2 * padded :]
    gram_C, gram_D, gram_new = np.empty((k, k), D.dtype), np.empty((k, k), D.dtype), np.empty((k, k), D.dtype)
    sums, weights, steps = room(k * k, WIDTH, D), np.zeros((k, k), D.dtype), np.zeros(k, D.dtype)
    to_blocks(D, D_kept)
    to_blocks(Ct, C_kept)
    right[:] = 0
    for row in range(m):
        for j in range(k):
            right[row, j] = Ct[row, j]
    sums[:] = 0
    gram_of(C_kept, k, sums, gram_C)
    gram_of(D_kept, k, sums, gram_D)
    energy = small_inner(gram_C, gram_D)
    scale, ceiling, handed, share = pace[0], pace[4], 0.0, pace[0]
    count, ending = errors.size, BUDGET
    for step in range(errors.size - 1):
        row = step if step < len(table) else len(table) - period + (step - len(table)) % period
        # The first iteration begins at rest.
        start_D, start_C = (share * table[row, 0], share * table[row, 1]) if step else (0.0, 0.0)
        next_handed = share * table[row, 2]
        weigh(gram_C, least, weights, steps)
        inner = pass_rows(
            indptr, indices, data, right, weights, steps, sweeps, D_kept, D_before, start_D, next_handed,
            D_new, cross, sums,
        )  # fmt: skip
        finish_gram(sums, gram_D)
        if step == 0:
            errors[0] = share_of_norm(squared_norm - 2 * inner + energy, squared_norm)
            if not np.isfinite(errors[0]):
                return 1, NON_FINITE
        if not np.isfinite(gram_D).all():
            count, ending = step + 1, NON_FINITE
            break
        weigh(gram_D, least, weights, steps)
        inner = settle_columns(cross, weights, steps, sweeps, C_kept, C_before, start_C, C_new, right_new, sums)
        finish_gram(sums, gram_new)
        error = share_of_norm(squared_norm - 2 * inner + small_inner(gram_new, gram_D), squared_norm)
        if not np.isfinite(error):
            count, ending = step + 1, NON_FINITE
            break
        rose = not error <= np.hypot(errors[step], rounding)
        if rose:
            # The best D is what was handed on last: it is made of the last two that were swept.
            for line in range(0, of_D if handed != 0 else 0, k):
                moved(D_kept, line, D_before, line, handed, D_kept, line, k)
            handed, share = 0.0, 0.0
            ceiling, scale = scale, scale / pace[1]
        else:
            if moving:
                D_before, D_kept, D_new = D_kept, D_new, D_before
                C_before, C_kept, C_new = C_kept, C_new, C_before
            else:
                D_kept, D_new, C_kept, C_new = D_new, D_kept, C_new, C_kept
            right, right_new = right_new, right
            gram_C, gram_new = gram_new, gram_C
            handed = next_handed
            scale, ceiling = min(ceiling, scale * pace[2]), min(pace[4], ceiling * pace[3])
            share = scale
        errors[step + 1] = min(error, errors[step])
        if errors[step + 1] <= rounding:
            count, ending = step + 2, EXACT
            break
        if step + 1 >= memory and errors[step + 1 - memory] - errors[step + 1] <= tolerance * errors[step + 1]:
            count, ending = step + 2, TOLERANCE
            break
    for line in range(0, of_D if handed != 0 else 0, k):
        moved(D_kept, line, D_before, line, handed, D_kept, line, k)
    from_blocks(D_kept, D)
    from_blocks(C_kept, Ct)
    return count, ending
