"""The overload contract: what a window may hold, and what goes first when it is full.

A window holds at most `Budget.pairs` distinct (source, target, service). When they are used up, half of them are
freed. What speaks for a scan is unanswered pairs, so:

1. sources with least such evidence are dropped, as many rungs up as it takes, but none that is about to be named;
2. of sources with very many pairs a sample is kept, chosen by hash, and halved as often as it takes: a sweep of a
   million targets is seen as well in a thousand of them. Such counts are estimates, and marked;
3. if all of that is not enough, since more sources scan than there is room for, some are kept, chosen by hash.

Everything dropped is counted (`service.windows.counts.Shed`). A source that was dropped may come back; it begins
anew, so that a scanner is seen as long as it tries a few pairs between one relief and the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from service.capture.services import Means, means
from service.windows.counts import ServiceCounts, SourceTotals
from service.windows.kernels import table as kernels
from service.windows.kernels.sorting import numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.windows.pairs import Pairs

    Ints = NDArray[np.int64]

MOST_HALVINGS = 40
MOST_SERVICES = 1 << 17
"""Ports of TCP and UDP together."""

_LADDER: tuple[tuple[int, int | None], ...] = (
    (0, None),
    (1, None),
    (2, None),
    (4, None),
    (4, 8192),
    (4, 2048),
    (9, 2048),
    (9, 512),
    (9, 128),
)
"""Evidence up to which sources are dropped, and the most pairs that are kept of one source.

From 10 unanswered pairs on a source may be named (`service.alerts.threshold`), and a sample of 128 pairs is still
far above every threshold."""


_SMALLEST_SAMPLE = min(most for _, most in _LADDER if most is not None)
_SERIOUS = 3
"""Of sources with so much evidence as many stay as there is room for, chosen by hash."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one window may hold. Raises ValueError if `pairs` is below 2."""

    pairs: int = 1 << 17
    """Most distinct (source, target, service); so many sources too, at most."""

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs: {self.pairs} is less than 2")

    @property
    def bytes(self) -> int:
        """Memory of a window's table when it is full: 32 bytes a pair, and 8 for each of at most four places."""
        return (32 + 4 * 8) * self.pairs


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """What is kept of a full window."""

    kept: NDArray[np.bool_]
    """Of each pair, length p."""
    thinned: NDArray[np.bool_]
    """Pairs that go although something of their source stays, length p."""
    sources: NDArray[np.uint32]
    """The sources that are left, ascending, length s."""
    halvings: Ints
    """How often the sample of each has been halved, length s."""
    dropped: int
    """Sources of which nothing is left."""


def relieve(pairs: Pairs, budget: Budget) -> Relief:
    """Choose at most half of the budget among p pairs."""
    sources, owner = numbered(pairs.source)
    sizes = np.bincount(owner, minlength=len(sources))
    before = np.zeros(len(sources), np.int64)
    before[owner] = pairs.halvings
    evidence = np.bincount(owner[~(pairs.answered | pairs.expired)], minlength=len(sources))
    goal = budget.pairs // 2
    halvings, kept, left = before, np.ones(len(owner), np.bool_), sizes
    samples: _Samples | None = None
    for spare, most in _LADDER:
        stays = evidence > spare
        if most is not None and left[stays].sum() > goal:
            samples = samples or _Samples(owner, sizes, sample_ranks(pairs))
            halvings = np.maximum(before, samples.halvings(most))
            kept, left = samples.kept(halvings)
        if left[stays].sum() <= goal:
            break
    else:
        stays &= _lucky(sources, np.where(stays, left, 0), goal)
    if spare >= _SERIOUS:
        # Of so many sources with so much evidence, some are better than none.
        spare_room = goal - int(left[stays].sum())
        others = np.where(stays | (evidence < _SERIOUS), 0, left)
        stays |= _lucky(sources, others, spare_room) & (evidence >= _SERIOUS)
    mine = stays[owner]
    return Relief(kept & mine, mine & ~kept, sources[stays], halvings[stays], int(len(sources) - stays.sum()))


def sample_ranks(pairs: Pairs) -> Ints:
    """Return how many trailing zeros the hash of each (target, service) has.

    Of a sample that was halved h times those with at least h are left.
    """
    zeros = np.empty(len(pairs.source), np.int64)
    kernels.trailing_zeros(pairs.target, pairs.service, zeros)
    return zeros


