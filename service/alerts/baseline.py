"""What past windows lead to expect of each counter: weighted sums of days, and the means that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.tails import CountFit, common_dispersion, fit_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from service.alerts.surge import Counted

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Σx and Σx² of the counters of some windows, by ascending number; and how many windows that were."""

    windows: float
    ids: Ints
    total: Floats
    squares: Floats


def summed(parts: Sequence[Counted]) -> Sums:
    """Return the sums over windows."""
    ids, place = _numbered([part.ids for part in parts])
    counts = np.concatenate([np.empty(0), *(part.counts for part in parts)])
    n = len(ids)
    return Sums(
        float(len(parts)),
        ids,
        np.bincount(place, counts, minlength=n).astype(np.float64),
        np.bincount(place, counts**2, minlength=n).astype(np.float64),
    )


def weighted(parts: Sequence[Sums], weights: Sequence[float]) -> Sums:
    """Return the sum of sums, each times its weight."""
    ids, place = _numbered([part.ids for part in parts])
    each = np.repeat(np.asarray(weights, np.float64), [len(part.ids) for part in parts])
    total = np.concatenate([np.empty(0), *(part.total for part in parts)])
    squares = np.concatenate([np.empty(0), *(part.squares for part in parts)])
    n = len(ids)
    return Sums(
        float(sum(weight * part.windows for weight, part in zip(weights, parts, strict=True))),
        ids,
        np.bincount(place, each * total, minlength=n).astype(np.float64),
        np.bincount(place, each * squares, minlength=n).astype(np.float64),
    )


def added(many: Sums, few: Sums) -> Sums:
    """Return the sum of two sums; sooner than `weighted` where one is much the smaller."""
    place = np.searchsorted(many.ids, few.ids)
    known = np.zeros(len(few.ids), np.bool_)
    inside = place < len(many.ids)
    known[inside] = many.ids[place[inside]] == few.ids[inside]
    total, squares = many.total.copy(), many.squares.copy()
    total[place[known]] += few.total[known]
    squares[place[known]] += few.squares[known]
    new, at = ~known, place[~known]
    return Sums(
        many.windows + few.windows,
        np.insert(many.ids, at, few.ids[new]),
        np.insert(total, at, few.total[new]),
        np.insert(squares, at, few.squares[new]),
    )


def _numbered(ids: Sequence[Ints]) -> tuple[Ints, Ints]:
    joined = np.concatenate([np.empty(0, np.int64), *ids])
    found, place = np.unique(joined, return_inverse=True)
    return found, place


class Baseline:
    """Means and dispersions of all counters, for windows at one hour of the day.

    `hour` holds the sums over the windows of that hour alone, `share` how busy the hour is as a multiple of the
    mean, and `prior` the windows that all hours' mean counts for beside the hour's own.
    """

    def __init__(self, whole: Sums, hour: Sums, share: float, prior: float) -> None:
        self._whole = whole
        self._hour = hour
        self._share = share
        self._prior = prior
        self._dispersion = common_dispersion(whole.windows, whole.total, whole.squares)

    @property
    def windows(self) -> float:
        """Windows that this rests on, by weight."""
        return self._whole.windows

    def fit(self, ids: Ints) -> CountFit:
        """Return the distributions of the next counts of some counters.

        The mean of an hour of the day is drawn to that of all hours, times what all services do at that hour.
        """
        total, squares = _of(self._whole, ids)
        fit = fit_counts(self._whole.windows, total, squares, self._dispersion)
        now, _ = _of(self._hour, ids)
        mean = (now + self._prior * self._share * fit.mean) / (self._hour.windows + self._prior)
        return CountFit(np.asarray(mean), fit.size)


def _of(sums: Sums, ids: Ints) -> tuple[Floats, Floats]:
    """Return Σx and Σx² of some counters; 0 where they never counted anything."""
    if not len(sums.ids):
        return np.zeros(len(ids)), np.zeros(len(ids))
    place = np.minimum(np.searchsorted(sums.ids, ids), len(sums.ids) - 1)
    known = sums.ids[place] == ids
    return np.where(known, sums.total[place], 0.0), np.where(known, sums.squares[place], 0.0)
