from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.ordering import LENGTHS, STRETCH, in_order
from lnmf_core.matrix import MANY, checked


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_rows_are_ordered_by_their_entries_within_stretches(dtype: Any, index: Any) -> None:
    rng = np.random.default_rng(0)
    density = rng.choice([0.0, 0.02, 0.3, 0.9], (2 * STRETCH + 100, 1))
    X = sparse.csr_array((rng.random((len(density), 90)) < density).astype(dtype))
    X.data[:] = rng.random(len(X.data))
    order, indptr, indices, data = in_order(X.indptr.astype(index), X.indices.astype(index), X.data)
    assert (indptr.dtype, indices.dtype, data.dtype) == (index, index, dtype)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(density)))
    ordered = sparse.csr_array((data, indices, indptr), shape=X.shape)
    np.testing.assert_array_equal(ordered.toarray(), X.toarray()[order])
    for begin in range(0, len(order), STRETCH):
        stretch = order[begin : begin + STRETCH]
        assert (stretch // STRETCH == begin // STRETCH).all()
        assert (np.diff(np.minimum(np.diff(X.indptr)[stretch], LENGTHS - 1)) >= 0).all()


def test_few_rows_stay_as_they_are() -> None:
    rng = np.random.default_rng(1)
    X = sparse.csr_array((rng.random((MANY, 20)) < 0.2).astype(float))
    assert len(checked(X).ordered()[0]) == MANY
    few = checked(X[1:])
    assert not len(few.ordered()[0])
    assert few.ordered()[1] is few.parts()[1]