class _Samples:
    """How many pairs of each source would be left, however often its sample is halved."""

    def __init__(self, owner: Ints, sizes: NDArray[np.intp], zeros: Ints) -> None:
        self._owner, self._sizes, self._zeros = owner, sizes, zeros
        self._heavy = np.flatnonzero(sizes > _SMALLEST_SAMPLE)
        place = np.full(len(sizes), -1, np.int64)
        place[self._heavy] = np.arange(len(self._heavy))
        counts = np.zeros((len(self._heavy), MOST_HALVINGS + 1), np.int64)
        kernels.count_zeros(owner, zeros, place, counts)
        self._left = counts[:, ::-1].cumsum(axis=1)[:, ::-1]

    def halvings(self, most: int) -> Ints:
        """Return how often the sample of each source has to be halved for at most `most` pairs to be left."""
        found = np.zeros(len(self._sizes), np.int64)
        few = self._left <= most
        found[self._heavy] = np.where(few.any(axis=1), few.argmax(axis=1), MOST_HALVINGS)
        return found

    def kept(self, halvings: Ints) -> tuple[NDArray[np.bool_], Ints]:
        """Return which pairs are left after so many halvings, and how many of each source."""
        kept = np.empty(len(self._owner), np.bool_)
        left = np.zeros(len(self._sizes), np.int64)
        kernels.count_kept(self._owner, self._zeros, halvings, kept, left)
        return kept, left


def scaled_up(
    rows: ServiceCounts, totals: SourceTotals, halvings: NDArray[np.int8]
) -> tuple[ServiceCounts, SourceTotals]:
    """Return the counts that the samples of n sources stand for.

    A pair of a source is kept with probability p = 2⁻ʰ. If each of its services has r pairs, one is seen at all
    with probability 1 − (1 − p)ʳ, and then shows r·p / (1 − (1 − p)ʳ) pairs on average: what is shown tells r,
    and each row is multiplied by r over that average. So a service of which one pair in a thousand is kept
    counts a thousandfold if all that is known is this service, and once if it is one of many with one pair each.
    The same holds for targets in the place of services.
    """
    p = np.exp2(-halvings.astype(np.float64))
    group = rows.source.astype(np.int64) * len(Means) + means(rows.service)
    many = len(Means) * len(halvings)
    seen = np.maximum(np.bincount(group, minlength=many), 1)
    pairs = np.bincount(group, rows.targets, minlength=many)
    of_group = _growth(pairs / seen, np.repeat(p, len(Means)))
    times = of_group[group]
    rows = replace(
        rows,
        attempts=_times(rows.attempts, times),
        targets=_times(rows.targets, times),
        answered=_times(rows.answered, times),
        probed=_times(rows.probed, times),
        dark=_times(rows.dark, times),
    )
    ports = slice(Means.PORTS, None, len(Means))
    of_targets = _growth(pairs[ports] / np.maximum(totals.targets, 1), p)
    return rows, SourceTotals(
        # r·p / shown is the probability that a target is seen.
        targets=_times(totals.targets, 1 / np.minimum(of_targets * p, 1.0)),
        most_services=np.minimum(_at_least(totals.most_services, of_targets), MOST_SERVICES),
        most_unanswered=np.minimum(_at_least(totals.most_unanswered, of_targets), MOST_SERVICES),
        most_targets=_at_least(totals.most_targets, of_group[ports]),
    )


def _at_least(counts: Ints, factor: NDArray[np.float64]) -> Ints:
    """Scale the largest of many counts, which is large by chance too: two standard deviations less of it."""
    return np.maximum(_times(np.maximum(counts - 2 * np.sqrt(counts), 0.0), factor), counts)


def _times(counts: Ints | NDArray[np.float64], factor: NDArray[np.float64]) -> Ints:
    return np.rint(counts * factor).astype(np.int64)


def _growth(shown: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return r / shown for the r ≥ 1 with r·p / (1 − (1 − p)ʳ) = shown, by bisection; 1 where p is 1."""
    sampled = p < 1
    shown, log_lost = np.where(sampled, np.maximum(shown, 1.0), 1.0), np.log1p(-np.where(sampled, p, 0.5))
    low, high = np.ones_like(shown), 2 * shown / p
    for _ in range(64):
        middle = (low + high) / 2
        above = middle * p > -shown * np.expm1(middle * log_lost)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.where(sampled, low / shown, 1.0)


def _lucky(sources: NDArray[np.uint32], sizes: NDArray[np.intp], goal: int) -> NDArray[np.bool_]:
    """Choose sources by hash, as many as have at most `goal` pairs together."""
    rank = (sources.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    order = np.argsort(rank, kind="stable")
    fits = np.zeros(len(sources), np.bool_)
    fits[order] = sizes[order].cumsum() <= goal
    return fits
