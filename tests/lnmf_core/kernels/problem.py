"""A random problem as numpy and as the kernels of streams take it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from lnmf_core.kernels.passes import lanes_of, lined, padded, tiled
from lnmf_core.kernels.vectors import WIDTH

COLUMNS = 37
WIDTHS = [1, 3, 4, 5, 10, 12, 16, 19]
"""One vector of four, several, and all that may be left over after four of them."""


def filled(values: Any) -> Any:
    """Return a padded copy."""
    out = lined(tiled(len(values)), padded(values.shape[1]))
    out[: len(values), : values.shape[1]] = values
    return out


class Problem:
    """Random X with empty rows, D and Cᵀ, as numpy and as the kernels take them."""

    def __init__(self, rows: int, k: int) -> None:
        rng = np.random.default_rng(rows + 100 * k)
        self.rows, self.k = rows, k
        X: Any = sparse.random_array((rows, COLUMNS), density=0.1, rng=rng, format="csr")
        self.X, self.dense = X, X.toarray()
        self.indptr, self.indices = X.indptr.astype(np.int64), X.indices.astype(np.int32)
        self.parts = (self.indptr[:-1].copy(), self.indptr[1:].copy(), self.indices, X.data)
        self.lanes = np.empty(X.nnz + WIDTH, np.int8)
        lanes_of(self.indptr, self.lanes)
        self.D, self.Ct = rng.random((rows, k)), rng.random((COLUMNS, k))
        self.gram_C, self.gram_D = self.Ct.T @ self.Ct, self.D.T @ self.D


def close(left: Any, right: Any) -> None:
    np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-11)
