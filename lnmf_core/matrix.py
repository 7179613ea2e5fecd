"""X, checked once at the door; behind it, nothing has to be checked again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core.errors import MatrixError, RankError, whole_number
from lnmf_core.factors import FLOATS, are_counts
from lnmf_core.kernels.directions import csr_gram_product, csr_product
from lnmf_core.kernels.ordering import in_order
from lnmf_core.kernels.passes import squared
from lnmf_core.kernels.rows import FINE, first_fault, summary
from lnmf_core.normal import inner

if TYPE_CHECKING:
    from collections.abc import Callable

    from lnmf_core.factors import Array

Counts: TypeAlias = NDArray[Any] | sparse.sparray | sparse.spmatrix
"""What is taken for X: a dense array, or any scipy matrix (CSR is used as it is, others are converted)."""

SMALL = 4096
"""Entries of X up to which a plain sum of squares is as exact as a pairwise one, to some units."""

MIDDLE = 32 * SMALL
"""The same, where it is made of 32 sums side by side."""

MANY = 1024
"""Rows of a sparse X from which it pays to put them in order."""

Ordered: TypeAlias = tuple[NDArray[np.int64], NDArray[Any], NDArray[Any], NDArray[Any]]

NO_ORDER = np.empty(0, np.int64)
NO_INDICES = np.empty(0, np.int32)
NO_DATA = {dtype: np.empty(0, dtype) for dtype in FLOATS}
NO_MATRIX = {dtype: np.empty((0, 0), dtype) for dtype in FLOATS}

LARGEST = {np.dtype(np.float64): (1e-100, 1e100), np.dtype(np.float32): (1e-20, 1e20)}
"""Between these X's largest value must lie: products of X with factors of its size then neither overflow nor
vanish. Nothing else in the core depends on the unit of X."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """X, n × m, nonnegative, finite and not all zero. Made by `checked`; shares X's memory where it can."""

    values: Array | sparse.csr_array[Any]
    squared_norm: float
    """‖X‖²_F, summed in float64."""
    mean: float
    shape: tuple[int, int] = field(init=False)
    """(n, m)."""
    _ordered: list[Ordered] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        # Asked for often, and scipy takes a while to answer.
        rows, columns = self.values.shape
        object.__setattr__(self, "shape", (rows, columns))

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """float64 or float32."""
        return np.dtype(self.values.dtype)

    def parts(self) -> tuple[Array, NDArray[Any], NDArray[Any], Array]:
        """Return X as compiled code takes it: dense, or empty and followed by the three arrays of CSR."""
        values = self.values
        if isinstance(values, np.ndarray):
            return np.ascontiguousarray(values), NO_INDICES, NO_INDICES, NO_DATA[self.dtype]
        return NO_MATRIX[self.dtype], values.indptr, values.indices, values.data

    def ordered(self) -> Ordered:
        """Return a sparse X as CSR with rows in an order that makes products faster; made once.

        First comes the row of X that each is, or nothing where rows are few and stay as they are.
        """
        if not self._ordered:
            parts = self.parts()[1:]
            self._ordered.append((NO_ORDER, *parts) if self.shape[0] < MANY else in_order(*parts))
        return self._ordered[0]

    def rough_gram_times(self) -> Callable[[Array], Array]:
        """Return what does `gram_times`, but for a factor; where X is sparse, in float32 and half the time.

        X's unit is anything: the factor keeps powers of it from overflowing.
        """
        if isinstance(self.values, np.ndarray):
            return lambda right: _near_one(self.gram_times(right))
        _, indptr, indices, data = self.ordered()
        # With ‖X‖_F = 1 no product grows, and none shrinks by more than X's short side.
        light = (data * (1 / math.sqrt(self.squared_norm))).astype(np.float32)
        return lambda right: csr_gram_product(indptr, indices, light, right.astype(np.float32, copy=False))

    def times(self, right: Array) -> Array:
        """Return X · right: m × k in, n × k out, of X's dtype."""
        if isinstance(self.values, np.ndarray):
            return np.ascontiguousarray(self.values @ right)
        return csr_product(*self.ordered(), np.ascontiguousarray(right))

    def gram_times(self, right: Array) -> Array:
        """Return XᵀX · right: m × k in and out, of X's dtype."""
        if isinstance(self.values, np.ndarray):
            return self.transposed_times(self.values @ right)
        return csr_gram_product(*self.ordered()[1:], np.ascontiguousarray(right))

    def transposed_times(self, right: Array) -> Array:
        """Return Xᵀ · right: n × k in, m × k out, of X's dtype."""
        return np.ascontiguousarray(self.values.T @ right)


