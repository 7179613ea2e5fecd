from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import MatrixError, RankError
from lnmf_core.matrix import check_rank, checked

COUNTS = np.array([[0, 2, 0], [1, 0, 3]])


def raw_csr(data: list[float], indices: list[int], indptr: list[int], dtype: Any = float) -> Any:
    return sparse.csr_array((np.array(data, dtype), np.array(indices), np.array(indptr)), shape=(2, 3))


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (np.float64, np.float64),
        (np.float32, np.float32),
        (">f4", np.float32),
        (np.int64, np.float64),
        (np.uint8, np.float64),
        (np.bool_, np.float64),
    ],
)
def test_dtypes_become_one_of_two(given: Any, used: Any) -> None:
    X = COUNTS.astype(given)
    matrix = checked(X)
    assert matrix.dtype == used
    assert matrix.times(np.eye(3, dtype=used)).tolist() == X.tolist()


@pytest.mark.parametrize("dtype", [object, np.complex128, np.float16, np.longdouble, "U1", "M8[s]"])
def test_other_dtypes_are_refused(dtype: Any) -> None:
    with pytest.raises(MatrixError, match=r"X holds .*: convert it to float64, float32 or integers"):
        checked(np.zeros((2, 2), dtype))


def test_a_sparse_complex_matrix_is_refused() -> None:
    with pytest.raises(MatrixError, match="X holds complex128"):
        checked(sparse.csr_array(COUNTS.astype(complex)))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.bool_])
def test_every_sparse_format_is_taken(dtype: Any, make: Any, form: str) -> None:
    X = make(COUNTS.astype(dtype)).asformat(form)
    matrix = checked(X)
    assert sparse.issparse(matrix.values)
    assert matrix.shape == (2, 3)
    dense = COUNTS.astype(dtype).astype(float)
    np.testing.assert_array_equal(matrix.times(np.eye(3, dtype=matrix.dtype)), dense)
    np.testing.assert_array_equal(matrix.transposed_times(np.eye(2, dtype=matrix.dtype)), dense.T)
    assert matrix.squared_norm == (dense**2).sum()
    assert matrix.mean == dense.mean()


@pytest.mark.parametrize("order", ["C", "F"])
def test_dense_products_norm_and_mean(order: Any) -> None:
    matrix = checked(np.asarray(COUNTS, dtype=float, order=order))
    product = matrix.transposed_times(np.array([[1.0], [2.0]]))
    assert product.tolist() == [[2.0], [2.0], [6.0]]
    assert product.flags.c_contiguous
    assert (matrix.squared_norm, matrix.mean) == (14.0, 1.0)


def test_strided_and_read_only_arrays_are_taken() -> None:
    X = np.repeat(COUNTS.astype(float), 2, axis=1)[:, ::2]
    X.flags.writeable = False
    assert checked(X).times(np.eye(3)).tolist() == COUNTS.tolist()


def test_memory_is_shared_where_nothing_has_to_change() -> None:
    dense, csr = COUNTS.astype(float), sparse.csr_array(COUNTS.astype(float))
    assert np.shares_memory(checked(dense).values, dense)
    assert np.shares_memory(checked(csr).values.data, csr.data)


def test_entries_that_occur_twice_are_added_up_without_overflow() -> None:
    twice = raw_csr([200, 100, 7], [1, 1, 0], [0, 2, 3], np.uint8)
    assert checked(twice).times(np.eye(3)).tolist() == [[0, 300, 0], [7, 0, 0]]
    assert checked(twice).squared_norm == 300**2 + 7**2
    assert twice.data.tolist() == [200, 100, 7]


def test_a_negative_entry_that_its_twin_makes_up_for_is_none() -> None:
    assert checked(raw_csr([-1, 3, 7], [1, 1, 0], [0, 2, 3])).squared_norm == 2**2 + 7**2


