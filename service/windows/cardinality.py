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
        place = np.searchsorted(self._smallest, fresh)
        known = np.zeros(len(fresh), np.bool_)
        inside = place < len(self._smallest)
        known[inside] = self._smallest[place[inside]] == fresh[inside]
        if not known.all():
            self._smallest = np.insert(self._smallest, place[~known], fresh[~known])[: _KEPT + 1]

    @property
    def count(self) -> int:
        """The number of distinct hashes."""
        if len(self._smallest) <= _KEPT:
            return len(self._smallest)
        return round(_KEPT / (int(self._smallest[-1]) / 2**64))
