"""Eight numbers at a time: vectors that stay in registers, for loops that the compiler does not vectorise itself.

Where a few numbers are loaded from a place that the data names, added up and stored again, the compiler can't
know that the arrays do not overlap, and goes one by one. A `Lanes` value is a vector of LLVM's: `load` and
`store` move eight neighbours of a row, the rest is arithmetic. They exist in compiled code alone, are not
bounds-checked, and arrays must be C-contiguous and two-dimensional.
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

WIDTH = 8

_ELEMENTS = {types.float64: ir.DoubleType(), types.float32: ir.FloatType()}
_FUSED = ("contract", "nsz")
_SUMMED = ("reassoc", "nsz")


class Lanes(types.Type):
    """The type of eight numbers of `dtype`, float64 or float32."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, ir.VectorType(_ELEMENTS[lanes.dtype], WIDTH))  # type: ignore[no-untyped-call]


@primitive
def load(_: Any, array: Any, row: Any, column: Any) -> Any:  # noqa: ARG001  (numba reads their names)
    """Return array[row, column : column + 8]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(signature.return_type)
        place = _place(context, builder, signature.args[0], arguments, vector)
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return Lanes(array.dtype)(array, types.intp, types.intp), generate


@primitive
def store(_: Any, array: Any, row: Any, column: Any, lanes: Any) -> Any:  # noqa: ARG001
    """Set array[row, column : column + 8]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], arguments[:3], arguments[3].type)
        builder.store(arguments[3], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), generate


@primitive
def spread(_: Any, number: Any) -> Any:
    """Return eight times the same number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(signature.return_type)
        nothing = ir.Constant(vector, ir.Undefined)
        one = builder.insert_element(nothing, arguments[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, nothing, _order([0] * WIDTH))

    return Lanes(number)(number), generate


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
def total(_: Any, lanes: Any) -> Any:
    """Return the sum of the eight."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        vector = arguments[0]
        half = WIDTH // 2
        while half:
            swapped = [lane ^ half for lane in range(WIDTH)]
            other = builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), _order(swapped))
            vector = builder.fadd(vector, other, flags=_SUMMED)
            half //= 2
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return lanes.dtype(lanes), generate


@primitive
def widened(_: Any, lanes: Any) -> Any:
    """Return the eight in float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = context.get_value_type(signature.return_type)
        return arguments[0] if arguments[0].type == wide else builder.fpext(arguments[0], wide)

    return Lanes(types.float64)(lanes), generate


@primitive
def turn(
    _: Any,
    source: Any,
    row: Any,  # noqa: ARG001
    column: Any,  # noqa: ARG001
    target: Any,
    to_row: Any,  # noqa: ARG001
    to_column: Any,  # noqa: ARG001
) -> Any:
    """Set target[to_row + j, to_column + i] = source[row + i, column + j] for i, j < 8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = _ELEMENTS[source.dtype]
        vector = ir.VectorType(element, WIDTH)
        align = source.dtype.bitwidth // 8
        source_, row_, column_, target_, to_row_, to_column_ = arguments

        def place(which: Any, array: Any, first: Any, offset: int, at: Any) -> Any:
            line = builder.add(first, ir.Constant(first.type, offset))
            return _place(context, builder, which, (array, line, at), vector)

        rows = [
            builder.load(place(signature.args[0], source_, row_, i, column_), align=align) for i in range(WIDTH)
        ]
        # Exchange halves of pairs of rows, then quarters, then single numbers.
        half = WIDTH // 2
        while half:
            for i in range(WIDTH):
                if i & half:
                    continue
                upper, lower = rows[i], rows[i + half]
                first = [lane if not lane & half else lane - half + WIDTH for lane in range(WIDTH)]
                second = [lane + half if not lane & half else lane + WIDTH for lane in range(WIDTH)]
                rows[i] = builder.shuffle_vector(upper, lower, _order(first))
                rows[i + half] = builder.shuffle_vector(upper, lower, _order(second))
            half //= 2
        for j in range(WIDTH):
            builder.store(rows[j], place(signature.args[3], target_, to_row_, j, to_column_), align=align)
        return context.get_dummy_value()

    here = (types.intp, types.intp)
    return types.void(source, *here, target, *here), generate


def _place(context: Any, builder: Any, kind: Any, arguments: Any, vector: Any) -> Any:
    """Return the address of array[row, column], as one of eight numbers."""
    array, row, column = arguments
    parts = arrayobj.make_array(kind)(context, builder, array)  # type: ignore[no-untyped-call]
    columns = cgutils.unpack_tuple(builder, parts.shape)[1]  # type: ignore[no-untyped-call]
    offset = builder.add(builder.mul(row, columns), column)
    return builder.bitcast(builder.gep(parts.data, [offset]), vector.as_pointer())


def _order(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), lanes)
