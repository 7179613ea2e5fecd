"""How unlikely a count or a score is, and which score a budget of false alarms allows.

Counts have negative binomial tails; scores have the tail that their own past has (peaks over threshold).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

HIGHEST_SCORE = 300.0
"""Scores end here: smaller probabilities are no float64."""

_PRIOR = 0.25
"""Sources that a service is taken to have had, before any window told of it, in ..."""
_PRIOR_WINDOWS = 0.25
"""... so many windows: a Gamma prior of the mean with shape 1/4, under which most services have next to none."""
_DISPERSION_WINDOWS = 10.0
"""Windows that the common dispersion counts for, beside a counter's own."""
_FEW_PEAKS = 10
_LEAST_DAYS = 1 / 1440
"""A shorter history has no rates a day: a minute."""
_LARGEST_SHAPE = 1.0
_SMALLEST_SHAPE = 0.0
_DEFAULT_DAYS = 2.0
"""Days of history after which the fitted tail counts as much as the default one."""
_DEFAULT_TRUST = 2 / 3
"""Share of a score that the default tail believes after many days, ..."""
_HALF_TRUSTED = 0.5
"""... of which it believes half after so many."""


@dataclass(frozen=True, slots=True, eq=False)
class CountFit:
    """Negative binomials, one for each counter; all of shape (n,)."""

    mean: Floats
    """Expected count."""
    size: Floats
    """The variance is mean + mean² / size."""

    @property
    def spread(self) -> Floats:
        """Standard deviation."""
        return np.asarray(np.sqrt(self.mean + self.mean**2 / self.size))


def fit_counts(windows: float, total: Floats, squares: Floats, dispersion: float) -> CountFit:
    """Fit counts x of which `windows` windows are known, by Σx and Σx² (windows may be weighted).

    The mean has a Gamma prior, so that what follows is the predictive distribution of the next count (Gelman et
    al., Bayesian Data Analysis, 2.6): its 1/size is the dispersion and, besides, the doubt about the mean. The
    dispersion comes from moments, (Σ(x − m)² − n m) / (n m²), and is drawn to the common one, most so where
    counts are small and tell little of it.
    """
    mean = (total + _PRIOR) / (windows + _PRIOR_WINDOWS)
    plain = total / max(windows, 1.0)
    excess = np.maximum(squares - total * plain - total, 0.0)
    weight = _DISPERSION_WINDOWS * (1 + 1 / mean)
    own = (excess / mean**2 + weight * dispersion) / (windows + weight)
    return CountFit(mean=mean, size=1 / (own + 1 / (total + _PRIOR)))


def common_dispersion(windows: float, total: Floats, squares: Floats) -> float:
    """Return the median dispersion of counters that count a source every other window, or 0.2."""
    plain = total / max(windows, 1.0)
    often = plain >= 0.5
    if windows < 2 or not often.any():
        return 0.2
    own = (squares[often] - total[often] * plain[often] - total[often]) / (windows * plain[often] ** 2)
    return float(np.clip(np.median(own), 0.0, 2.0))


def surprise(counts: Ints, fit: CountFit) -> Floats:
    """Return −log₁₀ P(X ≥ count), at most `HIGHEST_SCORE`; 0 for a count of 0.

    P(X ≥ k) = I_q(k, size) with q = mean / (mean + size) (Johnson, Kemp & Kotz, Univariate Discrete
    Distributions, 5.6).
    """
    k = np.maximum(counts, 1).astype(np.float64)
    tail = betainc(k, fit.size, fit.mean / (fit.mean + fit.size))
    score = -np.log10(np.maximum(tail, 10.0**-HIGHEST_SCORE))
    return np.where(counts > 0, np.maximum(score, 0.0), 0.0)


@dataclass(frozen=True, slots=True)
class ScoreTail:
    """How often a day scores were reached, and will be."""

    threshold: float
    """Scores above are fitted."""
    rate: float
    """Of such scores, a day."""
    scale: float
    shape: float
    days: float
    """Of history."""
    tests: float
    """Independent trials a day, for the default: chances to see a score by accident."""

    def expected(self, score: float) -> float:
        """Return how many scores so high are expected a day.

        Above the threshold u, rate · (1 + ξ (s − u) / σ)^(−1/ξ) (Pickands 1975; Coles 2001, 4.2). A default, which
        believes only a part of a score, for no model is right in its tail, and nothing of it in the first minute,
        decides at first; after two days of history it has half of the weight, and then ever less.
        """
        trust = _DEFAULT_TRUST * self.days / (self.days + _HALF_TRUSTED)
        default = self.tests * 10 ** (-trust * score)
        weight = 1 / (1 + (self.days / _DEFAULT_DAYS) ** 2)
        return (1 - weight) * self._fitted(score) + weight * default

    def _fitted(self, score: float) -> float:
        if self.rate == 0.0 or score <= self.threshold:
            return self.rate
        excess = (score - self.threshold) / self.scale
        if self.shape < 1e-6:
            return float(self.rate * np.exp(-excess))
        return float(self.rate * (1 + self.shape * excess) ** (-1 / self.shape))

    def score_at(self, budget: float) -> float:
        """Return the least score of which at most `budget` are expected a day, within 0.01; infinity if none is."""
        low, high = self.threshold, HIGHEST_SCORE
        if budget <= 0 or self.expected(high) > budget:
            return math.inf
        while high - low > 0.01:
            middle = (low + high) / 2
            low, high = (low, middle) if self.expected(middle) <= budget else (middle, high)
        return high


def fit_scores(scores: Floats, days: float, budget: float, tests: float) -> ScoreTail:
    """Fit a generalised Pareto tail to the peaks of a score's past, those above the next one below them.

    `scores` are one for each incident, without those below some floor. As many are fitted as are four times the
    `budget` a day, but at least ten. Probability-weighted moments (Hosking & Wallis 1987, eq. 9): better than
    likelihood for so few. The shape is held between 0 and 1: tails of traffic do not end. Fewer than three scores,
    or less than a minute, are no past.
    """
    ordered = np.sort(np.asarray(scores, np.float64))[::-1]
    wanted = int(max(_FEW_PEAKS, np.ceil(4 * budget * days)))
    if len(ordered) < 3 or days < _LEAST_DAYS:
        return ScoreTail(float(ordered[0]) if len(ordered) else 0.0, 0.0, 1.0, 0.0, max(days, 0.0), tests)
    peaks = min(wanted, len(ordered) - 1)
    threshold = float(ordered[peaks])
    scale, shape = _pareto(ordered[:peaks][::-1] - threshold)
    return ScoreTail(threshold, peaks / days, scale, shape, days, tests)


def _pareto(excess: Floats) -> tuple[float, float]:
    """Return σ and ξ of excesses in ascending order."""
    n = len(excess)
    position = (np.arange(1, n + 1) - 0.35) / n
    first, second = float(excess.mean()), float(((1 - position) * excess).mean())
    if first <= 0:
        return 1e-3, _SMALLEST_SHAPE
    shape = 2 - first / max(first - 2 * second, 1e-9)
    shape = float(np.clip(shape, _SMALLEST_SHAPE, _LARGEST_SHAPE - 0.05))
    return first * (1 - shape), shape
