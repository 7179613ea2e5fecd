"""Rows of counts that carry their keys: what a stream brings, and what is held of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core.errors import MatrixError
from lnmf_core.kernels.rows import BROKEN, FINE, UNSORTED, ascends, first_fault, packed
from lnmf_core.matrix import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable

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


class HeldRows:
    """The rows that are held, each at a slot 0 … n − 1: its key, its counts and its memberships.

    A slot is a row of D. A row that leaves gives its slot to the last one, so that D has no gaps. Memory is
    linear in what is held: room grows by doubling, and entries of replaced rows are cleared out when they
    outnumber the others.
    """

    def __init__(self, rows: Rows, memberships: NDArray[np.float64]) -> None:
        self.count = len(rows)
        self.live = len(rows.data)
        self._keys = rows.keys
        self._begins, self._ends = rows.indptr[:-1].copy(), rows.indptr[1:].copy()
        self._D = memberships
        # Shared with `rows` until the first write, which needs more room and so makes a copy.
        self._indices, self._data, self._used = rows.indices, rows.data, len(rows.data)
        self._slots: dict[int, int] | None = None

    @property
    def keys(self) -> Keys:
        """Keys by slot."""
        return self._keys[: self.count]

    @property
    def memberships(self) -> NDArray[np.float64]:
        """D by slot, n × k: to be written in place."""
        return self._D[: self.count]

    @property
    def entries(self) -> tuple[Keys, Keys, NDArray[np.int32], NDArray[np.float64]]:
        """Begins, ends, indices and data, as the kernels take them."""
        return self._begins, self._ends, self._indices, self._data

    def every(self) -> Keys:
        """Return all slots."""
        return np.arange(self.count)

    def columns_of(self, slots: Keys) -> NDArray[np.int32]:
        """Return the columns in which these rows have entries, one for each entry."""
        return packed(slots, *self.entries)[1]

    def find(self, keys: Iterable[int]) -> list[int]:
        """Return the slot of each key, −1 where none is held."""
        return [self._slot_of.get(key, -1) for key in keys]

    def csr(self, columns: int) -> sparse.csr_array[Any]:
        """Return X, n × columns."""
        indptr, indices, data = self.packed()
        return sparse.csr_array((data, indices, indptr), shape=(self.count, columns))

    def packed(self) -> tuple[Keys, NDArray[np.int32], NDArray[np.float64]]:
        """Return indptr, indices and data of X, copied."""
        return packed(self.every(), *self.entries)

    def put(self, rows: Rows, indices: NDArray[np.int32], found: Keys) -> Keys:
        """Replace or append rows, whose entries lie in the columns `indices`; return their slots.

        `found` is what `find` says of their keys. A row that is known keeps its memberships, a new one has none.
        """
        slots = found.copy()
        new = np.flatnonzero(slots < 0)
        _ = self._slot_of
        self._append(rows.keys[new])
        slots[new] = np.arange(self.count - len(new), self.count)
        if len(new):
            self._slot_of.update(zip(rows.keys[new].tolist(), slots[new].tolist(), strict=True))
        self.live += len(indices) - int((self._ends[slots] - self._begins[slots]).sum())
        self._make_room(len(indices), slots)
        begin, self._used = self._used, self._used + len(indices)
        self._indices[begin : self._used], self._data[begin : self._used] = indices, rows.data
        self._begins[slots], self._ends[slots] = begin + rows.indptr[:-1], begin + rows.indptr[1:]
        return slots

    def remove(self, keys: Iterable[int]) -> None:
        """Forget rows that are held."""
        for key in keys:
            slot, last = self._slot_of.pop(key), self.count - 1
            self.live -= int(self._ends[slot] - self._begins[slot])
            if slot != last:
                for part in (self._keys, self._begins, self._ends, self._D):
                    part[slot] = part[last]
                self._slot_of[int(self._keys[slot])] = slot
            self.count = last

    @property
    def _slot_of(self) -> dict[int, int]:
        # Whole windows that are never updated need no index.
        if self._slots is None:
            self._slots = dict(zip(self.keys.tolist(), range(self.count), strict=True))
            self._keys = self._keys.copy()
        return self._slots

    def _append(self, keys: Keys) -> None:
        needed = self.count + len(keys)
        if needed > len(self._keys):
            self._keys, self._begins, self._ends, self._D = (
                _enlarged(part, 2 * needed) for part in (self._keys, self._begins, self._ends, self._D)
            )
        fresh = slice(self.count, needed)
        self._keys[fresh] = keys
        self._begins[fresh], self._ends[fresh], self._D[fresh] = 0, 0, 0.0
        self.count = needed

    def _make_room(self, entries: int, replaced: Keys) -> None:
        if self._used + entries <= len(self._data):
            return
        self._ends[replaced] = self._begins[replaced]
        indptr, self._indices, self._data = packed(self.every(), *self.entries)
        self._begins[: self.count], self._ends[: self.count] = indptr[:-1], indptr[1:]
        self._used = len(self._data)
        room = 2 * (self._used + entries)
        self._indices, self._data = _enlarged(self._indices, room), _enlarged(self._data, room)


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


def _enlarged(part: NDArray[Any], length: int) -> NDArray[Any]:
    out = np.zeros((length, *part.shape[1:]), part.dtype)
    out[: len(part)] = part
    return out
