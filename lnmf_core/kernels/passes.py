"""Compiled passes over all rows of X, and over the columns that they share; numpy is the oracle.

D, Cᵀ and XᵀD are `padded`: rows of components end with zeros, up to a whole vector. Cᵀ and XᵀD also end with rows
of zeros, up to a whole tile. Within a tile rows lie side by side, since rows do not depend on one
another and components do.
"""

from __future__ import annotations

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
from lnmf_core.kernels.vectors import FOUR, WIDTH, load, multiply_add, spread, total

if TYPE_CHECKING:
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

BUILT_ON = "b8ec4df096a98b26"


@compiled
def padded(count: int) -> int:
    """Return the width of a row of so many components."""
    return -(-count // FOUR) * FOUR


def tiled(count: int) -> int:
    """Return the number of rows of whole tiles that hold so many."""
    return -(-count // ROWS) * ROWS


@compiled
def lined(rows: int, width: int) -> Floats:
    """Return zeros, rows × width, that begin with a line of the cache: a vector then lies in one line."""
    out = room(rows, width, np.empty(0))
    for row in range(rows):
        for j in range(width):
            out[row, j] = 0.0
    return out


@compiled
def workspace(k: int) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Return zeros: a tile of rows, two on their sides, partial sums of a gram, weights and steps."""
    wide = padded(k)
    weights, steps = lined(k, k), np.zeros(k)
    return lined(ROWS, wide), lined(wide, ROWS), lined(wide, ROWS), lined(k * k, WIDTH), weights, steps


@compiled
def add_sums(sums: Floats, sign: float, gram: Floats) -> None:
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
    own: Floats,
    target: Floats,
    block: Floats,
    weights: Floats,
    steps: Floats,
    sweeps: int,
    blank: int,
    sums: Floats,
) -> None:
    """Sweep `block`, given products with rows in `own`; add its gram to `sums`; write it to `own`."""
    turn_rows(own, 0, target)
    scale_lines(target, steps, target)
    sweep_block(block, 0, target, weights, steps, sweeps, blank)
    add_gram(block, 0, len(steps), sums)
    turn_lines(block, own, 0)


@compiled
def solve_all(
    indptr: Ints,
    lanes: NDArray[np.int8],
    indices: Indices,
    data: Floats,
    Ct: Floats,
    gram_C: Floats,
    sweeps: int,
    least: float,
    blank: int,
    D: Floats,
    cross: Floats,
    gram: Floats,
) -> None:
    """Sweep all rows of D, given Cᵀ and C·Cᵀ; write cross = XᵀD and gram = DᵀD; X is CSR.

    lanes[e] is the row of entry e, modulo `ROWS`. With `blank` (0 or 1) the sweeps begin from zero, whatever D
    is. X·Cᵀ, the sweeps and both sums are one pass over tiles of rows: nothing of the size of D is allocated,
    which costs as much as the sweeps do.
    """
    own, target, block, sums, weights, steps = workspace(len(gram))
    weigh(gram_C, least, weights, steps)
    cross[:] = 0.0
    gram[:] = 0.0
    rows = len(indptr) - 1
    fetch_rows(Ct, 0, len(Ct))
    for begin in range(0, rows, ROWS):
        end = min(begin + ROWS, rows)
        fetch_rows(D, end, min(end + ROWS, rows))
        if not blank:
            own[:] = 0.0
            for row in range(begin, end):
                copy_row(D, row, own, row - begin)
            turn_rows(own, 0, block)
        own[:] = 0.0
        sum_rows(data, indices, Ct, lanes, own, indptr[begin], indptr[end])
        move_tile(own, target, block, weights, steps, sweeps, blank, sums)
        for row in range(begin, end):
            copy_row(own, row - begin, D, row)
        add_rows(data, lanes, own, indices, cross, indptr[begin], indptr[end])
    add_sums(sums, 1.0, gram)


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
    D: Floats,
    gram: Floats,
) -> float:
    """Sweep all rows of D in place, as `solve_all` does; write gram = DᵀD and return ⟨Cᵀ, XᵀD⟩.

    XᵀD itself is left out: half of what a pass costs, of no use while C stays.
    """
    own, target, block, sums, weights, steps = workspace(len(gram))
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
        for row in range(begin, end):
            copy_row(D, row, own, row - begin)
        turn_rows(own, 0, block)
        own[:] = 0.0
        sum_rows(data, indices, Ct, lanes, own, indptr[begin], indptr[end])
        turn_rows(own, 0, target)
        scale_lines(target, steps, scaled)
        sweep_block(block, 0, scaled, weights, steps, sweeps, 0)
        fit += block_inner(block, 0, target, len(gram))
        add_gram(block, 0, len(gram), sums)
        turn_lines(block, own, 0)
        for row in range(begin, end):
            copy_row(own, row - begin, D, row)
    add_sums(sums, 1.0, gram)
    return fit


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
def settle(
    touched: Indices,
    columns: int,
    Ct: Floats,
    cross: Floats,
    gram_D: Floats,
    sweeps: int,
    least: float,
    farther: float,
    gram_C: Floats,
) -> tuple[float, float]:
    """Sweep rows of Cᵀ in place, given XᵀD and DᵀD, and keep C·Cᵀ; return their share of ⟨Cᵀ, XᵀD⟩.

    The rows are the first `columns`, which are all, or those `touched` (distinct) if `columns` is 0. Each moves by
    the share `farther` more than the sweeps would have it. The share is that before, 0 unless all are swept, and
    after.
    """
    k = len(gram_D)
    own, target, block, sums, weights, steps = workspace(k)
    scaled, before_it, olds = lined(len(target), ROWS), lined(len(target), ROWS), lined(k * k, WIDTH)
    weigh(gram_D, least, weights, steps)
    before = after = 0.0
    if columns:
        gram_C[:] = 0.0
    count = columns or len(touched)
    for begin in range(0, count, ROWS):
        some = touched[:0] if columns else touched[begin : begin + ROWS]
        if columns:
            turn_rows(cross, begin, target)
            turn_rows(Ct, begin, block)
            before += block_inner(block, 0, target, k)
        else:
            own[:] = 0.0
            for i in range(len(some)):
                copy_row(cross, some[i], own, i)
            turn_rows(own, 0, target)
            for i in range(len(some)):
                copy_row(Ct, some[i], own, i)
            turn_rows(own, 0, block)
            add_gram(block, 0, k, olds)
        scale_lines(target, steps, scaled)
        if farther > 0:
            moved(block, 0, block, 0, 0.0, before_it, 0, k)
        sweep_block(block, 0, scaled, weights, steps, sweeps, 0)
        if farther > 0:
            moved(block, 0, before_it, 0, farther, block, 0, k)
        after += block_inner(block, 0, target, k)
        add_gram(block, 0, k, sums)
        turn_lines(block, Ct if columns else own, begin if columns else 0)
        for i in range(len(some)):
            copy_row(own, i, Ct, some[i])
    add_sums(olds, -1.0, gram_C)
    add_sums(sums, 1.0, gram_C)
    return before, after


@compiled
def explained(fit: float, gram_C: Floats, gram_D: Floats) -> float:
    """Return ‖X‖² − ‖X − DC‖²_F, where `fit` is ⟨Cᵀ, XᵀD⟩."""
    total = 2 * fit
    for a in range(len(gram_C)):
        for b in range(len(gram_C)):
            total -= gram_C[a, b] * gram_D[a, b]
    return total


@compiled
def pass_over(
    indptr: Ints,
    lanes: NDArray[np.int8],
    indices: Indices,
    data: Floats,
    Ct: Floats,
    gram_C: Floats,
    columns: int,
    sweeps: int,
    least: float,
    blank: int,
    farther: float,
    D: Floats,
    cross: Floats,
    gram_D: Floats,
) -> tuple[float, float, float]:
    """Do `solve_all`, then `settle` all columns; return what was `explained` between and after, and ⟨Cᵀ, XᵀD⟩."""
    solve_all(indptr, lanes, indices, data, Ct, gram_C, sweeps, least, blank, D, cross, gram_D)
    crossed = 0.0
    for a in range(len(gram_D)):
        for b in range(len(gram_D)):
            crossed += gram_C[a, b] * gram_D[a, b]
    before, fit = settle(indices, columns, Ct, cross, gram_D, sweeps, least, farther, gram_C)
    return 2 * before - crossed, explained(fit, gram_C, gram_D), fit


@compiled
def lanes_of(indptr: Ints, lanes: NDArray[np.int8]) -> None:
    """Write the row of each entry, modulo `ROWS`."""
    lanes[:] = 0
    entries = indptr[-1]
    for row in range(1, len(indptr) - 1):
        if indptr[row] < entries:
            lanes[indptr[row]] += 1
    # A sum, for it needs no branch at a row's end; more than 127 empty rows in a row change nothing modulo 32.
    row = np.uint8(0)
    for entry in range(entries):
        row = np.uint8(row + np.uint8(lanes[entry]))
        lanes[entry] = np.int8(row & np.uint8(ROWS - 1))


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
