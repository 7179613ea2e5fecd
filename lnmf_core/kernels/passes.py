"""Compiled passes over rows that come and go, and over the columns that they share; numpy is the oracle.

scipy multiplies whole matrices: its Xᵀ·D makes m × k numbers however few rows X has, and a row that is replaced
in place has no place in its format. These loops cost what the rows named in `slots` cost. Row s has the entries
begins[s] … ends[s] − 1 of `indices` and `data`.

D, Cᵀ and XᵀD are `padded`: rows of components end with zeros, up to a whole vector. Cᵀ and XᵀD also end with rows
of zeros, up to a whole tile of `LANES` rows. Within a tile rows lie side by side, since rows do not depend on one
another and components do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled, reduction
from lnmf_core.kernels.lanes import (
    EIGHT,
    FOUR,
    LANES,
    copy_row,
    fetch,
    gather,
    gather_lanes,
    inner_lanes,
    lay,
    scatter,
    scatter_lanes,
    square_lanes,
    stand,
    sweep_lanes,
)

if TYPE_CHECKING:
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

BUILT_ON = "1b6daf758ce83d3d"


def padded(count: int) -> int:
    """Return the width of a row of so many components."""
    return -(-count // FOUR) * FOUR


def tiled(count: int) -> int:
    """Return the number of rows of whole tiles that hold so many."""
    return -(-count // LANES) * LANES


@compiled
def lined(rows: int, width: int) -> Floats:
    """Return zeros, rows × width, that begin with a line of the cache: a vector then lies in one line."""
    room = np.zeros(rows * width + EIGHT)
    begin = (-(room.ctypes.data // 8)) % EIGHT
    return room[begin : begin + rows * width].reshape(rows, width)


@compiled
def weigh(gram: Floats, least: float, weights: Floats, steps: Floats) -> None:
    """Write −gram[j, o] / gram[j, j], zero where j = o, and 1 / gram[j, j]; zeros where that is ≤ `least`."""
    k = len(gram)
    for j in range(k):
        steps[j] = 1.0 / gram[j, j] if not gram[j, j] <= least else 0.0
        for other in range(k):
            weights[j, other] = -gram[j, other] * steps[j] if other != j else 0.0


@compiled
def sweep_tile(target: Floats, block: Floats, weights: Floats, steps: Floats, sweeps: int, blank: int) -> None:
    """Sweep a tile as `lnmf_core.kernels.sweeps.hals_sweeps` does; `blank` (0 or 1) says that `block` is zero."""
    k = len(weights)
    for sweep in range(sweeps):
        for j in range(k):
            if steps[j] != 0.0:
                sweep_lanes(block, target, weights, j, j if blank and sweep == 0 else k)


@compiled
def add_folded(squares: Floats, sign: float, gram: Floats) -> None:
    """Add what `square_lanes` has summed to `gram`, with a sign."""
    k = len(gram)
    for a in range(k):
        for b in range(a + 1):
            total = 0.0
            for lane in range(EIGHT):
                total += squares[a * k + b, lane]
            gram[a, b] += sign * total
            if a != b:
                gram[b, a] += sign * total


@compiled
def folded(products: Floats, gram: Floats) -> float:
    """Return the inner product that `inner_lanes` has summed, its targets having been divided by the diagonal."""
    total = 0.0
    for j in range(len(gram)):
        part = 0.0
        for lane in range(EIGHT):
            part += products[j, lane]
        total += gram[j, j] * part
    return total


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

    lanes[e] is the row of entry e, modulo `LANES`. With `blank` (0 or 1) the sweeps begin from zero, whatever D
    is. X·Cᵀ, the sweeps and both sums are one pass over tiles of rows: nothing of the size of D is allocated,
    which costs as much as the sweeps do.
    """
    k, width = len(gram), Ct.shape[1]
    weights, steps, ones = np.empty((k, k)), np.zeros(width), np.ones(width)
    weigh(gram_C, least, weights, steps)
    own, target, block = lined(LANES, width), lined(width, LANES), lined(width, LANES)
    squares = lined(k * k, EIGHT)
    cross[:] = 0.0
    gram[:] = 0.0
    rows = len(indptr) - 1
    fetch(Ct, 0, len(Ct))
    for begin in range(0, rows, LANES):
        fetch(D, min(begin + LANES, rows), min(begin + 2 * LANES, rows))
        count = min(LANES, rows - begin)
        if not blank:
            for i in range(count):
                copy_row(D, begin + i, own, i)
            lay(own, 0, ones, block)
        own[:] = 0.0
        gather_lanes(indices, data, lanes, indptr[begin], indptr[begin + count], Ct, own)
        lay(own, 0, steps, target)
        sweep_tile(target, block, weights, steps, sweeps, blank)
        square_lanes(block, k, squares)
        stand(block, own, 0)
        for i in range(count):
            copy_row(own, i, D, begin + i)
        scatter_lanes(indices, data, lanes, indptr[begin], indptr[begin + count], own, cross)
    add_folded(squares, 1.0, gram)