def checked(X: Counts) -> Matrix:
    """Return X ready for use, in float32 if it is float32, otherwise in float64; X is never changed.

    Booleans count as 0 and 1. Sparse entries that occur twice are added up; explicit zeros are harmless.
    Raises MatrixError for other types, other than two dimensions, no rows or columns, entries that are
    negative, infinite or NaN, a matrix of zeros, and values so large or small that their squares are lost.
    """
    if sparse.issparse(X):
        return _checked_sparse(X)
    if not isinstance(X, np.ndarray) or isinstance(X, np.ma.MaskedArray):
        raise MatrixError(f"X is a {type(X).__name__}: pass a numpy array or a scipy sparse matrix")
    _check_shape(X.shape)
    values = np.asarray(X).astype(_working_dtype(X.dtype), copy=False)
    flat = values.ravel("K")
    if flat.size <= SMALL:
        largest, total, squares = summary(flat)
        if LARGEST[values.dtype][0] <= largest <= LARGEST[values.dtype][1]:
            return Matrix(values, squares, total / flat.size)
    if not are_counts(values):
        row, column = np.argwhere(~((values >= 0) & (values < np.inf)))[0]
        raise MatrixError(_fault(row, column, values[row, column]))
    _check_magnitude(flat[flat.argmax()], values.dtype)
    return Matrix(values, inner(values, values), float(np.add.reduce(flat, dtype=np.float64)) / values.size)


def _near_one(values: Array) -> Array:
    """Divide `values`, in place, by the largest of them; return them."""
    values *= values.dtype.type(1 / max(values.max(), -values.min()))
    return values


def check_rank(rank: int, shape: tuple[int, int]) -> int:
    """Return `rank` as an int; raises RankError unless it is a whole number from 1 to min(n, m)."""
    k = whole_number("rank", rank, RankError)
    if k > min(shape):
        raise RankError(f"rank is {k}: for X of shape {shape} it can be {min(shape)} at most")
    return k


def _checked_sparse(X: Any) -> Matrix:
    _check_shape(X.shape)
    dtype = _working_dtype(X.dtype)
    csr = X if isinstance(X, sparse.csr_array) and X.dtype == dtype and X.dtype.isnative else None
    sound = False
    found = FINE if csr is None else first_fault(csr.indptr, csr.indices, csr.data, X.shape[1], LARGEST[dtype][1])
    if csr is None or found != FINE or len(csr.indptr) != X.shape[0] + 1:
        csr = _canonical(X, dtype)
    else:
        sound = True
    data = csr.data
    rows, columns = X.shape
    if len(data) <= SMALL:
        largest, total, squares = summary(data)
        if LARGEST[data.dtype][0] <= largest <= LARGEST[data.dtype][1]:
            return Matrix(csr, squares, total / (rows * columns))
    if len(data) and not sound and not are_counts(data):
        at = int(np.flatnonzero(~((data >= 0) & (data < np.inf)))[0])
        row = int(np.searchsorted(csr.indptr, at, side="right")) - 1
        raise MatrixError(_fault(row, csr.indices[at], data[at]))
    _check_magnitude(data.max(initial=0), data.dtype)
    column = data[:, np.newaxis]
    squared_norm = squared(data) if len(data) <= MIDDLE and dtype == FLOATS[0] else inner(column, column)
    return Matrix(csr, squared_norm, float(data.sum(dtype=np.float64)) / (rows * columns))


def _canonical(X: Any, dtype: np.dtype[Any]) -> sparse.csr_array[Any]:
    """Return X as CSR with sorted, unique, verified indices, sharing the memory of X where it can."""
    if X.format in {"csr", "csc"}:
        # A new object around the same arrays: scipy notes what it finds out in the object itself.
        X = type(X)((X.data, X.indices, X.indptr), shape=X.shape)
        try:
            X.check_format(full_check=True)
        except ValueError as error:
            raise MatrixError(f"X is no valid {X.format.upper()} matrix: {error}") from error
    # The dtype first: entries that occur twice must not be added up in eight bits.
    csr = sparse.csr_array(X.astype(dtype, copy=False))
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        raise MatrixError(f"X has {len(shape)} dimensions: it needs two, sources × services")
    if 0 in shape:
        raise MatrixError(f"X has shape {shape}: it needs at least one row and one column")


def _working_dtype(dtype: np.dtype[Any]) -> np.dtype[np.floating[Any]]:
    if dtype.kind in "biu":
        return FLOATS[0]
    native = dtype.newbyteorder("=")
    if native not in FLOATS:
        raise MatrixError(f"X holds {dtype}: convert it to float64, float32 or integers")
    return native


def _fault(row: int, column: int, value: float) -> str:
    wrong = "counts can't be negative" if value < 0 else "counts must be finite"
    return f"X[{row}, {column}] is {value}: {wrong}; correct or drop the entry"


def _check_magnitude(largest: float, dtype: np.dtype[Any]) -> None:
    if largest == 0:
        raise MatrixError("X is all zero: there is nothing to factorise")
    low, high = LARGEST[dtype]
    if not low <= largest <= high:
        raise MatrixError(
            f"X's largest value is {largest}: {dtype} needs it between {low} and {high}; change the unit of X"
        )
