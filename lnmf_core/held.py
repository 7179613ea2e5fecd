"""The rows of counts that are held, and their memberships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core.kernels.changes import COUNT, USED
from lnmf_core.kernels.index import index_all, slots_of
from lnmf_core.kernels.passes import lanes_of, lined, padded
from lnmf_core.kernels.rows import packed
from lnmf_core.kernels.vectors import WIDTH

if TYPE_CHECKING:
    from lnmf_core.rows import Keys, Rows

    Floats = NDArray[np.float64]
    Changing = tuple[Keys, Keys, Keys, Keys, NDArray[np.int32], Floats, Floats, Keys]
    """Index, keys, begins, ends, indices, data, D, and how many rows and entries there are."""


class HeldRows:
    """The rows that are held, each at a slot 0 … n − 1: its key, its counts and its memberships.

    A slot is a row of D. A row that leaves gives its slot to the last one, so that D has no gaps. A whole window
    is used as it came, without a copy, until some of its rows change: then it is copied to where there is
    room, and the index of keys is made. Memory is linear in what is held: room grows by doubling, and entries of
    replaced rows are cleared out when it is used up.
    """

    def __init__(self, rank: int) -> None:
        self._rank = rank
        none = np.empty(0, np.int64)
        self._numbers = np.zeros(2, np.int64)
        self._keys, self._begins, self._ends = none, none, none
        self._indices, self._data = np.empty(0, np.int32), np.empty(0)
        self._indptr: Keys | None = np.zeros(1, np.int64)
        self._lanes = np.empty(0, np.int8)
        self._index: Keys | None = None
        self._D = lined(0, padded(rank))

    @property
    def count(self) -> int:
        """The number of rows, n."""
        return int(self._numbers[COUNT])

    @property
    def keys(self) -> Keys:
        """Keys by slot."""
        return self._keys[: self.count]

    @property
    def memberships(self) -> Floats:
        """D by slot, n × k: to be written in place."""
        return self._D[: self.count, : self._rank]

    def begin(self, rows: Rows) -> None:
        """Hold these rows instead of all others; their memberships are undefined."""
        self._numbers[:] = len(rows), len(rows.data)
        self._keys, self._index = rows.keys, None
        self._indices, self._data = rows.indices, rows.data
        self._mark(rows.indptr)
        if len(self._D) < len(rows):
            self._D = lined(len(rows) + len(rows) // 8, padded(self._rank))

    def find(self, keys: Keys) -> Keys:
        """Return the slot of each key, −1 where none is held."""
        return slots_of(keys, self._opened(), self._keys)

    def csr(self, columns: int) -> sparse.csr_array[Any]:
        """Return X, n × columns, in memory that is shared: it must not be changed."""
        indptr, _, indices, data, _ = self.whole()
        # scipy takes the wider of both: with whole numbers of 64 bits all kernels would be compiled once more.
        return sparse.csr_array((data, indices, indptr.astype(np.int32)), shape=(self.count, columns))

    def whole(self) -> tuple[Keys, NDArray[np.int8], NDArray[np.int32], Floats, Floats]:
        """Return X as CSR (indptr, each entry's lane, indices, data) and D, as `kernels.passes` takes them."""
        indptr = self._pack() if self._indptr is None else self._indptr
        used = self._numbers[USED]
        return indptr, self._lanes[:used], self._indices[:used], self._data[:used], self._D

    def changing(self, rows: int, entries: int) -> Changing:
        """Return what `kernels.changes.exchange` changes, with room for so many more rows and entries."""
        index = self._opened()
        if self.count + rows > len(self._keys):
            self._index = index = self._widened(2 * (self.count + rows))
        if self._numbers[USED] + entries > len(self._data):
            self._pack()
            room = 2 * (int(self._numbers[USED]) + entries)
            self._indices, self._data = enlarged(self._indices, room), enlarged(self._data, room)
        self._indptr = None
        return (
            index, self._keys, self._begins, self._ends, self._indices, self._data, self._D, self._numbers
        )  # fmt: skip

    def _opened(self) -> Keys:
        """Return the index; make it, and copies that may be changed, if that is still to be done."""
        if self._index is None:
            indptr = self.whole()[0]
            self._begins, self._ends = indptr[:-1].copy(), indptr[1:].copy()
            self._index = self._widened(len(self._keys) + len(self._keys) // 8)
            room = len(self._data) + len(self._data) // 2
            self._indices, self._data = enlarged(self._indices, room), enlarged(self._data, room)
        return self._index

    def _widened(self, rows: int) -> Keys:
        """Make room for so many rows; return an index for as many."""
        self._keys, self._begins, self._ends = (
            enlarged(part, rows) for part in (self._keys, self._begins, self._ends)
        )
        if len(self._D) < rows:
            D = lined(rows, self._D.shape[1])
            D[: self.count] = self._D[: self.count]
            self._D = D
        index = np.empty(1 << (2 * rows + 1).bit_length(), np.int64)
        index_all(index, self._keys, self.count)
        return index

    def _pack(self) -> Keys:
        """Clear out the entries of rows that were replaced, and put the others into the order of the slots."""
        indptr, indices, data = packed(self.count, self._begins, self._ends, self._indices, self._data)
        self._begins[: self.count], self._ends[: self.count] = indptr[:-1], indptr[1:]
        self._indices[: len(indices)], self._data[: len(data)] = indices, data
        self._numbers[USED] = len(data)
        self._mark(indptr)
        return indptr

    def _mark(self, indptr: Keys) -> None:
        """Take notice that X is CSR now, with these row pointers."""
        self._indptr, used = indptr, int(self._numbers[USED])
        if len(self._lanes) < used + WIDTH:
            self._lanes = np.empty(used + used // 8 + WIDTH, np.int8)
        lanes_of(indptr, self._lanes)


def enlarged(part: NDArray[Any], length: int) -> NDArray[Any]:
    """Return a copy with zeros behind, so long."""
    out = np.zeros((length, *part.shape[1:]), part.dtype)
    out[: len(part)] = part
    return out
