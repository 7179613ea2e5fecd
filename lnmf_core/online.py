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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.errors import MatrixError, RankError, whole_number
from lnmf_core.factors import Factors
from lnmf_core.matrix import LARGEST
from lnmf_core.online_bytes import arrays_of, bytes_of
from lnmf_core.online_spec import Step, StreamSpec
from lnmf_core.online_state import packed_state, unpacked_state
from lnmf_core.rows import Keys, Rows, distinct_keys
from lnmf_core.solve import factorize
from lnmf_core.start import Nndsvd
from lnmf_core.stopping import Stop
from lnmf_core.tracking import ROUNDING, Tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Floats = NDArray[np.float64]

LARGEST_ERROR = float(np.finfo(np.float64).max)
"""Above is only infinity, the error of factors that overflow."""
CALM = 1e-3
"""C that lowers the error by less when it moves is never restless."""
REFRESHING, SETTLED = 24, 2e-6
"""When all rows are gone over between updates, C moves so often, at most, while the error falls by this share."""
NO_KEYS: Keys = np.empty(0, np.int64)


class Factorizer:
    """X ≈ D·C for rows that come, change and go, and columns that come; computed in float64.

    Equal input gives equal results, bit by bit, also across `state` and `restore`. Columns stay until the
    next whole window. Raises RankError unless `rank` is a whole number, 1 or more. It may exceed what a small
    window can fill: the components left over are zero until there is something for them to explain.
    """

    def __init__(
        self, rank: int, spec: StreamSpec | None = None, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._now = Tracking(whole_number("rank", rank, RankError))
        self._spec = StreamSpec() if spec is None else spec
        self._clock = clock
        self._unrest = math.inf
        """Share by which moving C lowers the error of a new window, recently."""
        self._level = math.inf
        """Of the error, recently."""
        self._wait = 1.0
        """Windows' worth of rows between the last cold look and the next, ..."""
        self._due = 0.0
        """... and those that are left of them: the first is due."""
        self._looks = 0

    @property
    def rank(self) -> int:
        """The number of components, k."""
        return self._now.rank

    @property
    def row_keys(self) -> Keys:
        """Keys of the rows of D, in their order."""
        return self._now.held.keys.copy()

    @property
    def column_keys(self) -> Keys:
        """Keys of the columns of C, in their order."""
        return self._now.columns.copy()

    def factors(self) -> Factors:
        """Return copies of D (n × k, in the order of `row_keys`) and C (k × m, in that of `column_keys`).

        Raises FactorError while there is no row or no column.
        """
        return Factors(self._now.held.memberships.copy(), self._now.patterns.copy().T)

    def memberships(self, keys: Keys) -> Floats:
        """Return the rows of D with these keys, r × k; raises MatrixError for a key that is not held."""
        wanted = distinct_keys("keys", keys)
        return self._now.held.memberships[self._slots("keys", wanted)]

    def window(self, rows: Rows) -> Step:
        """Replace all rows and columns; C stays warm by the keys of its columns, D is found from zero."""
        began = self._clock()
        self._now.begin(rows)
        restless = self._passes()
        return self._step(began, self._respawn(), 1.0, whole=True, restless=restless)

    def update(self, changed: Rows | None = None, vanished: Keys | None = None) -> Step:
        """Replace or add the rows `changed`, forget those with the keys `vanished`, and move C.

        Columns that are new and that `changed` has entries in are appended. The memberships of all other rows
        stay as they are, bit by bit, unless the step is `whole`. Raises MatrixError,
        before anything is changed, for a vanished key that is not held, or that is changed too.
        """
        began = self._clock()
        now, spec = self._now, self._spec
        changed = _no_rows() if changed is None else changed
        gone = NO_KEYS if vanished is None else distinct_keys("vanished", vanished)
        if len(gone):
            self._slots("vanished", gone)
            _check_apart(gone, changed.keys)
        if not now.held.count:
            return self.window(changed)
        now.exchange(changed, gone, spec.sweeps, spec.settle)
        held = now.held.count
        whole = now.sums.worn(spec.refresh * held)
        if whole:
            now.track(spec.sweeps, REFRESHING, SETTLED)
        respawned = None if now.unsettled else self._respawn()
        return self._step(began, respawned, (len(changed) + len(gone)) / max(held, 1), whole=whole)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything as plain arrays, fit for `numpy.savez` without pickle."""
        return packed_state(self._spec, self._now, (self._unrest, self._level, self._wait, self._due, self._looks))

    @classmethod
    def restore(
        cls, state: Mapping[str, NDArray[Any]], *, clock: Callable[[], float] = time.perf_counter
    ) -> Factorizer:
        """Return a Factorizer that goes on exactly as the one whose `state` this is.

        Raises FactorError, MatrixError or ParameterError if an array is missing, misshapen or holds what it
        can't; `state` may come from outside, such as `numpy.load(file, allow_pickle=False)`.
        """
        spec, now, numbers = unpacked_state(state, StreamSpec)
        self = cls(now.rank, spec, clock=clock)
        self._now = now
        self._unrest, self._level, self._wait, self._due, self._looks = numbers
        return self

    def to_bytes(self) -> bytes:
        """Return everything as bytes, in numpy's npz format; equal states give equal bytes."""
        return bytes_of(self.state())

    @classmethod
    def from_bytes(cls, data: bytes, *, clock: Callable[[], float] = time.perf_counter) -> Factorizer:
        """Return a Factorizer that goes on exactly as the one that `to_bytes` was called on.

        The bytes may come from outside: nothing is unpickled, and memory is bounded by their number. Raises
        FactorError if they are damaged or of another version, and what `restore` raises.
        """
        return cls.restore(arrays_of(data), clock=clock)

    def _slots(self, name: str, keys: Keys) -> Keys:
        slots = self._now.held.find(keys)
        unknown = np.flatnonzero(slots < 0)
        if len(unknown):
            raise MatrixError(f"{name}[{unknown[0]}] is {keys[unknown[0]]}: no row with this key is held")
        return slots

    def _passes(self) -> bool:
        """Track all rows until C is calm; return whether C moved far more than it lately did."""
        spec = self._spec
        first = self._now.track(spec.sweeps, spec.passes, spec.tolerance)
        if first > max(spec.unrest * self._unrest, CALM):
            return True
        if first > 0:
            known = math.isfinite(self._unrest)
            self._unrest = spec.memory * self._unrest + (1 - spec.memory) * first if known else first
        return False

    def _respawn(self) -> int | None:
        component = self._now.respawn()
        if component is not None:
            self._now.track(self._spec.sweeps, 1, self._spec.tolerance)
        return component

    def _step(
        self, began: float, respawned: int | None, windows: float, *, whole: bool, restless: bool = False
    ) -> Step:
        """Look cold if the error asks for it or the time has come; account for the step."""
        error = self._now.error()
        self._due -= windows
        alarming = not error <= min(self._spec.alarm * self._level + ROUNDING, LARGEST_ERROR)
        cold = False
        if alarming or restless or self._due <= 0:
            cold = self._look_cold(error, restless=restless)
            error = self._now.error()
            self._level = error
        else:
            kept = self._spec.memory**windows
            self._level = kept * self._level + (1 - kept) * error
        moved = whole or cold or respawned is not None
        return Step(error, cold, moved, respawned, self._clock() - began)

    def _look_cold(self, error: float, *, restless: bool) -> bool:
        """Factorise what is held from scratch; keep it and return True if that is clearly better."""
        X = self._now.held.csr(len(self._now.columns))
        if X.data.max(initial=0) < LARGEST[np.dtype(np.float64)][0]:
            return False
        # Updates go on from the first for long; where it ends too early, they stay behind.
        stop = Stop(self._spec.cold_iterations) if self._looks else Stop(2 * self._spec.cold_iterations, 1e-5)
        start = Nndsvd(self._spec.seed + self._looks)
        solution = factorize(X, min(self.rank, *X.shape), start=start, stop=stop)
        self._looks += 1
        better = solution.error < (1 - self._spec.cold_gain) * error
        # Where something has changed, or was found to be better, there may soon be something better still.
        if restless or not better:
            self._wait = 1.0 if restless else min(2 * self._wait, self._spec.cold_every)
        self._due = self._wait
        if better:
            self._now.adopt(solution.factors)
        return better


def _no_rows() -> Rows:
    return Rows(NO_KEYS, np.empty((0, 0)), NO_KEYS)


def _check_apart(gone: Keys, changed: Keys) -> None:
    both = np.intersect1d(gone, changed)
    if len(both):
        raise MatrixError(f"row {both[0]} is both changed and vanished: name it once")
