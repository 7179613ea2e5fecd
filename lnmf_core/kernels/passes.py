"""Compiled passes over all rows of X, and over the columns that they share; numpy is the oracle.

D, Cᵀ and XᵀD are `padded`: rows of components end with zeros, up to a whole vector. Cᵀ and XᵀD also end with rows
of zeros, up to a whole tile. Within a tile rows lie side by side, since rows do not depend on one
another and components do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.tiles import (
    ROWS,
    add_gram,
    add_rows,
    block_inner,
    copy_row,
    fetch_rows,
    moved,
    room,
    scale_lines,
    sum_rows,
    sweep_block,
    turn_lines,
    turn_rows,
    weigh,
)
from lnmf_core.kernels.vectors import (
    FOUR,
    WIDTH,
    load,
    multiply_add,
    spread,
    total,
)

if TYPE_CHECKING:
    from lnmf_core.factors import Array

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

BUILT_ON = "32c8e305abdfb344"


@compiled
def padded(count: int) -> int:
    """Return the width of a row of so many components."""
    return -(-count // FOUR) * FOUR


def tiled(count: int) -> int:
    """Return the number of rows of whole tiles that hold so many."""
    return -(-count // ROWS) * ROWS


@compiled
def zeros(rows: int, width: int, like: Array) -> Array:
    """Return zeros of the dtype of `like`, rows × width, that begin with a line of the cache."""
    out = room(rows, width, like)
    line = out.reshape(rows * width)
    for at in range(len(line)):
        line[at] = 0
    return out


@compiled
def lined(rows: int, width: int) -> Floats:
    """Return zeros in float64, rows × width: each vector lies in one line of the cache."""
    return zeros(rows, width, np.empty(0))


@compiled
def workspace(k: int, wide: int, like: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return zeros: a tile of rows (so wide), two on their sides, partial sums of a gram, weights and steps."""
    block, steps = zeros(wide, ROWS, like), np.zeros(k, like.dtype)
    return (
        zeros(ROWS, wide, like),
        zeros(wide, ROWS, like),
        block,
        zeros(k * k, WIDTH, like),
        zeros(k, k, like),
        steps,
    )


@compiled
def add_sums(sums: Array, sign: float, gram: Floats) -> None:
    """Add what `add_gram` has summed to `gram`, with a sign."""
    k = len(gram)
    for a in range(k):
        for b in range(a + 1):
            share = sign * total(load(sums, a * k + b, 0))
            gram[a, b] += share
            if a != b:
                gram[b, a] += share


@compiled
def move_tile(
    own: Array,
    target: Array,
    block: Array,
    weights: Array,
    steps: Array,
    sweeps: int,
    blank: int,
    sums: Array,
) -> None:
    """Sweep `block`, given products with rows in `own`; add its gram to `sums`; write it to `own`."""
    turn_rows(own, 0, target)
    scale_lines(target, steps, target)
    sweep_block(block, 0, target, weights, steps, sweeps, blank)
    add_gram(block, 0, len(steps), sums)
    turn_lines(block, own, 0)


@compiled
def follow_all(
    indptr: Ints,
    lanes: NDArray[np.int8],
    indices: Indices,
    data: Floats,
    Ct: Floats,
    gram_C: Floats,
    sweeps: int,
    least: float,
    blank: int,
    energy: float,
    D: Floats,
    gram: Floats,
    peaks: Floats,
) -> tuple[float, float]:
    """Sweep all rows of D, given Cᵀ and C·Cᵀ; write gram = DᵀD; return ⟨Cᵀ, XᵀD⟩ and what is `explained`.

    X is CSR; lanes[e] is the row of entry e, modulo `ROWS`. `peaks` become the diagonal of gram, and ‖X‖², which is
    `energy`. With `blank` (0 or 1) the sweeps begin from zero, whatever D is. X·Cᵀ, the sweeps and the sums are one
    pass over tiles of rows: nothing of the size of D is allocated, which costs as much as the sweeps do. XᵀD is
    left out: a quarter of such a pass, of no use while C stays.
    """
    own, target, block, sums, weights, steps = workspace(len(gram), D.shape[1], data)
    scaled = lined(len(target), ROWS)
    weigh(gram_C, least, weights, steps)
    gram[:] = 0.0
    fit = 0.0
    rows = len(indptr) - 1
    fetch_rows(Ct, 0, len(Ct))
    for begin in range(0, rows, ROWS):
        end = min(begin + ROWS, rows)
        fetch_rows(D, end, min(end + ROWS, rows))
        own[:] = 0.0
        if not blank:
            for row in range(begin, end):
                copy_row(D, row, own, row - begin)
            turn_rows(own, 0, block)
            own[:] = 0.0
        sum_rows(data, indices, Ct, lanes, own, indptr[begin], indptr[end])
        turn_rows(own, 0, target)
        scale_lines(target, steps, scaled)
        sweep_block(block, 0, scaled, weights, steps, sweeps, blank)
        fit += block_inner(block, 0, target, len(gram))
        add_gram(block, 0, len(gram), sums)
        if begin + ROWS <= rows:
            turn_lines(block, D, begin)
        else:
            turn_lines(block, own, 0)
            for row in range(begin, end):
                copy_row(own, row - begin, D, row)
    add_sums(sums, 1.0, gram)
    for j in range(len(gram)):
        peaks[j] = gram[j, j]
    peaks[len(gram)] = energy
    return fit, explained(fit, gram_C, gram)


