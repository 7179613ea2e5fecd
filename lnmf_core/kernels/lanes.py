"""Vectors of four and eight numbers, for the inner loops that the compiler does not vectorise by itself.

A loop over the k components of one entry is too short for LLVM's loop vectoriser, which tests at each of them
whether arrays overlap, and numba leaves the vectoriser of straight code switched off. So these few loops say in
LLVM's own terms what is to be done side by side; any processor runs them, with the registers that it has. Arrays
are float64 and C-contiguous, and none overlaps another; rows of components are `padded` with zeros. Nothing is
checked here. numpy is the oracle in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as untyped_intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

FOUR, EIGHT = 4, 8
"""Numbers in a vector of components, and in a vector of lanes: ten components fill three of four, two of eight."""

LANES = 32
"""Rows that are swept side by side: four vectors of eight hide how long a multiplication takes."""

WORD, REAL = ir.IntType(64), ir.DoubleType()
TURNS = ((0, 4, 2, 6), (1, 5, 3, 7)), ((0, 1, 4, 5), (2, 3, 6, 7))
"""Which places of two vectors make the next two, in both steps of turning four rows into four columns."""


def intrinsic(typed: Callable[..., Any]) -> Callable[..., None]:
    """Let compiled code call what `typed`, which takes one argument more, gives the type and the code of."""
    return cast("Callable[..., None]", untyped_intrinsic(typed))


class _Code:
    """Writes the code of one intrinsic: its loops, and what they do side by side."""

    def __init__(self, context: Any, builder: Any, signature: Any, values: Any) -> None:
        self.builder = builder
        self.arguments, self.widths = [], []
        for kind, value in zip(signature.args, values, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, value)
                self.arguments.append(array.data)
                shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)  # type: ignore[no-untyped-call]
                self.widths.append(shape[-1] if kind.ndim > 1 else number(1))
            else:
                self.arguments.append(context.cast(builder, value, kind, types.intp))
                self.widths.append(None)

    def loop(self, begin: Any, end: Any, step: int = 1) -> Any:
        """Return a context in which a loop's body is written; it gives the number that counts."""
        return cgutils.for_range_slice(self.builder, begin, end, number(step), WORD)

    def place(self, row: Any, width: Any, offset: Any) -> Any:
        return self.builder.add(self.builder.mul(row, width), offset)

    def after(self, place: Any, more: int) -> Any:
        return self.builder.add(place, number(more))

    def index(self, pointer: Any, place: Any) -> Any:
        """Load a whole number."""
        value = self.builder.load(self.builder.gep(pointer, [place]))
        return value if value.type == WORD else self.builder.sext(value, WORD)

    def spread(self, pointer: Any, place: Any, size: int) -> Any:
        """Load a number into all places of a vector."""
        value = self.builder.load(self.builder.gep(pointer, [place]))
        first = self.builder.insert_element(ir.Constant(ir.VectorType(REAL, size), ir.Undefined), value, number(0))
        return self.shuffled(first, first, (0,) * size)

    def shuffled(self, left: Any, right: Any, places: tuple[int, ...]) -> Any:
        kind = ir.VectorType(ir.IntType(32), len(places))
        return self.builder.shuffle_vector(left, right, ir.Constant(kind, list(places)))

    def load(self, pointer: Any, place: Any, size: int) -> Any:
        return self.builder.load(self._at(pointer, place, size), align=8)

    def store(self, vector: Any, pointer: Any, place: Any) -> None:
        self.builder.store(vector, self._at(pointer, place, vector.type.count), align=8)

    def sums(self, first: list[Any]) -> list[Any]:
        """Return places that hold these vectors; LLVM keeps them in registers."""
        places = [
            cgutils.alloca_once(self.builder, vector.type)  # type: ignore[no-untyped-call]
            for vector in first
        ]
        for place, vector in zip(places, first, strict=True):
            self.builder.store(vector, place)
        return places

    def fused(self, left: Any, right: Any, total: Any) -> Any:
        """Return left · right + total, in one instruction where there is one."""
        product = self.builder.fmul(left, right, flags=("contract",))
        return self.builder.fadd(product, total, flags=("contract",))

    def add(self, left: Any, right: Any, total: Any) -> None:
        """Add left · right to what is at `total`."""
        self.builder.store(self.fused(left, right, self.builder.load(total)), total)

    def parts(self, width: Any, write: Callable[[list[Any]], None]) -> None:
        """Write code for a row's vectors of four: four of them at a time, then the one to three that are left."""
        fours = self.builder.and_(width, number(-4 * FOUR))
        with self.loop(number(0), fours, 4 * FOUR) as (offset, _):
            write([self.after(offset, FOUR * more) for more in range(4)])
        rest = self.builder.sub(width, fours)
        for count in (1, 2, 3):
            with self.builder.if_then(self.builder.icmp_signed("==", rest, number(FOUR * count))):
                write([self.after(fours, FOUR * more) for more in range(count)])

    def turned(self, rows: list[Any]) -> list[Any]:
        """Return the columns of four vectors of four."""
        for even, odd in TURNS:
            pairs = ((0, 1), (2, 3)) if even == TURNS[0][0] else ((0, 2), (1, 3))
            made = [[self.shuffled(rows[a], rows[b], places) for places in (even, odd)] for a, b in pairs]
            rows = [made[0][0], made[0][1], made[1][0], made[1][1]]
        return [rows[0], rows[2], rows[1], rows[3]]

    def _at(self, pointer: Any, place: Any, size: int) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [place]), ir.VectorType(REAL, size).as_pointer())


