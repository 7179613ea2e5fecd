"""What C needs of the rows, kept by differences while rows come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.kernels.passes import lined, padded, tiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = float(np.finfo(np.float64).tiny)
"""A component with less energy than this is dead."""

DIGITS = 1e-6
"""A sum that falls below this share of what it was has lost too many digits to differences."""


class Sums:
    """cross = XᵀD (m × k, padded), gram = DᵀD (k × k) and ‖X‖²_F of the rows that are held.

    Each difference adds its rounding. `worn` says when to compute them afresh: once many rows have changed, and
    at once when ‖X‖² or a component's energy has shrunk to a millionth. So they stay within about n additions of
    the truth, at a cost that is shared by as many changes, and no digits are lost when large counts leave.
    """

    def __init__(self, columns: int, rank: int) -> None:
        self.cross: Floats = lined(tiled(columns), padded(rank))
        self.gram: Floats = np.zeros((rank, rank))
        self.squared_norm = 0.0
        self.peaks: Floats = np.zeros(rank + 1)
        """Largest diagonal of gram and ‖X‖² since they were computed afresh."""
        self.changed = 0
        """Rows that have changed since then."""
        self.left = 1.0
        """The least share that one of them is of its peak."""
        self.behind = False
        """D has moved since `cross` was computed: it has to be, before it is used."""

    def begin_afresh(self) -> None:
        """Take notice that all but `cross` have been computed from all rows."""
        self.changed, self.left, self.behind = 0, 1.0, True

    def worn(self, most: float) -> bool:
        """Return whether more than `most` rows have changed, or a sum has lost too many digits."""
        return self.changed > most or not self.left >= DIGITS
