"""The attempts of an open window, by (source, target, service)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from service.capture.batch import AttemptBatch
from service.windows.budget import Budget, relieve, sample_ranks
from service.windows.counts import Shed
from service.windows.kernels import table as kernels
from service.windows.kernels.sorting import numbered

_SMALLEST = 1 << 10


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Distinct (source, target, service) of a window; all columns of length p, in no order."""

    source: NDArray[np.uint32]
    target: NDArray[np.uint32]
    service: NDArray[np.int32]
    tries: NDArray[np.int64]
    answered: NDArray[np.bool_]
    expired: NDArray[np.bool_]
    """The packet's time to live ran out on the way."""
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    halvings: NDArray[np.int8]
    """How often the sample of the source's pairs was halved; 0: all are here."""
    tools: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """`service.capture.tools.Marks` that all attempts of the pair have; left out, none has any."""
    empty: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    """Whether its only attempt became a connection in which the source said nothing; left out, none did."""

    def __post_init__(self) -> None:
        if not len(self.tools):
            object.__setattr__(self, "tools", np.zeros(len(self.source), np.uint8))
        if not len(self.empty):
            object.__setattr__(self, "empty", np.zeros(len(self.source), np.bool_))

    @classmethod
    def room(cls, n: int) -> Pairs:
        """Return n rows to be filled in, with all of the pairs of their sources."""
        return cls(
            source=np.empty(n, np.uint32),
            target=np.empty(n, np.uint32),
            service=np.empty(n, np.int32),
            tries=np.empty(n, np.int64),
            answered=np.empty(n, np.bool_),
            expired=np.empty(n, np.bool_),
            first=np.empty(n, np.int64),
            last=np.empty(n, np.int64),
            halvings=np.zeros(n, np.int8),
            tools=np.empty(n, np.uint8),
            empty=np.empty(n, np.bool_),
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked for in a window that is still open."""

    before: int
    """Time of the look before, ns since the epoch."""
    patience: int = 3_000_000_000
    """ns after which a target that has not answered is taken to be silent."""
    least: int = 5
    """Pairs of a source below which nothing could be said of it."""


class PairTable:
    """Counts exactly up to `budget.pairs` pairs; beyond, it keeps what speaks most for a scan, see `budget`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._places = np.zeros(_SMALLEST, dtype=np.int64)
        self._rows = np.empty((_rows(_SMALLEST, budget), 4), dtype=np.int64)
        self._used = 0
        self._heavy = np.zeros((1, 2), dtype=np.int64)
        self._sampled: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._halvings: NDArray[np.int64] = np.empty(0, np.int64)
        self._packed = False
        self.shed = Shed()

    def __len__(self) -> int:
        return self._used

    def add(self, attempts: AttemptBatch) -> None:
        """Count attempts and their outcomes."""
        self._unpack()
        at = 0
        while at < len(attempts):
            at, self._used, sampled, _ = kernels.count(
                at,
                attempts.time,
                attempts.source,
                attempts.target,
                attempts.service,
                attempts.outcome,
                attempts.tools,
                self._places,
                self._rows,
                self._used,
                self._budget.pairs,
                self._heavy,
            )
            if sampled:
                self.shed += Shed(sampled=sampled)
            if at < len(attempts):
                self._make_room()

    def merge(self, other: PairTable) -> None:
        """Add what another window counted, and what it shed."""
        self._unpack()
        self.shed += other.shed
        self._sample_as(other)
        self._make_place(self._used + len(other))
        others = other._rows[: len(other)]
        at = 0
        while at < len(others):
            at, self._used, sampled = kernels.merge(
                at, others, self._places, self._rows, self._used, self._budget.pairs, self._heavy
            )
            if sampled:
                self.shed += Shed(sampled=sampled)
            if at < len(others):
                self._make_room()

    def within(self, budget: Budget) -> PairTable:
        """Return this table if it is within a budget, which it keeps to from now on, or one that is."""
        if self._used <= budget.pairs:
            self._budget = budget
            if not self._packed and len(self._rows) < _rows(len(self._places), budget):
                self._rows = self._with_room(self._rows[: self._used])
            return self
        smaller = PairTable(budget)
        smaller.merge(self)
        return smaller

    def copy(self) -> PairTable:
        """Return a table that holds the same."""
        other = PairTable(self._budget)
        other.merge(self)
        return other

    def pack(self) -> None:
        """Take no more memory than the pairs need, until more are added."""
        if not self._packed:
            self._rows, self._places = self._rows[: self._used].copy(), np.empty(0, np.int64)
            self._packed = True

    def _unpack(self) -> None:
        if self._packed:
            self._rebuild(self._rows, min(max(_SMALLEST, _room(self._used)), _places(self._budget)))
            self._packed = False

    def pairs(self) -> Pairs:
        """Return what was counted."""
        return self._pairs(self._rows[: self._used])

    def suspects(self, now: int, look: Look) -> Pairs:
        """Return the pairs of sources that have some, all of which are decided, and one since the last look.

        `now` is in ns since the epoch. A pair is decided when the target said yes or no, or was silent for
        `look.patience`.
        """
        rows = self._rows[: self._used]
        last = rows[:, kernels.LAST]
        told = rows[:, kernels.COUNTS] & (kernels.ANSWERED | kernels.EXPIRED | kernels.REFUSED)
        rows = rows[(told != 0) | (last <= now - look.patience)]
        sources, source = numbered((rows[:, kernels.ENDS].view(np.uint64) >> np.uint64(32)).astype(np.uint32))
        fresh = rows[:, kernels.LAST] > look.before - look.patience
        wanted = np.bincount(source, minlength=len(sources)) >= look.least
        wanted &= np.bincount(source[fresh], minlength=len(sources)) > 0
        return self._pairs(rows[wanted[source]])

    def _pairs(self, rows: NDArray[np.int64]) -> Pairs:
        pairs = Pairs.room(len(rows))
        kernels.columns(
            rows,
            pairs.source,
            pairs.target,
            pairs.service,
            pairs.tries,
            pairs.answered,
            pairs.expired,
            pairs.first,
            pairs.last,
            pairs.tools,
            pairs.empty,
        )
        return replace(pairs, halvings=self._halvings_of(pairs.source)) if len(self._sampled) else pairs

    def _listed(self) -> NDArray[np.int64]:
        places = np.empty(self._used, np.int64)
        kernels.listed(self._rows, places)
        return places

    def _halvings_of(self, source: NDArray[np.uint32]) -> NDArray[np.int8]:
        found = np.zeros(len(source), np.int8)
        if len(self._sampled):
            kernels.halvings_of(self._heavy, source, found)
        return found

    def _make_room(self) -> None:
        if self._used == self._budget.pairs:
            self._relieve()
        else:
            self._make_place(2 * len(self._places) - 1)

    def _make_place(self, pairs: int) -> None:
        """Have a table that is at most half full with so many pairs, or with all that the budget allows."""
        count = min(1 << (2 * pairs).bit_length(), _places(self._budget))
        if count > len(self._places):
            larger = np.zeros(count, dtype=np.int64)
            kernels.move(self._places, larger)
            self._places = larger
            self._rows = self._with_room(self._rows[: self._used])

    def _with_room(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows with room for as many as the places allow."""
        roomy = np.empty((_rows(len(self._places), self._budget), 4), np.int64)
        roomy[: len(rows)] = rows
        return roomy

    def _relieve(self) -> None:
        """Free half of the places, and account for what was in them."""
        pairs = self.pairs()
        relief = relieve(pairs, self._budget)
        gone = pairs.tries[~(relief.kept | relief.thinned)]
        thinned = pairs.tries[relief.thinned]
        self.shed += Shed(relief.dropped, len(gone), int(gone.sum()), sampled=int(thinned.sum()))
        heavy = relief.halvings > 0
        self._sample(relief.sources[heavy], relief.halvings[heavy])
        self._keep(relief.kept)

    def _sample_as(self, other: PairTable) -> None:
        """Halve the samples of sources as often as another window has halved them."""
        if (self._halvings_of(other._sampled) >= other._halvings).all():
            return
        sources = np.union1d(self._sampled, other._sampled)
        self._sample(sources, np.maximum(self._halvings_of(sources), other._halvings_of(sources)))
        pairs = self.pairs()
        kept = sample_ranks(pairs) >= pairs.halvings
        self.shed += Shed(sampled=int(pairs.tries[~kept].sum()))
        self._keep(kept)

    def _sample(self, sources: NDArray[np.uint32], halvings: NDArray[np.int64]) -> None:
        """Keep only samples of these sources, ascending, from now on."""
        self._sampled, self._halvings = sources, halvings.astype(np.int64)
        self._heavy = np.zeros((_room(len(sources)), 2), dtype=np.int64)
        kernels.remember(self._sampled, self._halvings, self._heavy)

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        """Keep some of the pairs, in the same memory."""
        left = self._rows[: self._used][kept]
        self._used = len(left)
        self._rows[: self._used] = left
        self._places[:] = 0
        kernels.move(self._listed(), self._places)

    def _rebuild(self, rows: NDArray[np.int64], places: int) -> None:
        self._places = np.zeros(places, dtype=np.int64)
        self._rows, self._used = self._with_room(rows), len(rows)
        kernels.move(self._listed(), self._places)


def _places(budget: Budget) -> int:
    """Return the size of a table that has room for the budget's pairs, and is at most half full."""
    return max(_SMALLEST, 1 << (2 * budget.pairs - 1).bit_length())


def _rows(places: int, budget: Budget) -> int:
    """Return the most rows that a table of so many places holds before it has to grow."""
    return min(places // 2 + 1, budget.pairs)


def _room(sources: int) -> int:
    """Return the size of a table of sources that is at most half full."""
    return 1 << (2 * sources).bit_length() if sources else 1
