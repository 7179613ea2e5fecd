"""Tiles of 32 rows of a factor, on their sides: rows do not depend on one another, components do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.vectors import (
    FOUR,
    SIXTEEN,
    WIDTH,
    fetch,
    kept,
    load,
    load_four,
    load_sixteen,
    multiply_add,
    positive,
    spread,
    spread_four,
    spread_sixteen,
    store,
    total,
    turn,
    turn_four,
    widened,
)

if TYPE_CHECKING:
    from lnmf_core.factors import Array

BUILT_ON = "b9938b5cdbb1b7cb"

ROWS = 4 * WIDTH
"""Rows that are swept side by side: their components fill the registers while another is added up."""
CACHE_LINE = 64
"""Bytes."""


@compiled
def room(rows: int, columns: int, like: Array) -> Array:
    """Return rows × columns numbers, as they come, of the dtype of `like`, that begin at a cache line."""
    spare = CACHE_LINE // like.itemsize
    memory = np.empty(rows * columns + spare, like.dtype)
    begin = (-memory.ctypes.data % CACHE_LINE) // like.itemsize
    return memory[begin : begin + rows * columns].reshape(rows, columns)


@compiled
def weigh(gram: Array, least: float, weights: Array, steps: Array) -> None:
    """Set weights = −gram_jo / gram_jj and steps = 1 / gram_jj, which is 0 where component j is absent."""
    k = len(steps)
    for j in range(k):
        steps[j] = 0
        if not gram[j, j] <= least:
            steps[j] = 1 / gram[j, j]
            for other in range(k):
                weights[j, other] = -gram[j, other] / gram[j, j]


@compiled
def sweep_block(
    block: Array, line: int, target: Array, weights: Array, steps: Array, sweeps: int, blank: int
) -> None:
    """Sweep k lines of `block`, as `hals_sweeps` does; `target` holds cross / gram_jj.

    `blank` (0 or 1) says that they are zero.
    """
    k = len(steps)
    for sweep in range(sweeps):
        for j in range(k):
            if steps[j] == 0:
                continue
            a, b = load(target, j, 0), load(target, j, WIDTH)
            c, d = load(target, j, 2 * WIDTH), load(target, j, 3 * WIDTH)
            # The column that was stored last is loaded last; in two loops, for one that folds is slower.
            for other in range(k if blank and sweep == 0 else j + 1, k):
                weight = spread(weights[j, other])
                a = multiply_add(weight, load(block, line + other, 0), a)
                b = multiply_add(weight, load(block, line + other, WIDTH), b)
                c = multiply_add(weight, load(block, line + other, 2 * WIDTH), c)
                d = multiply_add(weight, load(block, line + other, 3 * WIDTH), d)
            for other in range(j):
                weight = spread(weights[j, other])
                a = multiply_add(weight, load(block, line + other, 0), a)
                b = multiply_add(weight, load(block, line + other, WIDTH), b)
                c = multiply_add(weight, load(block, line + other, 2 * WIDTH), c)
                d = multiply_add(weight, load(block, line + other, 3 * WIDTH), d)
            store(block, line + j, 0, positive(a))
            store(block, line + j, WIDTH, positive(b))
            store(block, line + j, 2 * WIDTH, positive(c))
            store(block, line + j, 3 * WIDTH, positive(d))


@compiled
def add_gram(block: Array, line: int, k: int, sums: Array) -> None:
    """Add blockᵀ·block to `sums` (k·k × `WIDTH`), lower triangle, eight partial sums for each entry."""
    for i in range(k):
        a, b = load(block, line + i, 0), load(block, line + i, WIDTH)
        c, d = load(block, line + i, 2 * WIDTH), load(block, line + i, 3 * WIDTH)
        for j in range(i + 1):
            sum_ = multiply_add(a, load(block, line + j, 0), load(sums, i * k + j, 0))
            sum_ = multiply_add(b, load(block, line + j, WIDTH), sum_)
            sum_ = multiply_add(c, load(block, line + j, 2 * WIDTH), sum_)
            store(sums, i * k + j, 0, multiply_add(d, load(block, line + j, 3 * WIDTH), sum_))


@compiled
def block_inner(block: Array, line: int, target: Array, k: int) -> float:
    """Return ⟨k lines of block, k lines of target⟩ in float64."""
    a = b = c = d = spread(0.0)
    for j in range(k):
        a = multiply_add(widened(load(block, line + j, 0)), widened(load(target, j, 0)), a)
        b = multiply_add(widened(load(block, line + j, WIDTH)), widened(load(target, j, WIDTH)), b)
        c = multiply_add(widened(load(block, line + j, 2 * WIDTH)), widened(load(target, j, 2 * WIDTH)), c)
        d = multiply_add(widened(load(block, line + j, 3 * WIDTH)), widened(load(target, j, 3 * WIDTH)), d)
    return total(a) + total(b) + total(c) + total(d)


@compiled
def scale_lines(target: Array, steps: Array, out: Array) -> None:
    """Set each line of `out` to that of `target` times its step."""
    nothing = spread(target.dtype.type(0))
    for j in range(len(steps)):
        step = spread(steps[j])
        for at in range(0, ROWS, WIDTH):
            store(out, j, at, multiply_add(step, load(target, j, at), nothing))


@compiled
def moved(
    new: Array, line: int, old: Array, old_line: int, momentum: float, out: Array, out_line: int, k: int
) -> None:
    """Set k lines of `out` to [new + momentum·(new − old)]₊, from those lines of `new` and `old` on."""
    if momentum == 0:
        for j in range(k):
            for at in range(0, ROWS, WIDTH):
                store(out, out_line + j, at, load(new, line + j, at))
        return
    share, minus = spread(new.dtype.type(momentum)), spread(new.dtype.type(-1))
    for j in range(k):
        for at in range(0, ROWS, WIDTH):
            value = load(new, line + j, at)
            change = multiply_add(minus, load(old, old_line + j, at), value)
            store(out, out_line + j, at, positive(multiply_add(share, change, value)))


@compiled
def turn_rows(rows: Array, begin: int, target: Array) -> None:
    """Set `target` (columns × `ROWS`) to the transpose of rows[begin : begin + ROWS]; columns in fours."""
    eights = rows.shape[1] // WIDTH * WIDTH
    for at in range(0, ROWS, WIDTH):
        for j in range(0, eights, WIDTH):
            turn(rows, begin + at, j, target, j, at)
    for at in range(0, ROWS if eights < rows.shape[1] else 0, FOUR):
        turn_four(rows, begin + at, eights, target, eights, at)


@compiled
def turn_lines(lines: Array, rows: Array, begin: int) -> None:
    """Undo `turn_rows`."""
    eights = rows.shape[1] // WIDTH * WIDTH
    for at in range(0, ROWS, WIDTH):
        for j in range(0, eights, WIDTH):
            turn(lines, j, at, rows, begin + at, j)
    for at in range(0, ROWS if eights < rows.shape[1] else 0, FOUR):
        turn_four(lines, eights, at, rows, begin + at, eights)


@compiled
def gather_rows(
    indptr: NDArray[Any], indices: NDArray[Any], data: Array, begin: int, end: int, right: Array, out: Array
) -> None:
    """Set out[i] to row begin + i of X, times `right`, whose columns are a multiple of `WIDTH`."""
    width, zero = right.shape[1], spread(right.dtype.type(0))
    for j in range(0, width, 2 * WIDTH):
        if j + WIDTH < width:
            for row in range(begin, end):
                first, second = zero, zero
                for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                    value, column = spread(data[at]), indices[at]
                    first = multiply_add(value, load(right, column, j), first)
                    second = multiply_add(value, load(right, column, j + WIDTH), second)
                store(out, row - begin, j, first)
                store(out, row - begin, j + WIDTH, second)
        else:
            for row in range(begin, end):
                first = zero
                for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                    first = multiply_add(spread(data[at]), load(right, indices[at], j), first)
                store(out, row - begin, j, first)


@compiled
def scatter_rows(
    indptr: NDArray[Any], indices: NDArray[Any], data: Array, begin: int, end: int, left: Array, out: Array
) -> None:
    """Add Xᵀ·left to `out`, for rows begin … end − 1 of X, the first of which belongs to left[0]."""
    width = out.shape[1]
    for j in range(0, width, 2 * WIDTH):
        if j + WIDTH < width:
            for row in range(begin, end):
                first, second = load(left, row - begin, j), load(left, row - begin, j + WIDTH)
                for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                    value, column = spread(data[at]), indices[at]
                    store(out, column, j, multiply_add(value, first, load(out, column, j)))
                    store(out, column, j + WIDTH, multiply_add(value, second, load(out, column, j + WIDTH)))
        else:
            for row in range(begin, end):
                first = load(left, row - begin, j)
                for at in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                    value, column = spread(data[at]), indices[at]
                    store(out, column, j, multiply_add(value, first, load(out, column, j)))


@compiled
def copy_row(source: Array, row: int, out: Array, at: int) -> None:
    """Set out[at] to source[row], in columns that both have; their number is a multiple of `FOUR`."""
    for j in range(0, min(source.shape[1], out.shape[1]), FOUR):
        store(out, at, j, load_four(source, row, j))


@compiled
def add_row(value: float, source: Array, row: int, out: Array, at: int) -> None:
    """Add value · source[row] to out[at], in columns that both have; their number is a multiple of `FOUR`."""
    width = min(source.shape[1], out.shape[1])
    eights = width // WIDTH * WIDTH
    for j in range(0, eights, WIDTH):
        store(out, at, j, multiply_add(spread(value), load(source, row, j), load(out, at, j)))
    if eights < width:
        four = multiply_add(spread_four(value), load_four(source, row, eights), load_four(out, at, eights))
        store(out, at, eights, four)


@compiled
def add_rows(
    data: Array, taken: NDArray[Any], source: Array, given: NDArray[Any], out: Array, begin: int, end: int
) -> None:
    """Add data[e] · source[taken[e]] to out[given[e]] for begin ≤ e < end, as `add_row` does.

    No branch depends on how many entries a row has, which a processor can't foresee.
    """
    width = min(source.shape[1], out.shape[1])
    if width == SIXTEEN:
        for e in range(np.uintp(begin), np.uintp(end)):
            row, at = np.intp(taken[e]), np.intp(given[e])
            sixteen = multiply_add(spread_sixteen(data[e]), load_sixteen(source, row, 0), load_sixteen(out, at, 0))
            store(out, at, 0, sixteen)
        return
    if width != WIDTH + FOUR:
        for e in range(np.uintp(begin), np.uintp(end)):
            add_row(data[e], source, np.intp(taken[e]), out, np.intp(given[e]))
        return
    # Nine to twelve components are what there mostly is: no loop within the loop, and vectors within a cache line.
    for e in range(np.uintp(begin), np.uintp(end)):
        row, at = np.intp(taken[e]), np.intp(given[e])
        value = spread_four(data[e])
        store(out, at, 0, multiply_add(value, load_four(source, row, 0), load_four(out, at, 0)))
        store(out, at, 4, multiply_add(value, load_four(source, row, 4), load_four(out, at, 4)))
        store(out, at, 8, multiply_add(value, load_four(source, row, 8), load_four(out, at, 8)))


@compiled
def sum_rows(
    data: Array, taken: NDArray[Any], source: Array, given: NDArray[Any], out: Array, begin: int, end: int
) -> None:
    """Do `add_rows` where `out` is zero and all that is added to one of its rows stands side by side.

    A row's sum stays in registers: written and read again for each entry, it would be waited for.
    """
    width = min(source.shape[1], out.shape[1])
    if width not in (WIDTH + FOUR, SIXTEEN):
        add_rows(data, taken, source, given, out, begin, end)
        return
    if width == SIXTEEN:
        before = np.intp(-1)
        total_ = spread_sixteen(data.dtype.type(0))
        for e in range(np.uintp(begin), np.uintp(end)):
            row, at = np.intp(taken[e]), np.intp(given[e])
            total_ = multiply_add(spread_sixteen(data[e]), load_sixteen(source, row, 0), kept(total_, at == before))
            store(out, at, 0, total_)
            before = at
        return
    a = b = c = spread_four(data.dtype.type(0))
    last = np.intp(-1)
    for e in range(np.uintp(begin), np.uintp(end)):
        row, at = np.intp(taken[e]), np.intp(given[e])
        value, same = spread_four(data[e]), at == last
        a = multiply_add(value, load_four(source, row, 0), kept(a, same))
        b = multiply_add(value, load_four(source, row, 4), kept(b, same))
        c = multiply_add(value, load_four(source, row, 8), kept(c, same))
        store(out, at, 0, a)
        store(out, at, 4, b)
        store(out, at, 8, c)
        last = at


@compiled
def fetch_rows(rows: Array, begin: int, end: int) -> None:
    """Ask for rows[begin:end] to be brought near."""
    for row in range(begin, end):
        for j in range(0, rows.shape[1], WIDTH):
            fetch(rows, row, j)