@compiled
def solve_rows(
    slots: Ints,
    begins: Ints,
    ends: Ints,
    indices: Indices,
    data: Floats,
    Ct: Floats,
    gram_C: Floats,
    sweeps: int,
    least: float,
    D: Floats,
    cross: Floats,
    gram: Floats,
) -> None:
    """Sweep D[slots] in place, given Cᵀ and C·Cᵀ; add the rows' share to cross = XᵀD and gram = DᵀD.

    Row s has the entries begins[s] … ends[s] − 1 of `indices` and `data`.
    """
    k, width = len(gram), Ct.shape[1]
    weights, steps, ones = np.empty((k, k)), np.zeros(width), np.ones(width)
    weigh(gram_C, least, weights, steps)
    own, target, block = lined(LANES, width), lined(width, LANES), lined(width, LANES)
    squares = lined(k * k, EIGHT)
    for begin in range(0, len(slots), LANES):
        count = min(LANES, len(slots) - begin)
        if count < LANES:
            own[:] = 0.0
        for i in range(count):
            copy_row(D, slots[begin + i], own, i)
        lay(own, 0, ones, block)
        for i in range(count):
            slot = slots[begin + i]
            gather(indices, data, begins[slot], ends[slot], Ct, own, i)
        lay(own, 0, steps, target)
        sweep_tile(target, block, weights, steps, sweeps, 0)
        square_lanes(block, k, squares)
        stand(block, own, 0)
        for i in range(count):
            slot = slots[begin + i]
            copy_row(own, i, D, slot)
            scatter(indices, data, begins[slot], ends[slot], own, i, cross)
    add_folded(squares, 1.0, gram)


@compiled
def withdraw_rows(
    slots: Ints,
    begins: Ints,
    ends: Ints,
    indices: Indices,
    data: Floats,
    D: Floats,
    cross: Floats,
    gram: Floats,
) -> None:
    """Take the share of D[slots] out of cross = XᵀD and gram = DᵀD."""
    k, width = len(gram), D.shape[1]
    minus = np.full(width, -1.0)
    own, block, squares = lined(LANES, width), lined(width, LANES), lined(k * k, EIGHT)
    for begin in range(0, len(slots), LANES):
        count = min(LANES, len(slots) - begin)
        if count < LANES:
            own[:] = 0.0
        for i in range(count):
            copy_row(D, slots[begin + i], own, i)
        lay(own, 0, minus, block)
        square_lanes(block, k, squares)
        stand(block, own, 0)
        for i in range(count):
            slot = slots[begin + i]
            scatter(indices, data, begins[slot], ends[slot], own, i, cross)
    add_folded(squares, -1.0, gram)


