"""Compiled: C moves by memberships that are found roughly, in float32, and thrown away; numpy is the oracle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.kernels.compiled import compiled
from lnmf_core.kernels.passes import (
    add_sums,
    explained,
    follow_all,
    lined,
    move_tile,
    relative,
    settle_tile,
    tiled,
    workspace,
)
from lnmf_core.kernels.tiles import (
    ROWS,
    add_rows,
    block_inner,
    sum_rows,
    turn_lines,
    turn_rows,
    weigh,
)
from lnmf_core.kernels.vectors import (
    FOUR,
    SIXTEEN,
    WIDTH,
    load,
    load_four,
    multiply_add,
    narrowed,
    spread,
    spread_four,
    store,
    widened,
)

if TYPE_CHECKING:
    Floats = NDArray[np.float64]
    Narrow = NDArray[np.float32]
    Ints = NDArray[np.int64]
    Indices = NDArray[np.int32]

BUILT_ON = "3c443a94d199348e"


@compiled
def halving(energy: float) -> float:
    """Return the power of two by which numbers with this sum of squares come near one; 0 if it is none."""
    return math.ldexp(1.0, -round(math.log2(energy) / 2)) if 0 < energy < math.inf else 0.0


def room_for_drafts(columns: int, rank: int, entries: int) -> int:
    """Return how many numbers in float32 `draft` needs to work in."""
    return 2 * tiled(columns) * -(-rank // SIXTEEN) * SIXTEEN + entries


@compiled
def narrow_all(data: Floats, scale: float, Ct: Floats, scales: Floats, values: Narrow, near: Narrow) -> None:
    """Write scaled copies of the entries and of Cᵀ in float32."""
    for e in range(len(data)):
        values[e] = data[e] * scale
    for column in range(len(Ct)):
        for j in range(0, Ct.shape[1], FOUR):
            four = multiply_add(load_four(Ct, column, j), load_four(scales, 0, j), spread_four(0.0))
            store(near, column, j, narrowed(four))


@compiled
def draft_rows(
    indptr: Ints,
    lanes: NDArray[np.int8],
    indices: Indices,
    values: Narrow,
    near: Narrow,
    gram_near: Narrow,
    sweeps: int,
    out: Narrow,
    gram: Floats,
) -> None:
    """Add to out = XᵀD and write gram = DᵀD for the D that sweeps make of zero, given Cᵀ and C·Cᵀ."""
    own, target, block, sums, weights, steps = workspace(len(gram), near.shape[1], near)
    weigh(gram_near, np.float32(0), weights, steps)
    for begin in range(0, len(indptr) - 1, ROWS):
        first, last = indptr[begin], indptr[min(begin + ROWS, len(indptr) - 1)]
        own[:] = 0
        sum_rows(values, indices, near, lanes, own, first, last)
        move_tile(own, target, block, weights, steps, sweeps, 1, sums)
        add_rows(values, lanes, own, indices, out, first, last)
    gram[:] = 0.0
    add_sums(sums, 1.0, gram)


@compiled
def settle_drafted(
    columns: int,
    Ct: Floats,
    out: Narrow,
    scales: Floats,
    gram_D: Floats,
    sweeps: int,
    least: float,
    farther: float,
    gram_C: Floats,
) -> tuple[float, float]:
    """Do `settle` for all columns, given scaled XᵀD; return ⟨Cᵀ, XᵀD⟩ before and after."""
    k = len(gram_D)
    _, target, block, sums, weights, steps = workspace(k, Ct.shape[1], Ct)
    _, narrow, _, _, _, _ = workspace(k, out.shape[1], out)
    scaled, old = lined(len(target), ROWS), lined(len(target), ROWS)
    weigh(gram_D, least, weights, steps)
    gram_C[:] = 0.0
    before = after = 0.0
    for begin in range(0, columns, ROWS):
        turn_rows(out, begin, narrow)
        for j in range(k):
            scale = spread(scales[0, j])
            for at in range(0, ROWS, WIDTH):
                store(target, j, at, multiply_add(scale, widened(load(narrow, j, at)), spread(0.0)))
        turn_rows(Ct, begin, block)
        before += block_inner(block, 0, target, k)
        after += settle_tile(block, old, target, scaled, weights, steps, sweeps, farther, sums)
        turn_lines(block, Ct, begin)
    add_sums(sums, 1.0, gram_C)
    return before, after


@compiled
def draft(
    indptr: Ints,
    lanes: NDArray[np.int8],
    indices: Indices,
    data: Floats,
    Ct: Floats,
    gram_C: Floats,
    columns: int,
    sweeps: int,
    least: float,
    farther: float,
    energy: float,
    rough: Narrow,
    gram_D: Floats,
) -> tuple[float, float]:
    """Move all of C by a D that sweeps make of zero; return what was `explained` between and after.

    D is not kept, nor is XᵀD, and both are float32, for less time and memory: X and each pattern are brought near
    one before, lest squares leave its range. ‖X‖² is `energy`. `rough` is memory to work in, as much as
    `room_for_drafts` says: if it came and went with each call, the system would hand it out anew, page by page.
    """
    k = len(gram_C)
    wide = -(-k // SIXTEEN) * SIXTEEN
    size = len(Ct) * wide
    near, out = rough[:size].reshape(len(Ct), wide), rough[size : 2 * size].reshape(len(Ct), wide)
    rough[: 2 * size] = 0
    values = rough[2 * size : 2 * size + len(data)]
    scale, scales, gram_near = halving(energy), np.zeros((1, wide)), np.empty((k, k), np.float32)
    for j in range(k):
        scales[0, j] = halving(gram_C[j, j]) if gram_C[j, j] > least else 0.0
    for a in range(k):
        for b in range(k):
            gram_near[a, b] = gram_C[a, b] * scales[0, a] * scales[0, b]
    narrow_all(data, scale, Ct, scales, values, near)
    draft_rows(indptr, lanes, indices, values, near, gram_near, sweeps, out, gram_D)
    back = 1 / scale if scale > 0 else 0.0
    for a in range(k):
        for b in range(k):
            gram_D[a, b] *= scales[0, a] * back * scales[0, b] * back
    crossed = explained(0.0, gram_C, gram_D)
    for j in range(k):
        scales[0, j] *= back * back
    before, after = settle_drafted(columns, Ct, out, scales, gram_D, sweeps, least, farther, gram_C)
    return 2 * before + crossed, explained(after, gram_C, gram_D)


@compiled
def track(
    indptr: Ints,
    lanes: NDArray[np.int8],
    indices: Indices,
    data: Floats,
    Ct: Floats,
    gram_C: Floats,
    columns: int,
    sweeps: int,
    passes: int,
    tolerance: float,
    rounding: float,
    least: float,
    farther: float,
    energy: float,
    rough: Narrow,
    D: Floats,
    gram_D: Floats,
    peaks: Floats,
) -> tuple[float, float, float]:
    """Move C by a draft, or several while each lowers the error by more than `tolerance`; D follows, from zero.

    Returns by what share the first draft lowered the error, 0 if there was nothing to tell that from, and what
    `follow_all` returns.
    """
    first = 0.0
    for number in range(passes):
        between, after = draft(
            indptr, lanes, indices, data, Ct, gram_C, columns, sweeps, least, farther, energy, rough, gram_D
        )
        before = relative(between, energy)
        fall = before / max(relative(after, energy), rounding) - 1 if between > 0 and before < math.inf else 0.0
        if number == 0:
            first = fall
        if fall <= tolerance:
            break
    fit, known = follow_all(indptr, lanes, indices, data, Ct, gram_C, sweeps, least, 1, energy, D, gram_D, peaks)
    return first, fit, known
