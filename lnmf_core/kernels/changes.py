"""Compiled exchange of some rows: their counts, and their share of the sums; numpy is the oracle.

scipy multiplies whole matrices: its Xᵀ·D makes m × k numbers however few rows X has, and a row that is replaced
in place has no place in its format. These loops cost what the rows named in `slots` cost. Row s has the entries
begins[s] … ends[s] − 1 of `indices` and `data`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.index import forget, place_of
from lnmf_core.kernels.passes import add_sums, explained, move_tile, settle, workspace
from lnmf_core.kernels.tiles import (
    ROWS,
    add_gram,
    add_row,
    copy_row,
    fetch_rows,
    turn_rows,
    weigh,
)
from lnmf_core.kernels.vectors import FOUR, WIDTH, fetch, load_four, multiply_add, spread_four, store, total

if TYPE_CHECKING:
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

BUILT_ON = "5930442b08f9b9c7"

COUNT, USED = range(2)
"""Where `exchange` finds the number of rows and that of entries in use, in an array of its own."""


@compiled
def remove_rows(gone: Ints, table: Ints, keys: Ints, begins: Ints, ends: Ints, D: Floats, numbers: Ints) -> None:
    """Forget rows that are held; a row that goes gives its slot to the last one."""
    for key in gone:
        slot, last = table[place_of(key, table, keys)], numbers[COUNT] - 1
        forget(key, table, keys)
        if slot != last:
            table[place_of(keys[last], table, keys)] = slot
            keys[slot], begins[slot], ends[slot] = keys[last], begins[last], ends[last]
            D[slot] = D[last]
        numbers[COUNT] = last


@compiled
def put_rows(
    new: Ints,
    indptr: Ints,
    new_indices: Indices,
    new_data: Floats,
    table: Ints,
    keys: Ints,
    begins: Ints,
    ends: Ints,
    indices: Indices,
    data: Floats,
    D: Floats,
    numbers: Ints,
) -> Ints:
    """Replace or append rows, for which there is room; return their slots.

    A row that is known keeps its memberships, a new one has none.
    """
    slots = np.empty(len(new), np.int64)
    for row in range(len(new)):
        at = place_of(new[row], table, keys)
        slot = table[at]
        if slot < 0:
            slot = numbers[COUNT]
            numbers[COUNT] += 1
            table[at], keys[slot] = slot, new[row]
            D[slot] = 0.0
        slots[row] = slot
        begins[slot] = numbers[USED] + indptr[row]
        ends[slot] = numbers[USED] + indptr[row + 1]
    used = numbers[USED]
    for at in range(len(new_data)):
        indices[used + at], data[used + at] = new_indices[at], new_data[at]
    numbers[USED] += len(new_data)
    return slots


@compiled
def add_share(
    sign: float,
    data: Floats,
    indices: Indices,
    begin: int,
    end: int,
    own: Floats,
    row: int,
    Ct: Floats,
    cross: Floats,
) -> float:
    """Add sign · data[e] · own[row] to cross[indices[e]] for begin ≤ e < end; return ⟨what was added, Cᵀ⟩."""
    nothing = spread_four(0.0)
    shares = nothing
    for e in range(np.uintp(begin), np.uintp(end)):
        value, column = spread_four(sign * data[e]), np.intp(indices[e])
        for j in range(0, own.shape[1], FOUR):
            share = multiply_add(value, load_four(own, row, j), nothing)
            store(cross, column, j, multiply_add(value, load_four(own, row, j), load_four(cross, column, j)))
            shares = multiply_add(share, load_four(Ct, column, j), shares)
    return total(shares)


@compiled
def withdraw_rows(
    slots: Ints,
    begins: Ints,
    ends: Ints,
    indices: Indices,
    data: Floats,
    Ct: Floats,
    D: Floats,
    cross: Floats,
    gram: Floats,
) -> float:
    """Take the share of D[slots] out of cross = XᵀD and gram = DᵀD; return what they add to ⟨Cᵀ, XᵀD⟩."""
    own, _, block, sums, _, _ = workspace(len(gram), D.shape[1], data)
    fit = 0.0
    for begin in range(0, len(slots), ROWS):
        some = slots[begin : begin + ROWS]
        own[:] = 0.0
        for i in range(len(some)):
            copy_row(D, some[i], own, i)
            fit += add_share(-1.0, data, indices, begins[some[i]], ends[some[i]], own, i, Ct, cross)
        turn_rows(own, 0, block)
        add_gram(block, 0, len(gram), sums)
    add_sums(sums, -1.0, gram)
    return fit


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
) -> float:
    """Sweep D[slots] in place, given Cᵀ and C·Cᵀ; add the rows' share to cross = XᵀD and gram = DᵀD.

    Return what they add to ⟨Cᵀ, XᵀD⟩.
    """
    own, target, block, sums, weights, steps = workspace(len(gram), D.shape[1], data)
    weigh(gram_C, least, weights, steps)
    fit = 0.0
    for begin in range(0, len(slots), ROWS):
        some = slots[begin : begin + ROWS]
        own[:] = 0.0
        for i in range(len(some)):
            copy_row(D, some[i], own, i)
        turn_rows(own, 0, block)
        own[:] = 0.0
        for i in range(len(some)):
            for e in range(begins[some[i]], ends[some[i]]):
                add_row(data[e], Ct, np.intp(indices[e]), own, i)
        move_tile(own, target, block, weights, steps, sweeps, 0, sums)
        for i in range(len(some)):
            copy_row(own, i, D, some[i])
            fit += add_share(1.0, data, indices, begins[some[i]], ends[some[i]], own, i, Ct, cross)
    add_sums(sums, 1.0, gram)
    return fit


@compiled
def fetch_entries(slots: Ints, begins: Ints, ends: Ints, indices: Indices, data: Floats, D: Floats) -> None:
    """Ask for the entries and the memberships of these rows, which lie anywhere, all at once."""
    for slot in slots:
        for at in range(begins[slot], ends[slot], WIDTH):
            fetch(indices.reshape(1, -1), 0, at)
            fetch(data.reshape(1, -1), 0, at)
        fetch_rows(D, slot, slot + 1)


@compiled
def exchange(
    new: Ints,
    indptr: Ints,
    new_indices: Indices,
    new_data: Floats,
    gone: Ints,
    appended: Indices,
    table: Ints,
    keys: Ints,
    begins: Ints,
    ends: Ints,
    indices: Indices,
    data: Floats,
    D: Floats,
    numbers: Ints,
    columns: int,
    Ct: Floats,
    gram_C: Floats,
    cross: Floats,
    gram_D: Floats,
    peaks: Floats,
    sweeps: int,
    least: float,
    squared_norm: float,
    fit: float,
    settled: float,
    changed: int,
) -> tuple[float, float, float, bool, float]:
    """Exchange rows, sweep the new ones, and move Cᵀ where that is due; all arrays but `new…` are changed.

    Cᵀ moves in all columns, the first `columns`, once `changed` rows are the share `settled` of all, else in those
    that were `appended`. Returns ‖X‖², ⟨Cᵀ, XᵀD⟩, what is `explained`, whether Cᵀ has moved in all columns, and the
    least share that a sum is of its peak: `peaks` are the largest of each diagonal entry of DᵀD, and of ‖X‖².
    """
    old, count = np.empty(len(gone) + len(new), np.int64), 0
    for key in gone:
        old[count] = table[place_of(key, table, keys)]
        count += 1
    for key in new:
        slot = table[place_of(key, table, keys)]
        if slot >= 0:
            old[count] = slot
            count += 1
    old = old[:count]
    fetch_entries(old, begins, ends, indices, data, D)
    for column in new_indices:
        fetch_rows(Ct, column, column + 1)
        fetch_rows(cross, column, column + 1)
    for slot in old:
        for at in range(begins[slot], ends[slot]):
            squared_norm -= data[at] * data[at]
    fit += withdraw_rows(old, begins, ends, indices, data, Ct, D, cross, gram_D)
    remove_rows(gone, table, keys, begins, ends, D, numbers)
    slots = put_rows(new, indptr, new_indices, new_data, table, keys, begins, ends, indices, data, D, numbers)
    for at in range(len(new_data)):
        squared_norm += new_data[at] * new_data[at]
    fit += solve_rows(slots, begins, ends, indices, data, Ct, gram_C, sweeps, least, D, cross, gram_D)
    whole = changed >= settled * numbers[COUNT]
    if whole or len(appended):
        share = settle(appended, columns if whole else 0, Ct, cross, gram_D, sweeps, least, gram_C)
        fit = share if whole else fit + share
    k = len(gram_C)
    least_share = 1.0
    for j in range(k + 1):
        size = gram_D[j, j] if j < k else squared_norm
        peaks[j] = max(peaks[j], size)
        if size < least_share * peaks[j]:
            least_share = size / peaks[j]
    return squared_norm, fit, explained(fit, gram_C, gram_D), whole, least_share
