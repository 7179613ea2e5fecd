from typing import Any

import numpy as np
import pytest
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
    narrowed,
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

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@compiled
def clipped_product(left: NDArray[Any], right: NDArray[Any], number: float, out: NDArray[Any]) -> None:
    for row in range(len(left)):
        for j in range(0, left.shape[1], WIDTH):
            product = multiply_add(load(left, row, j), load(right, row, j), spread(left.dtype.type(number)))
            store(out, row, j, positive(product))


@compiled
def wide_total(array: NDArray[Any], row: int, column: int) -> tuple[float, float]:
    lanes = load(array, row, column)
    return total(lanes), total(widened(lanes))


@compiled
def turned(source: NDArray[Any], row: int, column: int, out: NDArray[Any], to_row: int, to_column: int) -> None:
    turn(source, row, column, out, to_row, to_column)


@compiled
def four_times(array: NDArray[Any], number: float, row: int, column: int, out: NDArray[Any]) -> None:
    fetch(array, row, column)
    times = spread_four(array.dtype.type(number))
    store(out, row, column, multiply_add(times, load_four(array, row, column), load_four(out, row, column)))


@compiled
def sixteen_times(array: NDArray[Any], number: float, row: int, column: int, out: NDArray[Any]) -> None:
    times = spread_sixteen(array.dtype.type(number))
    store(out, row, column, multiply_add(times, load_sixteen(array, row, column), load_sixteen(out, row, column)))


@compiled
def four_total(array: NDArray[Any], flag: bool) -> Any:
    return total(kept(load_four(array, 0, 1), flag))


@compiled
def four_narrowed(array: NDArray[Any], out: NDArray[Any]) -> None:
    store(out, 0, 1, narrowed(load_four(array, 0, 2)))


@compiled
def turned_four(
    source: NDArray[Any], row: int, column: int, out: NDArray[Any], to_row: int, to_column: int
) -> None:
    turn_four(source, row, column, out, to_row, to_column)


@DTYPES
def test_arithmetic_is_that_of_single_numbers(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((3, 2 * WIDTH)).astype(dtype) for _ in range(2))
    out = np.empty_like(left)
    clipped_product(left, right, -0.5, out)
    np.testing.assert_allclose(out, np.maximum(left * right - dtype(0.5), 0), rtol=1e-5, atol=1e-6)


def test_what_is_not_a_number_is_not_clipped() -> None:
    left = np.array([[np.nan, np.inf, -np.inf, 1.0, -1.0, 0.0, 2.0, -2.0]])
    out = np.empty_like(left)
    clipped_product(left, np.ones_like(left), 0.0, out)
    np.testing.assert_array_equal(out, [[np.nan, np.inf, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0]])


@DTYPES
def test_a_total_may_be_taken_in_float64(dtype: Any) -> None:
    array = np.zeros((2, 3 + WIDTH), dtype)
    array[1, 3:] = [4096.0**2, 1, 1, 1, 1, 1, 1, 1]
    narrow, wide = wide_total(array, 1, 3)
    assert wide == 4096**2 + 7
    assert narrow == pytest.approx(wide, rel=1e-6)


@DTYPES
def test_a_square_is_turned_and_nothing_else_is_touched(dtype: Any) -> None:
    source = np.arange(20.0 * 24).reshape(20, 24).astype(dtype)
    out = np.full((16, 32), -1, dtype)
    turned(source, 5, 9, out, 3, 17)
    expected = np.full_like(out, -1)
    expected[3 : 3 + WIDTH, 17 : 17 + WIDTH] = source[5 : 5 + WIDTH, 9 : 9 + WIDTH].T
    np.testing.assert_array_equal(out, expected)


@DTYPES
def test_four_numbers_are_moved_and_the_next_four_are_not(dtype: Any) -> None:
    array = np.arange(24.0).reshape(2, 12).astype(dtype)
    out = np.ones_like(array)
    four_times(array, 3.0, 1, 5, out)
    expected = np.ones_like(array)
    expected[1, 5 : 5 + FOUR] += 3 * array[1, 5 : 5 + FOUR]
    np.testing.assert_array_equal(out, expected)


@DTYPES
def test_a_square_of_four_is_turned(dtype: Any) -> None:
    source = np.arange(8.0 * 12).reshape(8, 12).astype(dtype)
    out = np.full((12, 16), -1, dtype)
    turned_four(source, 2, 7, out, 5, 9)
    expected = np.full_like(out, -1)
    expected[5 : 5 + FOUR, 9 : 9 + FOUR] = source[2 : 2 + FOUR, 7 : 7 + FOUR].T
    np.testing.assert_array_equal(out, expected)


@DTYPES
def test_sixteen_numbers_are_moved_and_the_next_are_not(dtype: Any) -> None:
    array = np.arange(40.0).reshape(2, 20).astype(dtype)
    out = np.ones_like(array)
    sixteen_times(array, 3.0, 0, 3, out)
    expected = np.ones_like(array)
    expected[0, 3 : 3 + SIXTEEN] += 3 * array[0, 3 : 3 + SIXTEEN]
    np.testing.assert_array_equal(out, expected)


@DTYPES
def test_what_is_not_kept_is_zero_even_if_it_is_no_number(dtype: Any) -> None:
    array = np.array([[9.0, 1.0, 2.0, 3.0, 4.0, 9.0]], dtype)
    assert four_total(array, True) == 10
    array[0, 2] = np.nan
    assert four_total(array, False) == 0
    assert np.isnan(four_total(array, True))


def test_numbers_are_narrowed() -> None:
    array, out = np.arange(8.0).reshape(1, 8) / 3, np.zeros((1, 8), np.float32)
    four_narrowed(array, out)
    np.testing.assert_array_equal(out, np.array([[0, 2 / 3, 1, 4 / 3, 5 / 3, 0, 0, 0]], np.float32))
