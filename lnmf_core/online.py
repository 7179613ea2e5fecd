"""Factors that follow a stream: partial row updates, and warm starts from window to window.

The sources of a window are the rows of X, its services the columns. What C needs of the rows are two sums,
XᵀD and DᵀD. When rows change, `Factorizer.update` takes their old share out of the sums, moves their
memberships, adds their new share, and moves C from the sums: the cost is that of the changed rows.
`Factorizer.window` takes a whole new window, of which nothing but the columns need be known.

Each is a pass or a few, no iteration to convergence: that remains `factorize`, which looks cold for both.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.errors import MatrixError, ParameterError, RankError, whole_number
from lnmf_core.factors import Factors
from lnmf_core.kernels.rows import distinct
from lnmf_core.kernels.sweeps import hals_sweeps
from lnmf_core.matrix import LARGEST
from lnmf_core.normal import inner
from lnmf_core.online_state import packed_state, unpacked_state
from lnmf_core.rows import HeldRows, Keys, Rows, distinct_keys
from lnmf_core.rules.hals import Hals
from lnmf_core.solve import factorize
from lnmf_core.start import Nndsvd
from lnmf_core.stopping import Stop
from lnmf_core.sums import LEAST, Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Floats = NDArray[np.float64]

ROUNDING = 3e-8
"""Relative errors below this can't be told from rounding."""

LARGEST_ERROR = float(np.finfo(np.float64).max)
"""Above is only infinity, the error of factors that overflow."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How a stream is followed. Raises ParameterError for a value out of its range."""

    sweeps: int = 2
    """HALS sweeps over a factor, each time that it moves."""
    passes: int = 4
    """Passes over a whole window, at most; ..."""
    tolerance: float = 1e-3
    """... one more only while moving C has lowered the error by more than this share."""
    settle: float = 0.1
    """C moves in the columns of the changed rows at once, in all when this share of the rows has changed."""
    refresh: float = 0.5
    """A whole pass follows when this share of the rows has changed: the other memberships have become stale."""
    alarm: float = 1.05
    """Look cold when the error exceeds its recent level by this factor, ..."""
    unrest: float = 3.0
    """... when moving C lowers it by so many times as much as it lately did, and by more than `tolerance`, ..."""
    cold_every: int = 4
    """... and after so many windows' worth of rows, for a warm run stays in its local minimum."""
    cold_iterations: int = 20
    """Iterations of a cold look."""
    cold_gain: float = 3e-4
    """A cold solution is kept if its error is lower by this share: components that stay are worth as much."""
    memory: float = 0.8
    """Weight of the past in the recent level of the error, after each window's worth of rows."""
    seed: int = 0
    """Of the cold starts."""

    def __post_init__(self) -> None:
        for name in ("sweeps", "passes", "cold_every", "cold_iterations"):
            whole_number(name, getattr(self, name), ParameterError)
        if whole_number("seed", self.seed, ParameterError, least=0) >= 2**62:
            raise ParameterError(f"seed is {self.seed}: it must be less than 2**62")
        limits = (
            ("tolerance", 0.0, 1.0),
            ("settle", 0.0, 1.0),
            ("refresh", 0.0, 1.0),
            ("alarm", 1.0, math.inf),
            ("unrest", 1.0, math.inf),
            ("cold_gain", 0.0, 1.0),
            ("memory", 0.0, 1.0),
        )
        for name, low, high in limits:
            if not low <= getattr(self, name) <= high:
                raise ParameterError(f"{name} is {getattr(self, name)}: it must lie between {low} and {high}")


@dataclass(frozen=True, slots=True)
class Step:
    """What one update or window did."""

    error: float
    """Relative error ‖X − DC‖_F / ‖X‖_F of all rows that are held; 0 where all counts are zero."""
    cold: bool
    """A cold solution came out ahead and was kept: the components are others than before."""
    whole: bool
    """All memberships have moved, not only those of the changed rows."""
    respawned: int | None
    """The component that was dead and began anew where most was unexplained, if any."""
    seconds: float


