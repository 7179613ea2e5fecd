"""The iteration loop over a sparse X: one pass over its entries for each iteration.

The loop is made of steps over what `Loop` holds, and passes are made in parts: one after the other, or side
by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.blocks import (
    bounds_of,
    finish_grams,
    from_blocks,
    share_of_norm,
    small_inner,
    sum_of,
    to_blocks,
)
from lnmf_core.kernels.columns import gather_columns, put_columns, scatter_columns, take_sums, turn_columns
from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.sums import all_finite
from lnmf_core.kernels.tiles import (
    CACHE_LINE,
    ROWS,
    add_gram,
    block_inner,
    moved,
    room,
    scale_lines,
    sweep_block,
    turn_lines,
    turn_rows,
    weigh,
)
from lnmf_core.kernels.vectors import FOUR, WIDTH

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.threads import Workers

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

BUILT_ON = "0a5e36b6c97038f0"

GOING_ON, EXACT, TOLERANCE, BUDGET, NON_FINITE = range(5)
"""How the loop ended; as in `lnmf_core.kernels.loop`."""

STEP, SWEEPS, PERIOD, MEMORY, KEPT, BEFORE, NEW = range(7)
"""Places in `Loop.whole`: how many iterations are done, three numbers of the plan and of the stopping test, and
which of D's blocks hold the result of the last sweeps, the one before, and the next."""
SCALE, CEILING, HANDED, FROM_D, FROM_C, HAND_ON, NORM, ENERGY, ROUNDING, ALLOWED = range(10)
"""Places in `Loop.numbers`: the pace, the momentum that the best D was handed on with, those of this iteration (the
starts of D and C, what is handed on), ‖X‖², ‖DC‖² at first, and two numbers of the stopping test."""
OF_C, OF_D, OF_NEW = range(3)
"""Places in `Loop.grams`."""

KEPT_NUMBERS = 31 << 17
"""Numbers of eight bytes in 31 MB."""


class Loop(NamedTuple):
    """All that the steps of the loop work on."""

    indptr: NDArray[Any]
    indices: NDArray[Any]
    data: Array
    bounds: Ints
    """2 × (parts + 1): the first row of X, and of Cᵀ, of each part."""
    D: Array
    """2 or 3 × lines × `ROWS`: D in blocks, see `to_blocks`. Without momentum there is no third."""
    before: Array
    """Cᵀ of the last iteration, in blocks."""
    columns: Array
    """C and XᵀD; see `lnmf_core.kernels.columns`. For each part of X its own."""
    weights: Array
    steps: Array
    grams: Array
    """3 × k × k: of C, of D and of the next C."""
    sums: Array
    """Partial sums of grams, for each part."""
    inners: Floats
    """Of each part: ⟨D, X·Cᵀ⟩ at first, then ⟨Cᵀ, XᵀD⟩."""
    scratch: Array
    """parts × 4 × half × `ROWS`; lines of the second from k on are zero."""
    table: Floats
    pace: Floats
    errors: Floats
    whole: Ints
    numbers: Floats


