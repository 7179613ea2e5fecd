"""Compiled exchange of some rows: their place by key, their share of the sums, and the columns that they touch.

An index is a table of slots, −1 where none is, a power of two long and at most half full; a key's slot stands at
the first free place from `home` on (Knuth, The Art of Computer Programming 3, 6.4, algorithms L and R).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.passes import explained, settle, solve_rows, withdraw_rows
from lnmf_core.kernels.tiles import fetch_rows
from lnmf_core.kernels.vectors import WIDTH, fetch

if TYPE_CHECKING:
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

BUILT_ON = "0da5e2048b85a624"

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ divided by the golden ratio: products with it spread keys that follow one another."""
HALF = np.uint64(32)

COUNT, USED = range(2)
"""Where `exchange` finds the number of rows and that of entries in use, in an array of its own."""


@compiled
def home(key: int, table: Ints) -> int:
    """Return where the search for a key begins."""
    return np.int64((np.uint64(key) * GOLDEN) >> HALF) & (len(table) - 1)


@compiled
def place_of(key: int, table: Ints, keys: Ints) -> int:
    """Return the place of a key's slot, or the free place where it belongs."""
    at = home(key, table)
    while table[at] >= 0 and keys[table[at]] != key:
        at = (at + 1) & (len(table) - 1)
    return at


@compiled
def index_all(table: Ints, keys: Ints, count: int) -> None:
    """Make the index of the first `count` keys."""
    table[:] = -1
    for slot in range(count):
        table[place_of(keys[slot], table, keys)] = slot


@compiled
def slots_of(wanted: Ints, table: Ints, keys: Ints) -> Ints:
    """Return the slot of each key, −1 where there is none."""
    slots = np.empty(len(wanted), np.int64)
    for at in range(len(wanted)):
        slots[at] = table[place_of(wanted[at], table, keys)]
    return slots


@compiled
def forget(key: int, table: Ints, keys: Ints) -> None:
    """Take a key that is there out of the index, so that all others are found."""
    hole = place_of(key, table, keys)
    last = len(table) - 1
    at = (hole + 1) & last
    while table[at] >= 0:
        if ((at - home(keys[table[at]], table)) & last) >= ((at - hole) & last):
            table[hole] = table[at]
            hole = at
        at = (at + 1) & last
    table[hole] = -1


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
def columns_of(
    slots: Ints, begins: Ints, ends: Ints, indices: Indices, more: Indices, marks: NDArray[np.bool_]
) -> Indices:
    """Return the columns in which the rows have entries, and those in `more`, once each.

    `marks` has a place for each column; all are False, and are so again.
    """
    room = len(more)
    for slot in slots:
        room += ends[slot] - begins[slot]
    out, count = np.empty(min(room, len(marks)), np.int32), 0
    for slot in slots:
        for at in range(begins[slot], ends[slot]):
            if not marks[indices[at]]:
                marks[indices[at]] = True
                out[count] = indices[at]
                count += 1
    for column in more:
        if not marks[column]:
            marks[column] = True
            out[count] = column
            count += 1
    for at in range(count):
        marks[out[at]] = False
    return out[:count]


@compiled
def fetch_entries(
    slots: Ints, begins: Ints, ends: Ints, indices: NDArray[np.int32], data: Floats, D: Floats
) -> None:
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
    table: Ints,
    keys: Ints,
    begins: Ints,
    ends: Ints,
    indices: Indices,
    data: Floats,
    D: Floats,
    numbers: Ints,
    Ct: Floats,
    gram_C: Floats,
    cross: Floats,
    gram_D: Floats,
    marks: NDArray[np.bool_],
    peaks: Floats,
    sweeps: int,
    least: float,
    squared_norm: float,
    fit: float,
    settled: float,
    changed: int,
) -> tuple[float, float, float, bool, float]:
    """Exchange rows, sweep the new ones, and move Cᵀ in the columns of both; all arrays but `new…` are changed.

    Cᵀ moves in all columns once `changed` rows are the share `settled` of all. Returns ‖X‖², ⟨Cᵀ, XᵀD⟩, what is
    `explained`, whether Cᵀ has moved in all columns, and the least share that a sum is of its peak: `peaks` are
    the largest of each diagonal entry of DᵀD, and of ‖X‖².
    """
    known = slots_of(new, table, keys)
    old = np.empty(len(gone) + len(new), np.int64)
    count = 0
    for key in gone:
        old[count] = table[place_of(key, table, keys)]
        count += 1
    for slot in known:
        if slot >= 0:
            old[count] = slot
            count += 1
    old = old[:count]
    fetch_entries(old, begins, ends, indices, data, D)
    touched = columns_of(old, begins, ends, indices, new_indices, marks)
    for column in touched:
        fetch_rows(Ct, column, column + 1)
        fetch_rows(cross, column, column + 1)
    k = len(gram_C)
    for column in touched:
        for j in range(k):
            fit -= Ct[column, j] * cross[column, j]
    for slot in old:
        for at in range(begins[slot], ends[slot]):
            squared_norm -= data[at] * data[at]
    withdraw_rows(old, begins, ends, indices, data, D, cross, gram_D)
    remove_rows(gone, table, keys, begins, ends, D, numbers)
    slots = put_rows(new, indptr, new_indices, new_data, table, keys, begins, ends, indices, data, D, numbers)
    for at in range(len(new_data)):
        squared_norm += new_data[at] * new_data[at]
    solve_rows(slots, begins, ends, indices, data, Ct, gram_C, sweeps, least, D, cross, gram_D)
    whole = changed >= settled * numbers[COUNT]
    _, share = settle(touched, len(marks) if whole else 0, Ct, cross, gram_D, sweeps, least, gram_C)
    fit = share if whole else fit + share
    least_share = 1.0
    for j in range(k + 1):
        size = gram_D[j, j] if j < k else squared_norm
        peaks[j] = max(peaks[j], size)
        if size < least_share * peaks[j]:
            least_share = size / peaks[j]
    return squared_norm, fit, explained(fit, gram_C, gram_D), whole, least_share
