import math
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.sums import CHUNK, csr_times, csr_transposed_times, inner_product


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", [1, 7, 8, 9])
def test_sparse_products_are_those_of_scipy(k: int, dtype: type[np.floating[Any]]) -> None:
    rng = np.random.default_rng(k)
    X = sparse.csr_array((rng.random((23, 31)) * (rng.random((23, 31)) < 0.2)).astype(dtype))
    right, left = rng.random((31, k)).astype(dtype), rng.random((23, k)).astype(dtype)
    out, transposed = np.empty((23, k), dtype), np.empty((31, k), dtype)
    csr_times(X.indptr, X.indices, X.data, right, out)
    csr_transposed_times(X.indptr, X.indices, X.data, left, transposed)
    near = 20 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(out, X @ right, rtol=near)
    np.testing.assert_allclose(transposed, X.T @ left, rtol=near)


@pytest.mark.parametrize("size", [1, CHUNK, 5 * CHUNK + 1])
def test_an_inner_product_is_exact_to_a_few_units(size: int) -> None:
    rng = np.random.default_rng(size)
    left, right = rng.random((size, 2)), rng.random((size, 2))
    assert inner_product(left, right) == pytest.approx(math.fsum((left * right).ravel()), rel=1e-15 * 4)


def test_an_inner_product_of_floats32_is_summed_in_float64() -> None:
    ones = np.ones((1 << 12, 3), np.float32)
    assert inner_product(ones, np.full_like(ones, 4097.0)) == 3 * 4096 * 4097
