"""Four, eight or sixteen numbers at a time: vectors in registers, for loops that the compiler doesn't vectorise.

Where a few numbers are loaded from a place that the data names, added up and stored again, the compiler can't
know that the arrays do not overlap, and goes one by one. A `Lanes` value is a vector of LLVM's: `load` and
`store` move neighbours of a row, the rest is arithmetic. They exist in compiled code alone, are not
bounds-checked, and arrays must be C-contiguous and two-dimensional. numpy is the oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numba.np import arrayobj

primitive = cast("Callable[[Callable[..., Any]], Callable[..., Any]]", intrinsic)
"""Makes a function of types, which returns what its code is, callable from compiled code; the first is numba's."""

WIDTH, FOUR, SIXTEEN = 8, 4, 16
"""Numbers in a vector: ten components fill two of eight, three of four, or one of sixteen."""

_ELEMENTS = {types.float64: ir.DoubleType(), types.float32: ir.FloatType()}
_FUSED = ("contract", "nsz")
_SUMMED = ("reassoc", "nsz")


class Lanes(types.Type):
    """The type of four, eight or sixteen numbers of `dtype`, float64 or float32."""

    def __init__(self, dtype: Any, count: int = WIDTH) -> None:
        self.dtype, self.count = dtype, count
        super().__init__(f"Lanes({dtype}, {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, ir.VectorType(_ELEMENTS[lanes.dtype], lanes.count))  # type: ignore[no-untyped-call]


def _loader(count: int) -> Callable[..., Any]:
    def load(_: Any, array: Any, row: Any, column: Any) -> Any:  # noqa: ARG001  (numba reads their names)
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vector = context.get_value_type(signature.return_type)
            place = _place(context, builder, signature.args[0], arguments, vector)
            return builder.load(place, align=array.dtype.bitwidth // 8)

        return Lanes(array.dtype, count)(array, types.intp, types.intp), generate

    return primitive(load)


load, load_four, load_sixteen = _loader(WIDTH), _loader(FOUR), _loader(SIXTEEN)
"""Return array[row, column : column + 8], or + 4, or + 16."""


@primitive
def store(_: Any, array: Any, row: Any, column: Any, lanes: Any) -> Any:  # noqa: ARG001
    """Set array[row, column : column + 8], or as many as are given."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], arguments[:3], arguments[3].type)
        builder.store(arguments[3], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), generate


def _spreader(count: int) -> Callable[..., Any]:
    def spread(_: Any, number: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vector = context.get_value_type(signature.return_type)
            nothing = ir.Constant(vector, ir.Undefined)
            one = builder.insert_element(nothing, arguments[0], ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(one, nothing, _order([0] * count))

        return Lanes(number, count)(number), generate

    return primitive(spread)


spread, spread_four, spread_sixteen = _spreader(WIDTH), _spreader(FOUR), _spreader(SIXTEEN)
"""Return eight, four or sixteen times the same number."""


@primitive
def multiply_add(_: Any, left: Any, right: Any, addend: Any) -> Any:
    """Return left · right + addend."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        product = builder.fmul(arguments[0], arguments[1], flags=_FUSED)
        return builder.fadd(product, arguments[2], flags=_FUSED)

    return left(left, right, addend), generate


@primitive
def positive(_: Any, lanes: Any) -> Any:
    """Return [lanes]₊; NaN stays NaN."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(arguments[0].type, None)
        below = builder.fcmp_ordered("<", arguments[0], zero)
        return builder.select(below, zero, arguments[0])

    return lanes(lanes), generate


@primitive
def kept(_: Any, lanes: Any, flag: Any) -> Any:
    """Return `lanes` if `flag` is true, else zeros; without a branch."""

    def generate(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers, flag = arguments
        word = ir.IntType(signature.return_type.dtype.bitwidth)
        bits = ir.VectorType(word, numbers.type.count)
        nothing = ir.Constant(bits, ir.Undefined)
        mask = builder.sext(flag, word)
        mask = builder.insert_element(nothing, mask, ir.Constant(ir.IntType(32), 0))
        masks = builder.shuffle_vector(mask, nothing, _order([0] * numbers.type.count))
        return builder.bitcast(builder.and_(builder.bitcast(numbers, bits), masks), numbers.type)

    return lanes(lanes, flag), generate


@primitive
def total(_: Any, lanes: Any) -> Any:
    """Return the sum of the eight, or four."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        vector = arguments[0]
        count = arguments[0].type.count
        half = count // 2
        while half:
            swapped = [lane ^ half for lane in range(count)]
            other = builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), _order(swapped))
            vector = builder.fadd(vector, other, flags=_SUMMED)
            half //= 2
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return lanes.dtype(lanes), generate


