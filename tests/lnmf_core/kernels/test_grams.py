from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core.kernels.grams import DIRECT, csr_gram, csr_turned, leading_eigenvectors, orthonormal_rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (7, 20), (40, 9)])
def test_grams_and_turned_arrays_are_those_of_scipy(shape: tuple[int, int], dtype: Any) -> None:
    rng = np.random.default_rng(sum(shape))
    X = sparse.csr_array((rng.random(shape) * (rng.random(shape) < 0.4)).astype(dtype))
    X.sort_indices()
    np.testing.assert_allclose(
        csr_gram(X.indptr, X.indices, X.data, shape[1]), (X.T @ X).toarray(), rtol=1e-5, atol=1e-12
    )
    begins, rows, values = csr_turned(X.indptr, X.indices, X.data, shape[1])
    turned = sparse.csr_array((values, rows, begins), shape=shape[::-1])
    np.testing.assert_array_equal(turned.toarray(), X.toarray().T)
    assert values.dtype == dtype


@pytest.mark.parametrize("size", [1, 5, DIRECT, DIRECT + 1, 90])
def test_eigenvectors_are_orthonormal_and_values_descend_to_the_true_ones(size: int) -> None:
    rng = np.random.default_rng(size)
    factor = rng.standard_normal((size, size)) * 0.8 ** np.arange(size)
    gram = factor @ factor.T
    count = min(size, 6)
    values, vectors = leading_eigenvectors(gram, count, 0)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(gram)[::-1][:count], rtol=1e-4)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(count), atol=1e-10)
    np.testing.assert_allclose(vectors @ gram @ vectors.T, np.diag(values), atol=1e-10 * values[0])


@pytest.mark.parametrize("size", [20, 60])
@pytest.mark.parametrize("unit", [1e-190, 1.0, 1e190])
def test_what_is_negligible_is_left_out_in_any_unit(size: int, unit: float) -> None:
    factor = np.random.default_rng(1).random((size, 3))
    values, vectors = leading_eigenvectors(unit * (factor @ factor.T), 8, 0)
    assert len(values) == len(vectors) == 3


def test_rows_that_others_span_become_zero() -> None:
    rows = np.array([[3.0, 0, 0], [1.0, 2, 0], [0.0, 0, 0]])
    orthonormal_rows(rows, 2)
    np.testing.assert_allclose(np.abs(rows), [[1, 0, 0], [0, 1, 0], [0, 0, 0]], atol=1e-15)
