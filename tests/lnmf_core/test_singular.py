from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core.matrix import checked
from lnmf_core.singular import SHORT, leading_triplets


def steep(dtype: Any) -> NDArray[Any]:
    """Make a matrix of rank 6 whose singular values fall by about ten each."""
    rng = np.random.default_rng(4)
    parts = rng.random((60, 6)), 10.0 ** -np.arange(6), rng.random((6, 40))
    return (parts[0] * parts[1] @ parts[2]).astype(dtype)


@pytest.mark.parametrize(("dtype", "accuracy"), [(np.float64, 1e-8), (np.float32, 1e-2)])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_triplets_are_those_of_the_full_decomposition(make: Any, dtype: Any, accuracy: float) -> None:
    X = steep(dtype)
    true_left, true_values, true_right = np.linalg.svd(X.astype(float))
    found = leading_triplets(checked(make(X)), 4, seed=0)
    assert found.left.dtype == found.values.dtype == found.right.dtype == dtype
    np.testing.assert_allclose(found.values, true_values[:4], rtol=accuracy)
    for vectors, truth in ((found.left, true_left), (found.right, true_right.T)):
        np.testing.assert_allclose(np.abs((vectors * truth[:, :4]).sum(axis=0)), 1, atol=accuracy)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=accuracy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(9, 30), (30, 9), (60, 300), (300, 60), (SHORT, SHORT)])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_short_sides_are_as_exact_as_long_ones(make: Any, shape: tuple[int, int], dtype: Any) -> None:
    rng = np.random.default_rng(sum(shape))
    X = (rng.poisson(rng.gamma(0.3, 1.0, (shape[0], 6)) @ rng.gamma(0.3, 1.0, (6, shape[1])))).astype(dtype)
    found = leading_triplets(checked(make(X)), 5, seed=0)
    np.testing.assert_allclose(found.values, np.linalg.svd(X, compute_uv=False)[:5], rtol=1e-3)
    np.testing.assert_allclose((X @ found.right) / found.values, found.left, atol=1e-2)
    for vectors in (found.left, found.right):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-3)


def test_triplets_that_the_matrix_lacks_are_zero() -> None:
    found = leading_triplets(checked(np.outer([1.0, 2, 3], [1.0, 1, 0, 5])), 3, seed=0)
    assert found.values[0] == pytest.approx(np.sqrt(14 * 27))
    assert not found.values[1:].any()
    assert not found.left[:, 1:].any()
    assert not found.right[:, 1:].any()


def test_on_a_flat_spectrum_values_come_from_below_and_close() -> None:
    X = np.random.default_rng(5).poisson(1.0, (300, 200)).astype(float)
    truth = np.linalg.svd(X, compute_uv=False)[:10]
    values = leading_triplets(checked(X), 10, seed=0).values
    assert (values <= truth * (1 + 1e-12)).all()
    assert (values >= 0.9 * truth).all()


def test_permuted_rows_permute_the_left_vectors_alone() -> None:
    X = np.random.default_rng(6).random((20, 8))
    order = np.random.default_rng(7).permutation(20)
    plain, permuted = (leading_triplets(checked(x), 3, seed=1) for x in (X, X[order]))
    np.testing.assert_allclose(np.abs(permuted.left), np.abs(plain.left[order]), atol=1e-9)
    np.testing.assert_allclose(np.abs(permuted.right), np.abs(plain.right), atol=1e-9)


def test_the_seed_decides() -> None:
    X = checked(np.random.default_rng(8).random((SHORT + 40, SHORT + 30)))
    first, again, other = (leading_triplets(X, 3, seed=seed).left for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
