from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import MatrixError, Rows

COLUMNS = np.arange(3)


def rows_of(keys: Any, X: Any) -> Rows:
    return Rows(np.asarray(keys, np.int64), X, np.arange(X.shape[1]))


def dense(rows: Rows) -> Any:
    return sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(len(rows), len(rows.columns))).toarray()


X = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, np.bool_])
def test_every_layout_and_type_becomes_csr_in_float64(make: Any, dtype: Any) -> None:
    rows = rows_of([4, -1, 9], make(X.astype(dtype)))
    np.testing.assert_array_equal(dense(rows), X.astype(dtype).astype(float))
    assert [part.dtype.str for part in (rows.data, rows.indices, rows.indptr)] == ["<f8", "<i4", "<i8"]


def test_entries_that_occur_twice_or_out_of_order_are_put_right_in_a_copy() -> None:
    parts = np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), np.array([0, 3])
    copies = [part.copy() for part in parts]
    rows = rows_of([0], sparse.csr_array(parts, shape=(1, 3)))
    np.testing.assert_array_equal(rows.indices, [0, 2])
    np.testing.assert_array_equal(rows.data, [2.0, 5.0])
    for part, copy in zip(parts, copies, strict=True):
        np.testing.assert_array_equal(part, copy)


def broken(indices: list[int], indptr: list[int]) -> Any:
    csr = sparse.csr_array(np.ones((1, 3)))
    csr.indices, csr.indptr = np.array(indices, np.int32), np.array(indptr, np.int32)
    return csr


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0]], "is a list"),
        (np.ma.masked_array(np.ones((1, 3))), "MaskedArray"),
        (np.ones(3), "has 1 dimensions"),
        (np.ones((1, 3), complex), "holds complex"),
        (np.ones((2, 3)), r"shape \(2, 3\), but there are 1 keys"),
        (np.array([[0.0, 1.0, -2.0]]), r"values\[0, 2\] is -2.0"),
        (np.array([[0.0, np.nan, 1.0]]), r"values\[0, 1\] is nan"),
        (np.array([[0.0, np.inf, 1.0]]), r"values\[0, 1\] is inf"),
        (np.array([[1e101, 0.0, 1.0]]), "between 0 and 1e"),
        (broken([0, 1, 3], [0, 3]), "no valid CSR"),
        (broken([0, 1, -1], [0, 3]), "no valid CSR"),
        (broken([0, 1, 2], [0, 4]), "no valid CSR"),
        (broken([0, 1, 2], [1, 3]), "no valid CSR"),
        (broken([0, 1, 2], [0, 2, 1, 3]), "no valid CSR"),
        (broken([0, 1, 2], [0, 1, 3]), "no valid CSR"),
    ],
)
def test_values_that_are_no_counts_are_refused(values: Any, message: str) -> None:
    with pytest.raises(MatrixError, match=message):
        Rows(np.array([7]), values, COLUMNS)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (np.array([5, 2, 5]), "keys: 5 occurs twice"),
        (np.array([1.0, 2.0, 3.0]), "of float64"),
        (np.array([[1, 2, 3]]), "has 2 dimensions"),
        (np.array([1, 2, 2**63], np.uint64), "64 bits"),
    ],
)
def test_keys_that_are_none_are_refused(keys: Any, message: str) -> None:
    with pytest.raises(MatrixError, match=message):
        Rows(keys, X, COLUMNS)
