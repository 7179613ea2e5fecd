"""What C needs of the rows, kept by differences while rows come and go."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.kernels.rows import add_products, solve_rows
from lnmf_core.normal import inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lnmf_core.rows import HeldRows, Keys

    Floats = NDArray[np.float64]

LEAST = float(np.finfo(np.float64).tiny)
"""A component with less energy than this is dead."""

DIGITS = 1e-6
"""A sum that falls below this share of what it was has lost too many digits to differences."""


class Sums:
    """cross = XᵀD (m × k), gram = DᵀD (k × k) and ‖X‖²_F of the rows that are held.

    Each difference adds its rounding. `worn` says when to compute them afresh: once many rows have changed, and
    at once when ‖X‖² or a component's energy has shrunk to a millionth. So they stay within about n additions of
    the truth, at a cost that is shared by as many changes, and no digits are lost when large counts leave.
    """

    def __init__(self, columns: int, rank: int) -> None:
        self.cross: Floats = np.zeros((columns, rank))
        self.gram: Floats = np.zeros((rank, rank))
        self.squared_norm = 0.0
        self.peaks: Floats = np.zeros(rank + 1)
        """Largest diagonal of gram and ‖X‖² since they were computed afresh."""
        self.changed = 0
        """Rows that have changed since then."""

    def compute_afresh(self, held: HeldRows) -> None:
        """Forget what was gathered, and sum over all rows."""
        self.cross = np.zeros_like(self.cross)
        self.gram = np.zeros_like(self.gram)
        self.squared_norm = 0.0
        self.changed = 0
        self.peaks = np.zeros_like(self.peaks)
        self.add(held, held.every())

    def add(self, held: HeldRows, slots: Keys) -> None:
        """Add the share of these rows."""
        self.squared_norm += add_products(slots, *held.entries, held.memberships, 1.0, self.cross)
        self._add_gram(held, slots, 1.0)

    def solve(self, held: HeldRows, slots: Keys, Ct: Floats, gram_C: Floats, sweeps: int) -> None:
        """Move the memberships of these rows, whose share is not among the sums, and add it."""
        self.squared_norm += solve_rows(
            slots, *held.entries, Ct, gram_C, sweeps, LEAST, held.memberships, self.cross
        )
        self._add_gram(held, slots, 1.0)

    def withdraw(self, held: HeldRows, slots: Keys) -> None:
        """Take out the share of these rows, as they are now."""
        self.squared_norm += add_products(slots, *held.entries, held.memberships, -1.0, self.cross)
        self._add_gram(held, slots, -1.0)

    def widen(self, columns: int) -> None:
        """Append columns that no row has entries in yet."""
        self.cross = np.concatenate([self.cross, np.zeros((columns, len(self.gram)))])

    def worn(self, most: float) -> bool:
        """Return whether more than `most` rows have changed, or a sum has lost too many digits."""
        return self.changed > most or bool((self._sizes() < DIGITS * self.peaks).any())

    def relative_error(self, fit: float, gram_C: Floats) -> float:
        """Return ‖X − DC‖_F / ‖X‖_F, where `fit` is ⟨Cᵀ, cross⟩; see `NormalEquations.squared_error`.

        It is 0 if X is zero, and infinite if the factors overflow.
        """
        if self.squared_norm <= 0:
            return 0.0
        share = (self.squared_norm - 2 * fit + inner(gram_C, self.gram)) / self.squared_norm
        return math.sqrt(max(share, 0.0)) if math.isfinite(share) else math.inf

    def _add_gram(self, held: HeldRows, slots: Keys, sign: float) -> None:
        D = held.memberships
        # All rows are meant where as many are named: they need no copy.
        part = D if len(slots) == len(D) else D[slots]
        self.gram += sign * (part.T @ part)
        np.maximum(self.peaks, self._sizes(), out=self.peaks)

    def _sizes(self) -> Floats:
        return np.append(self.gram.diagonal(), self.squared_norm)
