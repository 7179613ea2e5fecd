"""C and XᵀD side by side: what an entry of X asks for lies next to what it adds to.

Row c of `columns` holds column c of C and, from `half` on, row c of XᵀD; each takes k numbers, filled up to a
multiple of `FOUR`. Where these are an odd number of fours the last four of the sums come first, so that eights
begin at a cache line in both. What is far away is waited for once, not twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.tiles import ROWS
from lnmf_core.kernels.vectors import (
    FOUR,
    WIDTH,
    load,
    load_four,
    multiply_add,
    spread,
    spread_four,
    store,
    turn,
    turn_four,
)

if TYPE_CHECKING:
    from lnmf_core.factors import Array

BUILT_ON = "32c8e305abdfb344"

PAIR = 2 * WIDTH
"""Numbers that are added up at once; what is left over of a row is 0, 4, 8 or 12."""


@compiled
def gather_columns(
    indptr: NDArray[Any], indices: NDArray[Any], data: Array, begin: int, end: int, columns: Array, out: Array
) -> None:
    """Set out[i] to row begin + i of X, times Cᵀ."""
    half, zero, zero_four = out.shape[1], spread(out.dtype.type(0)), spread_four(out.dtype.type(0))
    whole = half // PAIR * PAIR
    for j in range(0, whole, PAIR):
        for row in range(begin, end):
            first, second = zero, zero
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                value, column = spread(data[at]), indices[at]
                first = multiply_add(value, load(columns, column, j), first)
                second = multiply_add(value, load(columns, column, j + WIDTH), second)
            store(out, row - begin, j, first)
            store(out, row - begin, j + WIDTH, second)
    if half - whole == WIDTH + FOUR:
        for row in range(begin, end):
            first, last = zero, zero_four
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                column = indices[at]
                first = multiply_add(spread(data[at]), load(columns, column, whole), first)
                last = multiply_add(spread_four(data[at]), load_four(columns, column, whole + WIDTH), last)
            store(out, row - begin, whole, first)
            store(out, row - begin, whole + WIDTH, last)
    elif half - whole == WIDTH:
        for row in range(begin, end):
            first = zero
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                first = multiply_add(spread(data[at]), load(columns, indices[at], whole), first)
            store(out, row - begin, whole, first)
    elif half - whole == FOUR:
        for row in range(begin, end):
            last = zero_four
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                last = multiply_add(spread_four(data[at]), load_four(columns, indices[at], whole), last)
            store(out, row - begin, whole, last)


@compiled
def scatter_columns(
    indptr: NDArray[Any], indices: NDArray[Any], data: Array, begin: int, end: int, left: Array, columns: Array
) -> None:
    """Add Xᵀ·left to the sums, for rows begin … end − 1 of X, the first of which belongs to left[0]."""
    half = left.shape[1]
    whole, eights = half // PAIR * PAIR, half // WIDTH * WIDTH
    to = 2 * half - eights
    for j in range(0, whole, PAIR):
        for row in range(begin, end):
            first, second = load(left, row - begin, j), load(left, row - begin, j + WIDTH)
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                value, column = spread(data[at]), indices[at]
                store(columns, column, to + j, multiply_add(value, first, load(columns, column, to + j)))
                there = to + j + WIDTH
                store(columns, column, there, multiply_add(value, second, load(columns, column, there)))
    if half - whole == WIDTH + FOUR:
        for row in range(begin, end):
            first, last = load(left, row - begin, whole), load_four(left, row - begin, eights)
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                column = indices[at]
                there = to + whole
                store(
                    columns,
                    column,
                    half,
                    multiply_add(spread_four(data[at]), last, load_four(columns, column, half)),
                )
                store(columns, column, there, multiply_add(spread(data[at]), first, load(columns, column, there)))
    elif half - whole == WIDTH:
        for row in range(begin, end):
            first = load(left, row - begin, whole)
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                column, there = indices[at], to + whole
                store(columns, column, there, multiply_add(spread(data[at]), first, load(columns, column, there)))
    elif half - whole == FOUR:
        for row in range(begin, end):
            last = load_four(left, row - begin, eights)
            for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                column = indices[at]
                store(
                    columns,
                    column,
                    half,
                    multiply_add(spread_four(data[at]), last, load_four(columns, column, half)),
                )


@compiled
def turn_columns(columns: Array, begin: int, target: Array) -> None:
    """Set `target` (half × `ROWS`) to the transpose of C in `ROWS` rows of `columns`, from `begin` on."""
    half = len(target)
    eights = half // WIDTH * WIDTH
    for at in range(0, ROWS, WIDTH):
        for j in range(0, eights, WIDTH):
            turn(columns, begin + at, j, target, j, at)
    for at in range(0, ROWS if eights < half else 0, FOUR):
        turn_four(columns, begin + at, eights, target, eights, at)


@compiled
def put_columns(lines: Array, line: int, columns: Array, begin: int, half: int) -> None:
    """Undo `turn_columns`, for `half` lines from `line` on."""
    eights = half // WIDTH * WIDTH
    for at in range(0, ROWS, WIDTH):
        for j in range(0, eights, WIDTH):
            turn(lines, line + j, at, columns, begin + at, j)
    for at in range(0, ROWS if eights < half else 0, FOUR):
        turn_four(lines, line + eights, at, columns, begin + at, eights)


@compiled
def take_sums(columns: Array, parts: int, begin: int, target: Array) -> None:
    """Set `target` (half × `ROWS`) to the transpose of `ROWS` rows of XᵀD, and those to zero.

    `columns` holds `parts` times as many rows as X has columns: sums over parts of X, added in their order.
    """
    half, each = len(target), len(columns) // parts
    eights = half // WIDTH * WIDTH
    to = 2 * half - eights
    zero, zero_four = spread(columns.dtype.type(0)), spread_four(columns.dtype.type(0))
    one, one_four = spread(columns.dtype.type(1)), spread_four(columns.dtype.type(1))
    for row in range(begin, begin + ROWS):
        for part in range(1, parts):
            other = part * each + row
            for j in range(to, 2 * half, WIDTH):
                store(columns, row, j, multiply_add(one, load(columns, row, j), load(columns, other, j)))
                store(columns, other, j, zero)
            if eights < half:
                sum_ = multiply_add(one_four, load_four(columns, row, half), load_four(columns, other, half))
                store(columns, row, half, sum_)
                store(columns, other, half, zero_four)
    for at in range(0, ROWS, WIDTH):
        for j in range(0, eights, WIDTH):
            turn(columns, begin + at, to + j, target, j, at)
    for at in range(0, ROWS if eights < half else 0, FOUR):
        turn_four(columns, begin + at, half, target, eights, at)
    for row in range(begin, begin + ROWS):
        for j in range(to, 2 * half, WIDTH):
            store(columns, row, j, zero)
        if eights < half:
            store(columns, row, half, zero_four)