def number(value: int) -> Any:
    """Return a whole number as LLVM takes it."""
    return ir.Constant(WORD, value)


def zeros(size: int) -> Any:
    """Return a vector of zeros as LLVM takes it."""
    return ir.Constant(ir.VectorType(REAL, size), [0.0] * size)


def _written_by(write: Callable[..., None], *kinds: Any) -> Any:
    """Return the type of an intrinsic that takes `kinds` and returns nothing, and what writes its code."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _Code(context, builder, signature, values)
        write(place, *place.arguments)
        return context.get_dummy_value()

    return types.void(*kinds), code


@intrinsic
def gather(_typing: Any, indices: Any, data: Any, begin: Any, end: Any, rows: Any, out: Any, at: Any) -> Any:
    """Write to out[at] the sum of data[e] · rows[indices[e]] over begin ≤ e < end."""

    def write(code: _Code, indices: Any, data: Any, begin: Any, end: Any, rows: Any, out: Any, at: Any) -> None:
        width = code.widths[4]

        def part(offsets: list[Any]) -> None:
            sums = code.sums([zeros(FOUR)] * len(offsets))
            with code.loop(begin, end) as (entry, _):
                value, row = code.spread(data, entry, FOUR), code.index(indices, entry)
                for offset, total in zip(offsets, sums, strict=True):
                    code.add(value, code.load(rows, code.place(row, width, offset), FOUR), total)
            for offset, total in zip(offsets, sums, strict=True):
                code.store(code.builder.load(total), out, code.place(at, width, offset))

        code.parts(width, part)

    return _written_by(write, indices, data, begin, end, rows, out, at)


@intrinsic
def scatter(_typing: Any, indices: Any, data: Any, begin: Any, end: Any, own: Any, at: Any, sums: Any) -> Any:
    """Add data[e] · own[at] to sums[indices[e]] for begin ≤ e < end."""

    def write(code: _Code, indices: Any, data: Any, begin: Any, end: Any, own: Any, at: Any, sums: Any) -> None:
        width = code.widths[4]

        def part(offsets: list[Any]) -> None:
            held = [code.load(own, code.place(at, width, offset), FOUR) for offset in offsets]
            with code.loop(begin, end) as (entry, _):
                value, row = code.spread(data, entry, FOUR), code.index(indices, entry)
                for offset, vector in zip(offsets, held, strict=True):
                    there = code.place(row, width, offset)
                    code.store(code.fused(value, vector, code.load(sums, there, FOUR)), sums, there)

        code.parts(width, part)

    return _written_by(write, indices, data, begin, end, own, at, sums)


@intrinsic
def gather_lanes(
    _typing: Any, indices: Any, data: Any, lanes: Any, begin: Any, end: Any, rows: Any, own: Any
) -> Any:
    """Add data[e] · rows[indices[e]] to own[lanes[e]] for begin ≤ e < end.

    Unlike in `gather` no branch depends on how many entries a row has, which a processor can't foresee.
    """

    def write(code: _Code, indices: Any, data: Any, lanes: Any, begin: Any, end: Any, rows: Any, own: Any) -> None:
        _spread_entries(code, (indices, data, lanes, begin, end), rows, own, (True, False))

    return _written_by(write, indices, data, lanes, begin, end, rows, own)


@intrinsic
def scatter_lanes(
    _typing: Any, indices: Any, data: Any, lanes: Any, begin: Any, end: Any, own: Any, sums: Any
) -> Any:
    """Add data[e] · own[lanes[e]] to sums[indices[e]] for begin ≤ e < end."""

    def write(code: _Code, indices: Any, data: Any, lanes: Any, begin: Any, end: Any, own: Any, sums: Any) -> None:
        _spread_entries(code, (indices, data, lanes, begin, end), own, sums, (False, True))

    return _written_by(write, indices, data, lanes, begin, end, own, sums)


def _spread_entries(
    code: _Code, entries: tuple[Any, ...], source: Any, sums: Any, by_column: tuple[bool, bool]
) -> None:
    """Write the loop that adds each value times a row of `source` to a row of `sums`.

    `by_column` says of each whether its rows are columns of X; the other's are lanes.
    """
    indices, data, lanes, begin, end = entries
    width = code.widths[-1]

    def part(offsets: list[Any]) -> None:
        with code.loop(begin, end) as (entry, _):
            value = code.spread(data, entry, FOUR)
            taken, given = (code.index(indices if column else lanes, entry) for column in by_column)
            for offset in offsets:
                there = code.place(given, width, offset)
                vector = code.load(source, code.place(taken, width, offset), FOUR)
                code.store(code.fused(value, vector, code.load(sums, there, FOUR)), sums, there)

    code.parts(width, part)


@intrinsic
def fetch(_typing: Any, rows: Any, begin: Any, end: Any) -> Any:
    """Ask for rows[begin:end], or so many entries, to be brought near: the processor can't foresee their use."""

    def write(code: _Code, rows: Any, begin: Any, end: Any) -> None:
        builder, byte = code.builder, ir.IntType(8).as_pointer()
        mode = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, mode, mode, mode])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        zero = number(0)
        first, last = (code.place(row, code.widths[0], zero) for row in (begin, end))
        with code.loop(first, last, EIGHT) as (place, _):
            at = builder.bitcast(builder.gep(rows, [place]), byte)
            builder.call(prefetch, [at, *(ir.Constant(mode, flag) for flag in (0, 3, 1))])

    return _written_by(write, rows, begin, end)