def test_unsorted_indices_and_explicit_zeros_are_harmless() -> None:
    unsorted = raw_csr([3, 0, 1], [2, 1, 0], [0, 0, 3])
    assert checked(unsorted).times(np.eye(3)).tolist() == [[0, 0, 0], [1, 0, 3]]
    assert unsorted.indices.tolist() == [2, 1, 0]
    assert unsorted.data.tolist() == [3, 0, 1]


@pytest.mark.parametrize("index", [3, -1])
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_indices_that_point_outside_are_found(form: Any, index: int) -> None:
    X = sparse.csr_array(np.ones((3, 3))).asformat(form)
    X.indices[1] = index
    with pytest.raises(MatrixError, match=f"X is no valid {form.upper()} matrix"):
        checked(X)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1.0, r"X\[1, 2\] is -1.0: counts can't be negative"),
        (-np.inf, r"X\[1, 2\] is -inf: counts can't be negative"),
        (np.inf, r"X\[1, 2\] is inf: counts must be finite"),
        (np.nan, r"X\[1, 2\] is nan: counts must be finite"),
    ],
)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.coo_array])
def test_the_first_impossible_value_is_named_with_its_place(make: Any, value: float, message: str) -> None:
    X = np.ones((3, 3))
    X[1, 1] = 0.0
    X[1, 2] = X[2, 0] = value
    with pytest.raises(MatrixError, match=message):
        checked(make(X))


def test_a_negative_integer_is_named_too() -> None:
    with pytest.raises(MatrixError, match=r"X\[0, 0\] is -2"):
        checked(-COUNTS - 2)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_empty_matrices_are_refused(make: Any, shape: tuple[int, int]) -> None:
    with pytest.raises(MatrixError, match="needs at least one row and one column"):
        checked(make(np.ones(shape)))


@pytest.mark.parametrize(
    ("X", "dimensions"), [(np.ones(3), 1), (np.ones((2, 2, 2)), 3), (sparse.coo_array(np.ones(3)), 1)]
)
def test_other_than_two_dimensions_are_refused(X: Any, dimensions: int) -> None:
    with pytest.raises(MatrixError, match=f"X has {dimensions} dimensions: it needs two"):
        checked(X)


@pytest.mark.parametrize(
    "X", [np.zeros((2, 3)), sparse.csr_array((2, 3)), raw_csr([0.0], [1], [0, 1, 1]), np.zeros((2, 3), bool)]
)
def test_a_matrix_of_zeros_is_refused(X: Any) -> None:
    with pytest.raises(MatrixError, match="X is all zero: there is nothing to factorise"):
        checked(X)


@pytest.mark.parametrize("X", [[[1.0]], None, 3.0, np.ma.array([[1.0]], mask=[[True]])])
def test_what_is_no_array_is_refused(X: Any) -> None:
    with pytest.raises(MatrixError, match=f"X is a {type(X).__name__}: pass a numpy array or a scipy"):
        checked(X)


@pytest.mark.parametrize(
    ("value", "dtype"), [(1e101, np.float64), (1e-101, np.float64), (1e21, np.float32), (1e-21, np.float32)]
)
def test_values_whose_squares_would_be_lost_are_refused(value: float, dtype: Any) -> None:
    with pytest.raises(MatrixError, match="change the unit of X"):
        checked(np.full((2, 2), value, dtype))


@pytest.mark.parametrize("rank", [1, 3, np.int64(2)])
def test_ranks_up_to_the_smaller_side_pass(rank: int) -> None:
    assert check_rank(rank, (5, 3)) == rank


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        (0, "rank is 0: it must be a whole number, 1 or more"),
        (2.0, "rank is 2.0: it must be a whole number"),
        (True, "rank is True"),
        ("3", "rank is '3'"),
        (4, r"rank is 4: for X of shape \(5, 3\) it can be 3 at most"),
    ],
)
def test_impossible_ranks_are_refused(rank: Any, message: str) -> None:
    with pytest.raises(RankError, match=message):
        check_rank(rank, (5, 3))
