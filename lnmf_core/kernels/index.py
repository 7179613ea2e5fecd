"""Compiled index of rows by their keys.

An index is a table of slots, −1 where none is, a power of two long and at most half full; a key's slot stands at
the first free place from `home` on (Knuth, The Art of Computer Programming 3, 6.4, algorithms L and R).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled

if TYPE_CHECKING:
    Ints = NDArray[np.int64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ divided by the golden ratio: products with it spread keys that follow one another."""
HALF = np.uint64(32)


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