@intrinsic
def copy_row(_typing: Any, source: Any, row: Any, out: Any, at: Any) -> Any:
    """Write source[row] to out[at]."""

    def write(code: _Code, source: Any, row: Any, out: Any, at: Any) -> None:
        width = code.widths[0]

        def part(offsets: list[Any]) -> None:
            for offset in offsets:
                code.store(
                    code.load(source, code.place(row, width, offset), FOUR), out, code.place(at, width, offset)
                )

        code.parts(width, part)

    return _written_by(write, source, row, out, at)


@intrinsic
def lay(_typing: Any, rows: Any, at: Any, scale: Any, lanes: Any) -> Any:
    """Write `LANES` rows, from rows[at] on, times `scale` (one for each component), to the columns of `lanes`."""

    def write(code: _Code, rows: Any, at: Any, scale: Any, lanes: Any) -> None:
        width = code.widths[0]
        with code.loop(number(0), width, FOUR) as (offset, _):
            factor = code.load(scale, offset, FOUR)
            with code.loop(number(0), number(LANES), FOUR) as (lane, _):
                first = code.builder.add(at, lane)
                four = [code.load(rows, code.place(code.after(first, i), width, offset), FOUR) for i in range(FOUR)]
                turned = code.turned([code.builder.fmul(vector, factor) for vector in four])
                for j, vector in enumerate(turned):
                    code.store(vector, lanes, code.place(code.after(offset, j), number(LANES), lane))

    return _written_by(write, rows, at, scale, lanes)


