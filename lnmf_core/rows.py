"""Rows of counts that carry their keys: what a stream brings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core.errors import MatrixError
from lnmf_core.kernels.rows import BROKEN, FINE, UNSORTED, ascends, first_fault
from lnmf_core.matrix import LARGEST

if TYPE_CHECKING:
    from lnmf_core.matrix import Counts

Keys: TypeAlias = NDArray[np.int64]

MOST = LARGEST[np.dtype(np.float64)][1]
"""Larger counts are refused: their squares must not overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of X with their keys, and the keys of the columns: r × c, checked and made CSR in float64.

    Rows of zeros are welcome, entries that occur twice are added up. Raises MatrixError for keys that are no
    one-dimensional distinct whole numbers or do not fit `values`, and for values that are no matrix, negative,
    not finite or above 1e100.
    """

    keys: Keys
    """Of the rows, length r, distinct."""
    values: Counts
    """r × c, a dense array or any scipy matrix. CSR in float64 is used without a copy: leave it as it is."""
    columns: Keys
    """Keys of the columns, length c, distinct."""
    indptr: Keys = field(init=False)
    indices: NDArray[np.int32] = field(init=False)
    data: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("keys", "columns"):
            object.__setattr__(self, name, distinct_keys(name, getattr(self, name)))
        csr = _as_csr(self.values)
        if csr.shape != (len(self.keys), len(self.columns)):
            raise MatrixError(
                f"values has shape {csr.shape}, but there are {len(self.keys)} keys of rows and "
                f"{len(self.columns)} of columns"
            )
        for name, values in zip(("indptr", "indices", "data"), _checked_parts(csr), strict=True):
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.keys)


def distinct_keys(name: str, keys: object) -> Keys:
    """Return `keys` as int64; raises MatrixError unless they are distinct whole numbers in one dimension."""
    values = np.asarray(keys)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise MatrixError(f"{name} has {values.ndim} dimensions of {values.dtype}: pass one of whole numbers")
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
        raise MatrixError(f"{name} holds {values.max()}: keys must fit into 64 bits with a sign")
    values = values.astype(np.int64, copy=False)
    if not ascends(values):
        ordered = np.sort(values)
        twice = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(twice):
            raise MatrixError(f"{name}: {ordered[twice[0]]} occurs twice; pass each row or column once")
    return values


def _as_csr(values: object) -> Any:
    if sparse.issparse(values):
        matrix: Any = values
    elif isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray):
        matrix = values
    else:
        raise MatrixError(f"values is a {type(values).__name__}: pass a numpy array or a scipy sparse matrix")
    if matrix.ndim != 2:
        raise MatrixError(f"values has {matrix.ndim} dimensions: it needs two, rows × columns")
    if matrix.dtype.kind not in "biuf":
        raise MatrixError(f"values holds {matrix.dtype}: convert it to float64, float32 or integers")
    if sparse.issparse(values) and matrix.format == "csr":
        return matrix
    return sparse.csr_array(matrix.astype(np.float64))


def _checked_parts(csr: Any) -> tuple[Keys, NDArray[np.int32], NDArray[np.float64]]:
    parts = (csr.indptr, csr.indices, csr.data.astype(np.float64, copy=False))
    fault = first_fault(*parts, csr.shape[1], MOST)
    if fault == BROKEN or len(csr.indptr) != csr.shape[0] + 1:
        raise MatrixError("values is no valid CSR matrix: its index arrays do not fit its shape")
    if fault == UNSORTED:
        merged = sparse.csr_array((parts[2].copy(), parts[1].copy(), parts[0].copy()), shape=csr.shape)
        merged.sum_duplicates()
        return _checked_parts(merged)
    if fault != FINE:
        row = int(np.searchsorted(csr.indptr, fault, side="right")) - 1
        raise MatrixError(
            f"values[{row}, {csr.indices[fault]}] is {csr.data[fault]}: counts must lie between 0 and {MOST:g}"
        )
    return parts[0].astype(np.int64), parts[1].astype(np.int32, copy=False), parts[2]
