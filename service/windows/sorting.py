"""Sorting by whole numbers, without comparing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.windows import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


def argsort(keys: Ints) -> Ints:
    """Return the places of nonnegative keys in ascending order, equal ones in theirs."""
    order = np.empty(len(keys), np.int64)
    kernels.argsort(keys, order)
    return order


def starts(keys: Ints | NDArray[np.uint32]) -> NDArray[np.intp]:
    """Return where each run of equal keys begins."""
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.empty(0, np.intp)


def lengths(start: NDArray[np.intp], end: int) -> Ints:
    """Return how long each run is: np.diff(start, append=end), sooner."""
    found = np.empty(len(start), np.int64)
    found[:-1] = start[1:]
    found[-1:] = end
    found -= start
    return found


def numbered(values: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], Ints]:
    """Return the distinct values, ascending, and which of them each value is: np.unique, sooner."""
    order = argsort(values.astype(np.int64))
    ordered = values[order]
    start = starts(ordered)
    number = np.empty(len(values), np.int64)
    number[order] = np.repeat(np.arange(len(start)), lengths(start, len(values)))
    return ordered[start], number
