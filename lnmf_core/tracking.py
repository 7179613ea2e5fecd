"""X ≈ D·C of the rows that are held, and how passes and changes of rows move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.held import HeldRows
from lnmf_core.kernels.changes import exchange
from lnmf_core.kernels.drafts import room_for_drafts, track
from lnmf_core.kernels.passes import (
    dead_one,
    explained,
    follow_all,
    lined,
    padded,
    project_all,
    relative,
    squared,
    tiled,
)
from lnmf_core.kernels.rows import same
from lnmf_core.sums import LEAST, Sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lnmf_core.factors import Factors
    from lnmf_core.rows import Keys, Rows

    Floats = NDArray[np.float64]

FARTHER = 0.25
"""C moves by this share more than its sweeps would have it where D follows: as D gives way, C would go on."""
NO_COLUMNS = np.empty(0, np.int32)
ROUNDING = 3e-8
"""Relative errors below this can't be told from rounding."""


class Tracking:
    """D, C and the sums that join them: `Factorizer` says what is to be done, and this does it."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.columns: Keys = np.empty(0, np.int64)
        self.held = HeldRows(rank)
        self.sums = Sums(0, rank)
        self._Ct: Floats = lined(0, padded(rank))
        self.gram_C: Floats = np.zeros((rank, rank))
        self.fit = 0.0
        """⟨Cᵀ, XᵀD⟩, of which the error is made."""
        self.explained = 0.0
        """‖X‖² − ‖X − DC‖²_F."""
        self._rough = np.empty(0, np.float32)
        """Memory for drafts."""
        self.unsettled = 0
        """Rows that have changed since C moved in all columns."""

    @property
    def patterns(self) -> Floats:
        """Cᵀ, m × k: to be written in place, which `gram_C` does not follow."""
        return self._Ct[: len(self.columns), : self.rank]

    @property
    def cross(self) -> Floats:
        """XᵀD, m × k; computed here if D has moved without it."""
        self._catch_up()
        return self.sums.cross[: len(self.columns), : self.rank]

    def restore(self, Ct: Floats, columns: Keys, rows: Rows, D: Floats, cross: Floats, sums: Sums) -> None:
        """Hold copies of all of this; `sums` becomes ours, but for its cross."""
        self.columns, self.sums = columns, sums
        self._Ct, self.sums.cross = _padded_copy(Ct), _padded_copy(cross)
        self.held.begin(rows)
        self.held.memberships[:] = D

    def error(self) -> float:
        """Return ‖X − DC‖_F / ‖X‖_F; 0 if X is zero, and infinite if the factors overflow."""
        return relative(self.explained, self.sums.squared_norm)

    def begin(self, rows: Rows) -> None:
        """Hold these rows and their columns alone, with what is known of the columns; `track` must follow."""
        if not same(rows.columns, self.columns):
            known = places(rows.columns, self.columns)
            Ct = lined(tiled(len(rows.columns)), padded(self.rank))
            Ct[np.flatnonzero(known >= 0)] = self._Ct[known[known >= 0]]
            self._Ct, self.columns = Ct, rows.columns
            self.sums = Sums(len(self.columns), self.rank)
            self.weigh_patterns()
        self.held.begin(rows)
        self.sums.squared_norm = squared(rows.data)

    def track(self, sweeps: int, passes: int, tolerance: float) -> float:
        """Move C, then all memberships, whatever they were; return by what share C's first move lowered the error.

        C moves `passes` times at most, again while that is above `tolerance`. The share is 0 if nothing was known.
        """
        indptr, lanes, indices, data, D = self.held.whole()
        if self.sums.changed:
            self.sums.squared_norm = squared(data)
        needed = room_for_drafts(len(self.columns), self.rank, len(data))
        if len(self._rough) < needed:
            self._rough = np.zeros(needed + needed // 8, np.float32)
        first, self.fit, self.explained = track(
            indptr, lanes, indices, data, self._Ct, self.gram_C, len(self.columns), sweeps, passes, tolerance,
            ROUNDING, LEAST, FARTHER, self.sums.squared_norm, self._rough, D, self.sums.gram, self.sums.peaks,
        )  # fmt: skip
        self.sums.begin_afresh()
        self.unsettled = 0
        return first

    def _follow(self, sweeps: int) -> None:
        """Move all memberships; C stays."""
        indptr, lanes, indices, data, D = self.held.whole()
        self.sums.squared_norm = squared(data)
        self.fit, self.explained = follow_all(
            indptr, lanes, indices, data, self._Ct, self.gram_C, sweeps, LEAST, 0,
            self.sums.squared_norm, D, self.sums.gram, self.sums.peaks,
        )  # fmt: skip
        self.sums.begin_afresh()

    def exchange(self, changed: Rows, gone: Keys, sweeps: int, settle: float) -> None:
        """Exchange rows and their share of the sums, and move C once the share `settle` of the rows has changed.

        In columns that are new it moves at once.
        """
        indices, appended = self._aligned(changed)
        self._catch_up()
        number = len(changed) + len(gone)
        self.sums.changed += number
        self.unsettled += number
        self.sums.squared_norm, self.fit, self.explained, settled, self.sums.left = exchange(
            changed.keys, changed.indptr, indices, changed.data, gone, appended,
            *self.held.changing(len(changed), len(indices)),
            len(self.columns), self._Ct, self.gram_C, self.sums.cross, self.sums.gram, self.sums.peaks,
            sweeps, LEAST, self.sums.squared_norm, self.fit, settle, self.unsettled,
        )  # fmt: skip
        if settled:
            self.unsettled = 0

    def weigh_patterns(self) -> None:
        """Make `gram_C` that of the patterns."""
        with np.errstate(all="ignore"):
            self.gram_C = self.patterns.T @ self.patterns

    def respawn(self) -> int | None:
        """Begin a dead component anew at the column with most residual energy; return it, if there is one."""
        # Where all are dead there is nothing to compare with: the cold look that is due does better.
        component = dead_one(self.gram_C, self.sums.gram, LEAST)
        if component < 0 or self.error() <= ROUNDING:
            return None
        with np.errstate(all="ignore"):  # an overflow is a bad error, which looks cold
            self.patterns[:, component] = self._residual_pattern(int(np.argmax(self._residual_energy())))
        self.weigh_patterns()
        return component

    def adopt(self, factors: Factors) -> None:
        """Take over a factorisation of what is held; its components beyond its rank are zero."""
        found = factors.rank
        for whole, part in ((self.held.memberships, factors.D), (self.patterns, factors.C.T)):
            whole[:] = 0.0
            whole[:, :found] = part
        self.weigh_patterns()
        self._follow(1)
        self.unsettled = 0

    def account(self) -> None:
        """Find what is `explained`, from `fit` and the grams."""
        self.explained = explained(self.fit, self.gram_C, self.sums.gram)

    def _catch_up(self) -> None:
        if self.sums.behind:
            project_all(*self.held.whole(), self.sums.cross)
            self.sums.behind = False

    def _aligned(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the entries' columns in the numbering that is held, and columns that are new, now appended."""
        if not len(rows.indices) or rows.columns is self.columns or same(rows.columns, self.columns):
            return rows.indices, NO_COLUMNS
        used, inverse = np.unique(rows.indices, return_inverse=True)
        found = places(rows.columns[used], self.columns)
        new = rows.columns[used[found < 0]]
        found[found < 0] = len(self.columns) + np.arange(len(new))
        if len(new):
            self.columns = np.concatenate([self.columns, new])
            self._Ct, self.sums.cross = (_enlarged(part, len(self.columns)) for part in (self._Ct, self.sums.cross))
        appended = np.arange(len(self.columns) - len(new), len(self.columns), dtype=np.int32)
        return found[inverse].astype(np.int32), appended

    def _residual_energy(self) -> Floats:
        """Return ‖x_j − D c_j‖² for each column, of length m."""
        X = self.held.csr(len(self.columns))
        energy = np.bincount(X.indices, X.data * X.data, minlength=len(self.columns))
        fitted = (self.patterns * (2 * self.cross - self.patterns @ self.sums.gram)).sum(axis=1)
        return np.asarray(energy - fitted)

    def _residual_pattern(self, column: int) -> Floats:
        """Return the unit sum of the rows with more in this column than is explained, weighted by how much more."""
        X = self.held.csr(len(self.columns))
        missing = np.maximum(X[:, [column]].toarray()[:, 0] - self.held.memberships @ self.patterns[column], 0)
        pattern = X.T @ missing
        return np.asarray(pattern / max(float(np.linalg.norm(pattern)), LEAST))


def places(keys: Keys, among: Keys) -> Keys:
    """Return where each key stands in `among`, −1 where it does not."""
    if not len(among):
        return np.full(len(keys), -1, np.int64)
    order = np.argsort(among, kind="stable")
    found = order[np.minimum(np.searchsorted(among, keys, sorter=order), len(among) - 1)]
    return np.where(among[found] == keys, found, -1)


def _enlarged(part: Floats, rows: int) -> Floats:
    if rows <= len(part):
        return part
    out = lined(tiled(rows + rows // 8), part.shape[1])
    out[: len(part)] = part
    return out


def _padded_copy(part: Floats) -> Floats:
    out = lined(tiled(len(part)), padded(part.shape[1]))
    out[: len(part), : part.shape[1]] = part
    return out