def room_of(shape: tuple[int, int], rank: int, parts: int) -> int:
    """Return how many numbers of memory to hand to `begun`: what it needs, or up to twice as many.

    It won't touch the others. glibc keeps freed memory of up to twice the largest block, if that is under 32 MB:
    so all that a factorisation holds besides is kept too, and not handed back, at the cost of page faults.
    """
    rows, columns = -(-shape[0] // ROWS) * ROWS, -(-shape[1] // ROWS) * ROWS
    half = -(-rank // FOUR) * FOUR
    needed = (3 * rows + columns) * rank + 2 * parts * columns * half + CACHE_LINE // 4
    return max(needed, min(2 * needed, KEPT_NUMBERS))


@compiled
def begun(
    order: Ints,
    indptr: NDArray[Any],
    indices: NDArray[Any],
    data: Array,
    squared_norm: float,
    D: Array,
    Ct: Array,
    sweeps: int,
    table: Floats,
    period: int,
    pace: Floats,
    errors: Floats,
    rounding: float,
    tolerance: float,
    memory: int,
    parts: int,
    room_: Array,
) -> Loop:
    """Return the loop before its first iteration; see `sparse_sweeps`."""
    n, k = D.shape
    m = len(Ct)
    half, padded = -(-k // FOUR) * FOUR, -(-m // ROWS) * ROWS
    of_D, of_C = -(-n // ROWS) * k, -(-m // ROWS) * k
    factors = 3 if np.any(table != 0) else 2
    skipped = (-room_.ctypes.data % CACHE_LINE) // room_.itemsize
    work = room_[skipped:]
    large, small, right = factors * of_D * ROWS, of_C * ROWS, parts * padded * 2 * half
    blocks = work[:large].reshape(factors, of_D, ROWS)
    before = work[large : large + small].reshape(of_C, ROWS)
    columns = work[large + small : large + small + right].reshape(parts * padded, 2 * half)
    scratch = room(parts * 4 * half, ROWS, D)
    scratch[:] = 0
    bounds = bounds_of(indptr, m, parts)
    grams, sums = np.zeros((3, k, k), D.dtype), room(parts * k * k, WIDTH, D)
    to_blocks(D, order, blocks[0])
    to_blocks(Ct, order[:0], before)
    columns[:] = 0
    for part in range(parts):
        for row in range(m):
            for j in range(k):
                columns[part * padded + row, j] = Ct[row, j]
    sums[:] = 0
    for line in range(0, of_C, k):
        add_gram(before, line, k, sums)
    finish_grams(sums, 1, grams[OF_C])
    for line in range(0, of_D, k):
        add_gram(blocks[0], line, k, sums)
    finish_grams(sums, 1, grams[OF_D])
    whole, numbers = np.zeros(7, np.int64), np.zeros(10)
    whole[SWEEPS], whole[PERIOD], whole[MEMORY] = sweeps, period, memory
    whole[KEPT], whole[NEW], whole[BEFORE] = 0, 1, factors - 1
    numbers[SCALE], numbers[CEILING] = pace[0], pace[4]
    set_momenta(pace[0], table, whole, numbers)
    numbers[NORM], numbers[ROUNDING], numbers[ALLOWED] = squared_norm, rounding, tolerance
    numbers[ENERGY] = small_inner(grams[OF_C], grams[OF_D])
    weights, steps = np.zeros((k, k), D.dtype), np.zeros(k, D.dtype)
    weigh(grams[OF_C], np.finfo(D.dtype).tiny, weights, steps)
    return Loop(
        indptr, indices, data, bounds, blocks, before, columns, weights, steps, grams, sums, np.zeros(parts),
        scratch.reshape(parts, 4, half, ROWS), table, pace, errors, whole, numbers,
    )  # fmt: skip


@compiled
def set_momenta(share: float, table: Floats, whole: Ints, numbers: Floats) -> None:
    """Set the momenta of the iteration that comes: those of the plan, times `share`."""
    step, length, period = whole[STEP], len(table), whole[PERIOD]
    row = step if step < length else length - period + (step - length) % period
    # The first iteration begins at rest.
    numbers[FROM_D], numbers[FROM_C] = (share * table[row, 0], share * table[row, 1]) if step else (0.0, 0.0)
    numbers[HAND_ON] = share * table[row, 2]


@compiled
def pass_part(loop: Loop, part: int) -> None:
    """Move a part of D by one iteration, and add to the part's sums XᵀD and DᵀD, for the D that is handed on."""
    indptr, indices, data, steps, weights = loop.indptr, loop.indices, loop.data, loop.steps, loop.weights
    whole, numbers, bounds, scratch = loop.whole, loop.numbers, loop.bounds, loop.scratch
    k, parts, half = len(steps), len(scratch), scratch.shape[2]
    each = len(loop.columns) // parts
    columns, sums = loop.columns[part * each : (part + 1) * each], loop.sums[part * k * k : (part + 1) * k * k]
    kept, before, new = loop.D[whole[KEPT]], loop.D[whole[BEFORE]], loop.D[whole[NEW]]
    start, handed, sweeps, first = numbers[FROM_D], numbers[HAND_ON], whole[SWEEPS], whole[STEP] == 0
    target, out, products = scratch[part, 0], scratch[part, 1], scratch[part, 3].reshape(ROWS, half)
    inner = lost = 0.0
    last = bounds[0, part + 1]
    for begin in range(bounds[0, part], last, ROWS):
        line, end = (begin // ROWS) * k, min(begin + ROWS, last)
        gather_columns(indptr, indices, data, begin, end, columns, products)
        for row in range(end - begin, ROWS):
            for j in range(half):
                products[row, j] = 0
        turn_rows(products, 0, target)
        if first:
            # Neumaier's compensation (1974).
            term = block_inner(kept, line, target, k)
            after = inner + term
            lost += (inner - after) + term if abs(inner) >= abs(term) else (term - after) + inner
            inner = after
        scale_lines(target, steps, target)
        moved(kept, line, before, line, start, new, line, k)
        sweep_block(new, line, target, weights, steps, sweeps, 0)
        moved(new, line, kept, line, handed, out, 0, k)
        add_gram(out, 0, k, sums)
        turn_lines(out, products, 0)
        scatter_columns(indptr, indices, data, begin, end, products, columns)
    loop.inners[part] = inner + lost


@compiled
def turn_to_columns(loop: Loop) -> int:
    """Do what lies between D and C; return how the loop ended, if it did."""
    numbers, gram = loop.numbers, loop.grams[OF_D]
    finish_grams(loop.sums, len(loop.inners), gram)
    if loop.whole[STEP] == 0:
        squared = numbers[NORM] - 2 * sum_of(loop.inners) + numbers[ENERGY]
        loop.errors[0] = share_of_norm(squared, numbers[NORM])
        if not np.isfinite(loop.errors[0]):
            return NON_FINITE
    if not all_finite(gram):
        return NON_FINITE
    weigh(gram, np.finfo(gram.dtype).tiny, loop.weights, loop.steps)
    return GOING_ON


@compiled
def settle_part(loop: Loop, part: int) -> None:
    """Move a part of C by one iteration; the C that was goes to `before`, and XᵀD is zero again."""
    steps, weights, columns, saved, scratch = loop.steps, loop.weights, loop.columns, loop.before, loop.scratch
    k, parts, half = len(steps), len(scratch), scratch.shape[2]
    each, start, sweeps = len(columns) // parts, loop.numbers[FROM_C], loop.whole[SWEEPS]
    sums = loop.sums[part * k * k : (part + 1) * k * k]
    target, new, kept, scaled = scratch[part, 0], scratch[part, 1], scratch[part, 2], scratch[part, 3]
    inner = lost = 0.0
    for begin in range(loop.bounds[1, part], loop.bounds[1, part + 1], ROWS):
        line = (begin // ROWS) * k
        turn_columns(columns, begin, kept)
        take_sums(columns, parts, begin, target)
        moved(kept, 0, saved, line, start, new, 0, k)
        # The products are needed once as they are, and once divided.
        scale_lines(target, steps, scaled)
        sweep_block(new, 0, scaled, weights, steps, sweeps, 0)
        term = block_inner(new, 0, target, k)
        after = inner + term
        lost += (inner - after) + term if abs(inner) >= abs(term) else (term - after) + inner
        inner = after
        add_gram(new, 0, k, sums)
        moved(kept, 0, kept, 0, 0.0, saved, line, k)
        for copy in range(parts):
            put_columns(new, 0, columns, copy * each + begin, half)
    loop.inners[part] = inner + lost


@compiled
def go_back(loop: Loop) -> None:
    """Return to the best pair: D as it was handed on last, C as it was."""
    k, parts, half = len(loop.steps), len(loop.scratch), loop.scratch.shape[2]
    kept, before, handed = loop.D[loop.whole[KEPT]], loop.D[loop.whole[BEFORE]], loop.numbers[HANDED]
    for line in range(0, len(kept) if handed != 0 else 0, k):
        moved(kept, line, before, line, handed, kept, line, k)
    loop.numbers[HANDED] = 0.0
    each, lines = len(loop.columns) // parts, loop.scratch[0, 1]
    for begin in range(0, each, ROWS):
        moved(loop.before, (begin // ROWS) * k, lines, 0, 0.0, lines, 0, k)
        for copy in range(parts):
            put_columns(lines, 0, loop.columns, copy * each + begin, half)


@compiled
def close(loop: Loop) -> int:
    """Keep what the iteration made, or take it back; return how the loop ended, if it did."""
    numbers, whole, pace, errors, grams = loop.numbers, loop.whole, loop.pace, loop.errors, loop.grams
    finish_grams(loop.sums, len(loop.inners), grams[OF_NEW])
    step, share = whole[STEP], 0.0
    squared = numbers[NORM] - 2 * sum_of(loop.inners) + small_inner(grams[OF_NEW], grams[OF_D])
    error = share_of_norm(squared, numbers[NORM])
    if not error <= np.hypot(errors[step], numbers[ROUNDING]):
        go_back(loop)
        if not np.isfinite(error):
            return NON_FINITE
        numbers[CEILING], numbers[SCALE] = numbers[SCALE], numbers[SCALE] / pace[1]
    else:
        oldest = whole[BEFORE] if len(loop.D) == 3 else whole[KEPT]
        whole[BEFORE], whole[KEPT], whole[NEW] = whole[KEPT], whole[NEW], oldest
        for i in range(len(loop.steps)):
            for j in range(len(loop.steps)):
                grams[OF_C, i, j] = grams[OF_NEW, i, j]
        numbers[HANDED] = numbers[HAND_ON]
        scale, ceiling = numbers[SCALE], numbers[CEILING]
        numbers[SCALE], numbers[CEILING] = min(ceiling, scale * pace[2]), min(pace[4], ceiling * pace[3])
        share = numbers[SCALE]
    whole[STEP] = step + 1
    errors[step + 1] = min(error, errors[step])
    if errors[step + 1] <= numbers[ROUNDING]:
        return EXACT
    memory = whole[MEMORY]
    if step + 1 >= memory and errors[step + 1 - memory] - errors[step + 1] <= numbers[ALLOWED] * errors[step + 1]:
        return TOLERANCE
    set_momenta(share, loop.table, whole, numbers)
    weigh(grams[OF_C], np.finfo(grams.dtype).tiny, loop.weights, loop.steps)
    return BUDGET if step + 2 == errors.size else GOING_ON


@compiled
def finish(loop: Loop, order: Ints, D: Array, Ct: Array) -> int:
    """Write the best pair to D and Cᵀ; return the number of errors."""
    (m, k), kept, handed = Ct.shape, loop.D[loop.whole[KEPT]], loop.numbers[HANDED]
    if handed != 0:
        before = loop.D[loop.whole[BEFORE]]
        for line in range(0, len(kept), k):
            moved(kept, line, before, line, handed, kept, line, k)
    from_blocks(kept, order, D)
    for row in range(m):
        for j in range(k):
            Ct[row, j] = loop.columns[row, j]
    return int(loop.whole[STEP] + 1)


@compiled
def sparse_sweeps(
    order: Ints,
    indptr: NDArray[Any],
    indices: NDArray[Any],
    data: Array,
    squared_norm: float,
    D: Array,
    Ct: Array,
    sweeps: int,
    table: Floats,
    period: int,
    pace: Floats,
    errors: Floats,
    rounding: float,
    tolerance: float,
    memory: int,
    parts: int,
    room_: Array,
    workers: Workers | None,
) -> tuple[int, int]:
    """Do what `lnmf_core.kernels.loop.extrapolated_sweeps` does, for X in CSR and plans without joint steps.

    An iteration is one pass over X, in which X·Cᵀ, the sweeps of D and XᵀD are made for `ROWS` rows at a time,
    and one over C. Both are made in `parts`, on which sums depend, and side by side where there are `workers`: then
    this function runs as it stands here, uncompiled. Row i of X belongs to row order[i] of D, or to row i if there
    is no order. `room_` is `room_of` numbers of memory.
    """
    loop = begun(
        order, indptr, indices, data, squared_norm, D, Ct, sweeps, table, period, pace, errors, rounding,
        tolerance, memory, parts, room_,
    )  # fmt: skip
    ending = GOING_ON
    while ending == GOING_ON:
        if workers is None:
            for part in range(parts):
                pass_part(loop, part)
        else:
            workers.share(pass_part, parts, loop)
        ending = turn_to_columns(loop)
        if ending == GOING_ON:
            if workers is None:
                for part in range(parts):
                    settle_part(loop, part)
            else:
                workers.share(settle_part, parts, loop)
            ending = close(loop)
    return finish(loop, order, D, Ct), ending
