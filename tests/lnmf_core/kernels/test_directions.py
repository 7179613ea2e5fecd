from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.directions import (
    csr_gram_product,
    csr_product,
    keep_parts,
    part_norms,
    random_directions,
)
from lnmf_core.matrix import NO_ORDER


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("rows", "k"), [(1, 1), (32, 8), (33, 7), (70, 16), (70, 25)])
def test_products_are_those_of_scipy(rows: int, k: int, dtype: Any) -> None:
    rng = np.random.default_rng(rows + k)
    X = sparse.csr_array((rng.random((rows, 31)) * (rng.random((rows, 31)) < 0.2)).astype(dtype))
    right = rng.random((31, k)).astype(dtype)
    near = 50 * float(np.finfo(dtype).eps)
    images = csr_product(NO_ORDER, X.indptr, X.indices, X.data, right)
    returned = csr_gram_product(X.indptr, X.indices, X.data, right)
    assert images.shape == (rows, k)
    assert returned.shape == right.shape
    np.testing.assert_allclose(images, X @ right, rtol=near)
    order = rng.permutation(rows)
    np.testing.assert_array_equal(csr_product(order, X.indptr, X.indices, X.data, right)[order], images)
    np.testing.assert_allclose(returned, X.T @ (X @ right), rtol=near)


def test_random_directions_fill_the_range_evenly_and_depend_on_the_seed() -> None:
    first, again, other = (np.empty((4000, 16)) for _ in range(3))
    for seed, out in ((7, first), (7, again), (8, other)):
        random_directions(seed, out)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.99
    assert np.abs(first).max() < 1
    assert np.abs(first.mean(axis=0)).max() < 0.05
    # The variance of what is uniform from −1 to 1 is a third; columns are not alike.
    np.testing.assert_allclose(first.T @ first / 4000, np.eye(16) / 3, atol=0.03)


def test_parts_are_measured_and_kept() -> None:
    columns = np.array([[3.0, -1.0], [-4.0, -2.0], [0.0, 5.0]])
    np.testing.assert_array_equal(part_norms(columns, 2), [[9, 16], [25, 5]])
    keep_parts(columns, np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(columns, [[0, 0], [4, 0], [0, 10]])
