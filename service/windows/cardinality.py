"""How many distinct things went by, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_KEPT = 1 << 20


class Cardinality:
    """Counts distinct 64-bit hashes: exactly up to 2^20, beyond with a standard error of 0.1 %.

    The smallest hashes are kept (k minimum values: Bar-Yossef et al., 2002).
    """

    def __init__(self) -> None:
        self._smallest: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Take in hashes, of any shape."""
        fresh = np.unique(hashes)
        if len(self._smallest) > _KEPT:
            fresh = fresh[fresh < self._smallest[-1]]
        if not len(fresh):
            return
        merged = np.concatenate([self._smallest, fresh])
        merged.sort(kind="stable")  # two sorted runs: a merge, not a sort
        distinct = np.concatenate(([True], merged[1:] != merged[:-1]))
        self._smallest = merged[distinct][: _KEPT + 1]

    @property
    def count(self) -> int:
        """The number of distinct hashes."""
        if len(self._smallest) <= _KEPT:
            return len(self._smallest)
        return round(_KEPT / (int(self._smallest[-1]) / 2**64))