class Factorizer:
    """X ≈ D·C for rows that come, change and go, and columns that come; computed in float64.

    Equal input gives equal results, bit by bit, also across `state` and `restore`. Columns stay until the
    next whole window. Raises RankError unless `rank` is a whole number, 1 or more. It may exceed what a small
    window can fill: the components left over are zero until there is something for them to explain.
    """

    def __init__(
        self, rank: int, spec: StreamSpec | None = None, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._rank = whole_number("rank", rank, RankError)
        self._spec = StreamSpec() if spec is None else spec
        self._clock = clock
        self._columns: Keys = np.empty(0, np.int64)
        self._held = HeldRows(_no_rows(), np.empty((0, self._rank)))
        self._sums = Sums(0, self._rank)
        self._Ct: Floats = np.empty((0, self._rank))
        self._gram_C: Floats = np.zeros((self._rank, self._rank))
        self._fit = 0.0
        """⟨Cᵀ, XᵀD⟩, of which the error is made."""
        self._unrest = math.inf
        """Share by which moving C lowers the error of a new window, recently."""
        self._level = math.inf
        """Of the error, recently."""
        self._age = math.inf
        """Windows' worth of rows since the last cold look: the first is due."""
        self._looks = 0
        self._unsettled = 0
        """Rows that have changed since C moved in all columns."""

    @property
    def rank(self) -> int:
        """The number of components, k."""
        return self._rank

    @property
    def row_keys(self) -> Keys:
        """Keys of the rows of D, in their order."""
        return self._held.keys.copy()

    @property
    def column_keys(self) -> Keys:
        """Keys of the columns of C, in their order."""
        return self._columns.copy()

    def factors(self) -> Factors:
        """Return copies of D (n × k, in the order of `row_keys`) and C (k × m, in that of `column_keys`).

        Raises FactorError while there is no row or no column.
        """
        return Factors(self._held.memberships.copy(), self._Ct.copy().T)

    def memberships(self, keys: Keys) -> Floats:
        """Return the rows of D with these keys, r × k; raises MatrixError for a key that is not held."""
        return self._held.memberships[self._slots("keys", distinct_keys("keys", keys))]

    def window(self, rows: Rows) -> Step:
        """Replace all rows and columns; C stays warm by the keys of its columns, D is found from zero."""
        began = self._clock()
        self._carry(rows.columns)
        self._held = HeldRows(rows, self._blank(len(rows)))
        with np.errstate(all="ignore"):  # an overflow is a bad error, which looks cold
            restless = self._passes()
            return self._step(began, self._respawn(), 1.0, whole=True, restless=restless)

    def update(self, changed: Rows | None = None, vanished: Keys | None = None) -> Step:
        """Replace or add the rows `changed`, forget those with the keys `vanished`, and move C.

        Columns that are new and that `changed` has entries in are appended. The memberships of all other rows
        stay as they are, bit by bit, unless the step is `whole`. Raises MatrixError,
        before anything is changed, for a vanished key that is not held, or that is changed too.
        """
        began = self._clock()
        changed = _no_rows() if changed is None else changed
        gone = distinct_keys("vanished", () if vanished is None else vanished)
        leaving = self._slots("vanished", gone)
        _check_apart(gone, changed.keys)
        if not self._held.count:
            return self.window(changed)
        indices = self._aligned(changed)
        with np.errstate(all="ignore"):
            whole = self._exchange(changed, indices, gone, leaving)
            respawned = self._respawn() if not self._unsettled else None
            windows = (len(changed) + len(gone)) / max(self._held.count, 1)
            return self._step(began, respawned, windows, whole=whole)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything as plain arrays, fit for `numpy.savez` without pickle."""
        numbers = (self._fit, self._unrest, self._level, self._age, self._looks, self._unsettled)
        return packed_state(self._spec, self._columns, self._held, self._sums, self._Ct, self._gram_C, numbers)

    @classmethod
    def restore(
        cls, state: Mapping[str, NDArray[Any]], *, clock: Callable[[], float] = time.perf_counter
    ) -> Factorizer:
        """Return a Factorizer that goes on exactly as the one whose `state` this is.

        Raises FactorError, MatrixError or ParameterError if an array is missing, misshapen or holds what it
        can't; `state` may come from outside, such as `numpy.load(file, allow_pickle=False)`.
        """
        parts = unpacked_state(state, StreamSpec)
        self = cls(parts.Ct.shape[1], parts.spec, clock=clock)
        self._columns, self._held, self._sums = parts.columns, parts.held, parts.sums
        self._Ct, self._gram_C = parts.Ct, parts.patterns_gram
        self._fit, self._unrest, self._level, self._age, self._looks, self._unsettled = parts.numbers
        return self

    def _slots(self, name: str, keys: Keys) -> Keys:
        if not len(keys):
            return keys
        slots = np.array(self._held.find(keys.tolist()), np.int64)
        unknown = np.flatnonzero(slots < 0)
        if len(unknown):
            raise MatrixError(f"{name}[{unknown[0]}] is {keys[unknown[0]]}: no row with this key is held")
        return slots

    def _carry(self, columns: Keys) -> None:
        """Take over a new window's columns with what is known of them."""
        if not np.array_equal(columns, self._columns):
            known = _places(columns, self._columns)
            Ct = np.zeros((len(columns), self._rank))
            Ct[known >= 0] = self._Ct[known[known >= 0]]
            self._Ct, self._columns = Ct, columns
            self._gram_C = Ct.T @ Ct
        self._sums = Sums(len(columns), self._rank)

    def _blank(self, rows: int) -> Floats:
        """Return zeros for the memberships of a new window, in the memory of the last one if it fits."""
        last = self._held.memberships
        if len(last) != rows:
            return np.zeros((rows, self._rank))
        last[:] = 0.0
        return last

    def _aligned(self, rows: Rows) -> NDArray[np.int32]:
        """Return the entries' columns in the numbering that is held; append those that are new."""
        if not len(rows.indices) or np.array_equal(rows.columns, self._columns):
            return rows.indices
        used, inverse = np.unique(rows.indices, return_inverse=True)
        places = _places(rows.columns[used], self._columns)
        new = rows.columns[used[places < 0]]
        places[places < 0] = len(self._columns) + np.arange(len(new))
        if len(new):
            self._columns = np.concatenate([self._columns, new])
            self._Ct = np.concatenate([self._Ct, np.zeros((len(new), self._rank))])
            self._sums.widen(len(new))
        return places[inverse].astype(np.int32)

    def _exchange(self, changed: Rows, indices: NDArray[np.int32], gone: Keys, leaving: Keys) -> bool:
        """Exchange rows and their share of the sums, and move C; return whether that took a whole pass."""
        known = np.array(self._held.find(changed.keys.tolist()), np.int64)
        old = np.concatenate([leaving, known[known >= 0]])
        touched = distinct(self._held.columns_of(old), indices, np.zeros(len(self._columns), np.bool_))
        self._fit -= inner(self._Ct[touched], self._sums.cross[touched])
        self._sums.withdraw(self._held, old)
        if len(gone):
            self._held.remove(gone.tolist())
            known = np.array(self._held.find(changed.keys.tolist()), np.int64)
        slots = self._held.put(changed, indices, known)
        self._sums.solve(self._held, slots, self._Ct, self._gram_C, self._spec.sweeps)
        self._unsettled += len(gone) + len(changed)
        self._sums.changed += len(gone) + len(changed)
        if self._sums.worn(self._spec.refresh * self._held.count):
            self._pass()
            return True
        if self._unsettled >= self._spec.settle * self._held.count:
            self._settle()
        else:
            self._move_patterns(touched)
        return False

    def _passes(self) -> bool:
        """Pass over all rows until C is calm; return whether it moved far more than it lately did."""
        known = bool(self._gram_C.any())
        first = fall = self._pass()
        for _ in range(1, self._spec.passes):
            if fall <= self._spec.tolerance:
                break
            fall = self._pass()
        restless = known and first > max(self._spec.unrest * self._unrest, self._spec.tolerance)
        if known and not restless:
            kept = self._spec.memory if math.isfinite(self._unrest) else 0.0
            self._unrest = first if kept == 0 else kept * self._unrest + (1 - kept) * first
        return restless

    def _pass(self) -> float:
        """Move all memberships, then all of C; return by what share moving C has lowered the error.

        The sums are computed afresh on the way.
        """
        self._sums = Sums(len(self._columns), self._rank)
        self._sums.solve(self._held, self._held.every(), self._Ct, self._gram_C, self._spec.sweeps)
        self._fit = inner(self._Ct, self._sums.cross)
        before = self._error()
        self._settle()
        return before / max(self._error(), ROUNDING) - 1 if before < math.inf else 0.0

    def _settle(self) -> None:
        moved = hals_sweeps(self._Ct, self._sums.cross, self._sums.gram, self._spec.sweeps, LEAST)
        self._Ct = np.asarray(moved, np.float64)
        self._gram_C = self._Ct.T @ self._Ct
        self._fit = inner(self._Ct, self._sums.cross)
        self._unsettled = 0

    def _move_patterns(self, touched: NDArray[np.int32]) -> None:
        """Move C in the columns whose sums have changed most, which are not in `_fit`."""
        old, cross = self._Ct[touched], self._sums.cross[touched]
        new = hals_sweeps(old, cross, self._sums.gram, self._spec.sweeps, LEAST)
        self._Ct[touched] = new
        self._gram_C += new.T @ new - old.T @ old
        self._fit += inner(new, cross)

    def _respawn(self) -> int | None:
        """Begin a dead component anew at the column with most residual energy, and make a pass."""
        alive = self._gram_C.diagonal() * self._sums.gram.diagonal() > LEAST
        # Where all are dead there is nothing to compare with: the cold look that is due does better.
        if alive.all() or not alive.any() or self._error() <= ROUNDING:
            return None
        column = int(np.argmax(self._residual_energy()))
        component = int(np.argmin(alive))
        self._Ct[:, component] = self._residual_pattern(column)
        self._held.memberships[:, component] = 0.0
        self._gram_C = self._Ct.T @ self._Ct
        self._pass()
        return component

    def _residual_energy(self) -> Floats:
        """Return ‖x_j − D c_j‖² for each column, of length m."""
        _, indices, data = self._held.packed()
        energy = np.bincount(indices, data * data, minlength=len(self._columns))
        fitted = (self._Ct * (2 * self._sums.cross - self._Ct @ self._sums.gram)).sum(axis=1)
        return np.asarray(energy - fitted)

    def _residual_pattern(self, column: int) -> Floats:
        """Return the unit sum of the rows with more in this column than is explained, weighted by how much more."""
        X = self._held.csr(len(self._columns))
        missing = np.maximum(X[:, [column]].toarray()[:, 0] - self._held.memberships @ self._Ct[column], 0)
        pattern = X.T @ missing
        return np.asarray(pattern / max(float(np.linalg.norm(pattern)), LEAST))

    def _error(self) -> float:
        return self._sums.relative_error(self._fit, self._gram_C)

    def _step(
        self, began: float, respawned: int | None, windows: float, *, whole: bool, restless: bool = False
    ) -> Step:
        """Look cold if the error asks for it or the time has come; account for the step."""
        error = self._error()
        self._age += windows
        alarming = not error <= min(self._spec.alarm * self._level + ROUNDING, LARGEST_ERROR)
        cold = False
        if alarming or restless or self._age >= self._spec.cold_every:
            cold = self._look_cold(error)
            error = self._error()
            self._level = error
        else:
            kept = self._spec.memory**windows
            self._level = kept * self._level + (1 - kept) * error
        moved = whole or cold or respawned is not None
        return Step(error, cold, moved, respawned, self._clock() - began)

    def _look_cold(self, error: float) -> bool:
        """Factorise what is held from scratch; keep it and return True if that is clearly better."""
        X = self._held.csr(len(self._columns))
        if X.data.max(initial=0) < LARGEST[np.dtype(np.float64)][0]:
            return False
        rank = min(self._rank, *X.shape)
        solution = factorize(
            X,
            rank,
            rule=Hals(self._spec.sweeps),
            start=Nndsvd(self._spec.seed + self._looks),
            stop=Stop(self._spec.cold_iterations),
        )
        self._looks += 1
        self._age = 0.0
        if not solution.error < (1 - self._spec.cold_gain) * error:
            return False
        self._adopt(solution.factors)
        return True

    def _adopt(self, factors: Factors) -> None:
        D = np.zeros((self._held.count, self._rank))
        self._Ct = np.zeros((len(self._columns), self._rank))
        D[:, : factors.rank], self._Ct[:, : factors.rank] = factors.D, factors.C.T
        self._held.memberships[:] = D
        self._gram_C = self._Ct.T @ self._Ct
        self._sums.compute_afresh(self._held)
        self._fit = inner(self._Ct, self._sums.cross)
        self._unsettled = 0


def _no_rows() -> Rows:
    none = np.empty(0, np.int64)
    return Rows(none, np.empty((0, 0)), none)


def _places(keys: Keys, among: Keys) -> Keys:
    """Return where each key stands in `among`, −1 where it does not."""
    if not len(among):
        return np.full(len(keys), -1, np.int64)
    order = np.argsort(among, kind="stable")
    places = order[np.minimum(np.searchsorted(among, keys, sorter=order), len(among) - 1)]
    return np.where(among[places] == keys, places, -1)


def _check_apart(gone: Keys, changed: Keys) -> None:
    both = np.intersect1d(gone, changed) if len(gone) and len(changed) else gone[:0]
    if len(both):
        raise MatrixError(f"row {both[0]} is both changed and vanished: name it once")