@intrinsic
def stand(_typing: Any, lanes: Any, rows: Any, at: Any) -> Any:
    """Write the columns of `lanes` to `LANES` rows, from rows[at] on."""

    def write(code: _Code, lanes: Any, rows: Any, at: Any) -> None:
        width = code.widths[1]
        with (
            code.loop(number(0), width, FOUR) as (offset, _),
            code.loop(number(0), number(LANES), FOUR) as (lane, _),
        ):
            places = [code.place(code.after(offset, j), number(LANES), lane) for j in range(FOUR)]
            for i, vector in enumerate(code.turned([code.load(lanes, place, FOUR) for place in places])):
                row = code.after(code.builder.add(at, lane), i)
                code.store(vector, rows, code.place(row, width, offset))

    return _written_by(write, lanes, rows, at)


@intrinsic
def sweep_lanes(_typing: Any, block: Any, target: Any, weights: Any, j: Any, end: Any) -> Any:
    """Make block[j] = [target[j] + Σ_o weights[j, o] · block[o]]₊ over o < end; NaN stays NaN."""

    def write(code: _Code, block: Any, target: Any, weights: Any, j: Any, end: Any) -> None:
        builder, width = code.builder, number(LANES)
        mine = [code.place(j, width, number(lane)) for lane in range(0, LANES, EIGHT)]
        sums = code.sums([code.load(target, place, EIGHT) for place in mine])
        with code.loop(number(0), end) as (other, _):
            weight = code.spread(weights, code.place(j, code.widths[2], other), EIGHT)
            for lane, total in zip(range(0, LANES, EIGHT), sums, strict=True):
                code.add(weight, code.load(block, code.place(other, width, number(lane)), EIGHT), total)
        for place, total in zip(mine, sums, strict=True):
            value = builder.load(total)
            negative = builder.fcmp_ordered("<", value, zeros(EIGHT))
            code.store(builder.select(negative, zeros(EIGHT), value), block, place)

    return _written_by(write, block, target, weights, j, end)


@intrinsic
def square_lanes(_typing: Any, block: Any, count: Any, sums: Any) -> Any:
    """Add block[a] ⊛ block[b], eight lanes at a time, to the eight numbers sums[a · count + b], b ≤ a < count."""

    def write(code: _Code, block: Any, count: Any, sums: Any) -> None:
        lanes, width = [number(lane) for lane in range(0, LANES, EIGHT)], number(LANES)
        with code.loop(number(0), count) as (a, _):
            held = [code.load(block, code.place(a, width, lane), EIGHT) for lane in lanes]
            with code.loop(number(0), code.after(a, 1)) as (b, _):
                there = code.builder.mul(code.place(a, count, b), number(EIGHT))
                total = code.load(sums, there, EIGHT)
                for lane, vector in zip(lanes, held, strict=True):
                    total = code.fused(vector, code.load(block, code.place(b, width, lane), EIGHT), total)
                code.store(total, sums, there)

    return _written_by(write, block, count, sums)


@intrinsic
def inner_lanes(_typing: Any, block: Any, target: Any, count: Any, sums: Any) -> Any:
    """Add block[j] ⊛ target[j], eight lanes at a time, to the eight numbers sums[j], for j < count."""

    def write(code: _Code, block: Any, target: Any, count: Any, sums: Any) -> None:
        with code.loop(number(0), count) as (j, _):
            there = code.builder.mul(j, number(EIGHT))
            total = code.load(sums, there, EIGHT)
            for lane in range(0, LANES, EIGHT):
                place = code.place(j, number(LANES), number(lane))
                total = code.fused(code.load(block, place, EIGHT), code.load(target, place, EIGHT), total)
            code.store(total, sums, there)

    return _written_by(write, block, target, count, sums)