@primitive
def narrowed(_: Any, lanes: Any) -> Any:
    """Return numbers of float64 in float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fptrunc(arguments[0], context.get_value_type(signature.return_type))

    return Lanes(types.float32, lanes.count)(lanes), generate


@primitive
def widened(_: Any, lanes: Any) -> Any:
    """Return the numbers in float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = context.get_value_type(signature.return_type)
        return arguments[0] if arguments[0].type == wide else builder.fpext(arguments[0], wide)

    return Lanes(types.float64, lanes.count)(lanes), generate


def _turner(count: int) -> Callable[..., Any]:
    def turn(
        _: Any,
        source: Any,
        row: Any,  # noqa: ARG001
        column: Any,  # noqa: ARG001
        target: Any,
        to_row: Any,  # noqa: ARG001
        to_column: Any,  # noqa: ARG001
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vector = ir.VectorType(_ELEMENTS[source.dtype], count)
            align = source.dtype.bitwidth // 8

            def place(which: int, offset: int) -> Any:
                array, first, at = arguments[which : which + 3]
                line = builder.add(first, ir.Constant(first.type, offset))
                return _place(context, builder, signature.args[which], (array, line, at), vector)

            rows = [builder.load(place(0, i), align=align) for i in range(count)]
            for j, column_ in enumerate(_turned(builder, rows)):
                builder.store(column_, place(3, j), align=align)
            return context.get_dummy_value()

        here = (types.intp, types.intp)
        return types.void(source, *here, target, *here), generate

    return primitive(turn)


turn, turn_four = _turner(WIDTH), _turner(FOUR)
"""Set target[to_row + j, to_column + i] = source[row + i, column + j] for i, j < 8, or < 4."""


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of a square: exchange halves of pairs of rows, then quarters, then single numbers."""
    count = len(rows)
    half = count // 2
    while half:
        for i in range(count):
            if i & half:
                continue
            upper, lower = rows[i], rows[i + half]
            first = [lane if not lane & half else lane - half + count for lane in range(count)]
            second = [lane + half if not lane & half else lane + count for lane in range(count)]
            rows[i] = builder.shuffle_vector(upper, lower, _order(first))
            rows[i + half] = builder.shuffle_vector(upper, lower, _order(second))
        half //= 2
    return rows


@primitive
def fetch(_: Any, array: Any, row: Any, column: Any) -> Any:  # noqa: ARG001
    """Ask for array[row, column] to be brought near, where the processor can't foresee that it will be used."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, mode = ir.IntType(8), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), mode, mode, mode])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        place = _place(context, builder, signature.args[0], arguments, byte)
        builder.call(ask, [place, *(ir.Constant(mode, flag) for flag in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


def _place(context: Any, builder: Any, kind: Any, arguments: Any, vector: Any) -> Any:
    """Return the address of array[row, column], as one of eight numbers."""
    array, row, column = arguments
    parts = arrayobj.make_array(kind)(context, builder, array)  # type: ignore[no-untyped-call]
    columns = cgutils.unpack_tuple(builder, parts.shape)[1]  # type: ignore[no-untyped-call]
    offset = builder.add(builder.mul(row, columns), column)
    return builder.bitcast(builder.gep(parts.data, [offset]), vector.as_pointer())


def _order(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