@compiled
def settle_all(
    Ct: Floats, cross: Floats, gram_D: Floats, columns: int, sweeps: int, least: float, gram_C: Floats
) -> tuple[float, float]:
    """Sweep Cᵀ in place, given XᵀD and DᵀD; write C·Cᵀ; return ⟨Cᵀ, XᵀD⟩ as it was and as it is."""
    k, width = len(gram_D), Ct.shape[1]
    weights, steps, ones = np.empty((k, k)), np.zeros(width), np.ones(width)
    weigh(gram_D, least, weights, steps)
    target, block = lined(width, LANES), lined(width, LANES)
    squares, old, new = lined(k * k, EIGHT), lined(k, EIGHT), lined(k, EIGHT)
    for begin in range(0, columns, LANES):
        lay(cross, begin, steps, target)
        lay(Ct, begin, ones, block)
        inner_lanes(block, target, k, old)
        sweep_tile(target, block, weights, steps, sweeps, 0)
        inner_lanes(block, target, k, new)
        square_lanes(block, k, squares)
        stand(block, Ct, begin)
    gram_C[:] = 0.0
    add_folded(squares, 1.0, gram_C)
    return folded(old, gram_D), folded(new, gram_D)


@compiled
def settle_some(
    touched: Indices, Ct: Floats, cross: Floats, gram_D: Floats, sweeps: int, least: float, gram_C: Floats
) -> float:
    """Sweep the rows `touched` (distinct) of Cᵀ in place, and keep C·Cᵀ; return their share of ⟨Cᵀ, XᵀD⟩."""
    k, width = len(gram_D), Ct.shape[1]
    weights, steps, ones = np.empty((k, k)), np.zeros(width), np.ones(width)
    weigh(gram_D, least, weights, steps)
    own, target, block = lined(LANES, width), lined(width, LANES), lined(width, LANES)
    old, new, products = lined(k * k, EIGHT), lined(k * k, EIGHT), lined(k, EIGHT)
    for begin in range(0, len(touched), LANES):
        count = min(LANES, len(touched) - begin)
        if count < LANES:
            own[:] = 0.0
        for i in range(count):
            copy_row(cross, touched[begin + i], own, i)
        lay(own, 0, steps, target)
        for i in range(count):
            copy_row(Ct, touched[begin + i], own, i)
        lay(own, 0, ones, block)
        square_lanes(block, k, old)
        sweep_tile(target, block, weights, steps, sweeps, 0)
        square_lanes(block, k, new)
        inner_lanes(block, target, k, products)
        stand(block, own, 0)
        for i in range(count):
            copy_row(own, i, Ct, touched[begin + i])
    add_folded(old, -1.0, gram_C)
    add_folded(new, 1.0, gram_C)
    return folded(products, gram_D)


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
    D: Floats,
    cross: Floats,
    gram_D: Floats,
) -> tuple[float, float, float]:
    """Do `solve_all`, then `settle_all`; return what was `explained` in between and after, and ⟨Cᵀ, XᵀD⟩."""
    solve_all(indptr, lanes, indices, data, Ct, gram_C, sweeps, least, blank, D, cross, gram_D)
    crossed = 0.0
    for a in range(len(gram_D)):
        for b in range(len(gram_D)):
            crossed += gram_C[a, b] * gram_D[a, b]
    before, fit = settle_all(Ct, cross, gram_D, columns, sweeps, least, gram_C)
    return 2 * before - crossed, explained(fit, gram_C, gram_D), fit


@compiled
def lanes_of(indptr: Ints, lanes: NDArray[np.int8]) -> None:
    """Write the row of each entry, modulo `LANES`."""
    lanes[:] = 0
    entries = indptr[-1]
    for row in range(1, len(indptr) - 1):
        if indptr[row] < entries:
            lanes[indptr[row]] += 1
    # A sum, for it needs no branch at a row's end; more than 127 empty rows in a row change nothing modulo 32.
    row = np.uint8(0)
    for entry in range(entries):
        row = np.uint8(row + np.uint8(lanes[entry]))
        lanes[entry] = np.int8(row & np.uint8(LANES - 1))


@reduction
def squared(data: Floats) -> float:
    """Return the sum of the squares."""
    total = 0.0
    for value in data:
        total += value * value
    return total