@compiled
def project_all(
    indptr: Ints, lanes: NDArray[np.int8], indices: Indices, data: Floats, D: Floats, cross: Floats
) -> None:
    """Write cross = XᵀD."""
    own = lined(ROWS, D.shape[1])
    cross[:] = 0.0
    rows = len(indptr) - 1
    for begin in range(0, rows, ROWS):
        end = min(begin + ROWS, rows)
        for row in range(begin, end):
            copy_row(D, row, own, row - begin)
        add_rows(data, lanes, own, indices, cross, indptr[begin], indptr[end])


@compiled
def settle_tile(
    block: Floats,
    before: Floats,
    target: Floats,
    scaled: Floats,
    weights: Floats,
    steps: Floats,
    sweeps: int,
    farther: float,
    sums: Floats,
) -> float:
    """Sweep `block`, given products in `target`, and move it by the share `farther` more than the sweeps would.

    Add its gram to `sums`; return ⟨block, target⟩. `before` and `scaled` are room to work in.
    """
    k = len(steps)
    scale_lines(target, steps, scaled)
    if farther > 0:
        moved(block, 0, block, 0, 0.0, before, 0, k)
    sweep_block(block, 0, scaled, weights, steps, sweeps, 0)
    if farther > 0:
        moved(block, 0, before, 0, farther, block, 0, k)
    add_gram(block, 0, k, sums)
    return block_inner(block, 0, target, k)


@compiled
def settle(
    touched: Indices,
    columns: int,
    Ct: Floats,
    cross: Floats,
    gram_D: Floats,
    sweeps: int,
    least: float,
    gram_C: Floats,
) -> float:
    """Sweep rows of Cᵀ in place, given XᵀD and DᵀD, and keep C·Cᵀ; return their share of ⟨Cᵀ, XᵀD⟩.

    The rows are the first `columns`, which are all, or those `touched` (distinct) if `columns` is 0.
    """
    k = len(gram_D)
    own, target, block, sums, weights, steps = workspace(k, Ct.shape[1], cross)
    scaled, olds = lined(len(target), ROWS), lined(k * k, WIDTH)
    weigh(gram_D, least, weights, steps)
    fit = 0.0
    if columns:
        gram_C[:] = 0.0
    for begin in range(0, columns or len(touched), ROWS):
        some = touched[:0] if columns else touched[begin : begin + ROWS]
        if columns:
            turn_rows(cross, begin, target)
            turn_rows(Ct, begin, block)
        else:
            own[:] = 0.0
            for i in range(len(some)):
                copy_row(cross, some[i], own, i)
            turn_rows(own, 0, target)
            for i in range(len(some)):
                copy_row(Ct, some[i], own, i)
            turn_rows(own, 0, block)
            add_gram(block, 0, k, olds)
        fit += settle_tile(block, scaled, target, scaled, weights, steps, sweeps, 0.0, sums)
        turn_lines(block, Ct if columns else own, begin if columns else 0)
        for i in range(len(some)):
            copy_row(own, i, Ct, some[i])
    add_sums(olds, -1.0, gram_C)
    add_sums(sums, 1.0, gram_C)
    return fit


@compiled
def explained(fit: float, gram_C: Floats, gram_D: Floats) -> float:
    """Return ‖X‖² − ‖X − DC‖²_F, where `fit` is ⟨Cᵀ, XᵀD⟩."""
    total = 2 * fit
    for a in range(len(gram_C)):
        for b in range(len(gram_C)):
            total -= gram_C[a, b] * gram_D[a, b]
    return total


@compiled
def relative(explained: float, energy: float) -> float:
    """Return ‖X − DC‖_F / ‖X‖_F, given ‖X‖²; 0 if that is 0, and infinite if the factors overflow."""
    if energy <= 0:
        return 0.0
    share = (energy - explained) / energy
    return math.sqrt(max(share, 0.0)) if math.isfinite(share) else math.inf


@compiled
def dead_one(gram_C: Floats, gram_D: Floats, least: float) -> int:
    """Return the first component without energy, −1 where none is dead or all are."""
    dead, alive = -1, 0
    for j in range(len(gram_C)):
        if gram_C[j, j] * gram_D[j, j] > least:
            alive += 1
        elif dead < 0:
            dead = j
    return dead if alive else -1


@compiled
def lanes_of(indptr: Ints, lanes: NDArray[np.int8]) -> None:
    """Write the row of each entry, modulo `ROWS`; what is written behind them, in `WIDTH` places, means nothing.

    Eight at a time, which the next row corrects: few rows have more, so a processor foresees the branch.
    """
    eight = np.uintp(WIDTH)
    for row in range(np.uintp(len(indptr) - 1)):
        lane = np.int8(row & np.uintp(ROWS - 1))
        at, end = np.uintp(indptr[row]), np.uintp(indptr[row + np.uintp(1)])
        while at < end:
            for next_one in range(eight):
                lanes[at + next_one] = lane
            at += eight


@compiled
def squared(data: Floats) -> float:
    """Return the sum of the squares."""
    line = data.reshape(1, -1)
    a = b = c = d = spread(0.0)
    whole = len(data) // ROWS * ROWS
    for at in range(0, whole, ROWS):
        one, two = load(line, 0, at), load(line, 0, at + WIDTH)
        three, four = load(line, 0, at + 2 * WIDTH), load(line, 0, at + 3 * WIDTH)
        a, b = multiply_add(one, one, a), multiply_add(two, two, b)
        c, d = multiply_add(three, three, c), multiply_add(four, four, d)
    rest = 0.0
    for at in range(whole, len(data)):
        rest += data[at] * data[at]
    return total(a) + total(b) + total(c) + total(d) + rest
