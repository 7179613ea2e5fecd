from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.rows import BROKEN, FINE, UNSORTED, ascends, first_fault, packed


def csr(rows: int) -> Any:
    return sparse.random_array((rows, 23), density=0.2, rng=np.random.default_rng(rows), format="csr")


def test_packed_rows_are_the_first_in_their_order() -> None:
    X = csr(9)
    order = np.array([8, 0, 3, 3, 5])
    begins, ends = X.indptr[:-1][order].astype(np.int64), X.indptr[1:][order].astype(np.int64)
    indptr, indices, data = packed(4, begins, ends, X.indices.astype(np.int32), X.data)
    made = sparse.csr_array((data, indices, indptr), shape=(4, 23))
    np.testing.assert_array_equal(made.toarray(), X[order[:4]].toarray())


@pytest.mark.parametrize(
    ("keys", "answer"), [([], True), ([3], True), ([1, 2, 9], True), ([1, 1], False), ([2, 1], False)]
)
def test_keys_ascend_or_not(keys: list[int], answer: bool) -> None:
    assert ascends(np.array(keys, np.int64)) is answer


@pytest.mark.parametrize(
    ("indptr", "indices", "data", "fault"),
    [
        ([0], [], [], FINE),
        ([0, 0, 0], [], [], FINE),
        ([0, 2, 2, 4], [1, 4, 0, 1], [1, 2, 3, 0], FINE),
        ([0, 0, 2, 2, 3, 3], [3, 4, 4], [1, 2, 3], FINE),
        ([0, 2, 4], [4, 1, 0, 1], [1, 1, 1, 1], UNSORTED),
        ([0, 2, 4], [0, 1, 1, 1], [1, 1, 1, 1], UNSORTED),
        ([0, 3], [0, 2, 1], [1, 1, 1], UNSORTED),
        ([0, 2], [0, 5], [1, 1], BROKEN),
        ([0, 2], [-1, 0], [1, 1], BROKEN),
        ([0, 3, 2], [0, 1], [1, 1], BROKEN),
        ([1, 2], [0, 1], [1, 1], BROKEN),
        ([0, 1], [0, 1], [1, 1], BROKEN),
        ([0, 2], [0, 1], [1], BROKEN),
        ([0, 2], [1, 0], [1, -1], 1),
        ([0, 2], [0, 1], [np.nan, -1], 0),
        ([0, 2], [0, 1], [5, 5.5], 1),
    ],
)
def test_the_first_fault_is_found(indptr: list[int], indices: list[int], data: list[float], fault: int) -> None:
    parts = np.array(indptr, np.int64), np.array(indices, np.int32), np.array(data, np.float64)
    assert first_fault(*parts, 5, 5.0) == fault
