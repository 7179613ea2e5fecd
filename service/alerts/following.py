"""How many sources follow a proposal, and how many did so in past windows: the same test for both.

A source follows a set of services if it tried enough of it and little else, or if its attempts point the same way.
How strict that must be depends on the campaign, so that several strictnesses are counted; the one that past windows
least explain decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from service.alerts.tails import fit_counts, surprise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from service.patterns.groups import Proposal, Rows

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

_COMMON_DISPERSION = 0.2


@dataclass(frozen=True, slots=True)
class Strictness:
    """What makes a source follow. Shares are between 0 and 1."""

    covers: float
    """Share of the proposal's services that the source tried, at least, ..."""
    inside: float
    """... and share of its attempts that went there."""
    cosine: float = 0.0
    """Cosine of the square roots of its attempts and the proposal's weights, at least."""


LEVELS = (
    Strictness(0.35, 0.6),
    Strictness(0.6, 0.6),
    Strictness(0.8, 0.8),
    Strictness(0.0, 0.0, 0.6),
    Strictness(0.0, 0.0, 0.75),
    Strictness(0.0, 0.0, 0.85),
    Strictness(0.6, 0.4),
    Strictness(0.8, 0.5),
    Strictness(0.0, 0.9),
)


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """What the count of a proposal's followers says, at the strictness that says most."""

    proposal: int
    score: float
    """−log₁₀ of the probability of so many followers."""
    rows: Ints
    """Who follows, ascending."""
    mean: float
    """Followers that the past leads to expect."""
    spread: float


class Proposals:
    """Proposals as matrices, so that all are counted at once."""

    def __init__(self, proposals: Sequence[Proposal], levels: Sequence[Strictness] = LEVELS) -> None:
        self._levels = levels
        self._sizes = np.array([len(proposal.services) for proposal in proposals], np.float64)
        services = np.concatenate([proposal.services for proposal in proposals])
        weights = np.concatenate([proposal.weights for proposal in proposals])
        self._services, place = np.unique(services, return_inverse=True)
        of = np.repeat(np.arange(len(proposals)), self._sizes.astype(np.int64))
        shape = len(self._services), len(proposals)
        self._member = np.zeros(shape, np.float32)
        self._member[place, of] = 1.0
        self._weight = np.zeros(shape, np.float32)
        self._weight[place, of] = weights
        self._weight /= np.linalg.norm(self._weight, axis=0)

    def followers(self, rows: Rows) -> list[Bools]:
        """Return for each strictness which row follows which proposal, shape (rows, proposals)."""
        n = len(rows)
        lengths = np.diff(rows.start)
        row = np.repeat(np.arange(n), lengths)
        place = np.minimum(np.searchsorted(self._services, rows.services), len(self._services) - 1)
        known = self._services[place] == rows.services
        start = np.concatenate(([0], np.cumsum(np.bincount(row[known], minlength=n))))
        attempts = rows.attempts.astype(np.float32)
        total = np.maximum(np.bincount(row, attempts, minlength=n), 1.0).astype(np.float32)

        def matrix(values: NDArray[np.float32]) -> csr_array:
            return csr_array((values[known], place[known], start), shape=(n, len(self._services)))

        covered = matrix(np.ones(len(row), np.float32)) @ self._member
        inside = matrix(attempts) @ self._member / total[:, np.newaxis]
        cosine = matrix(np.sqrt(attempts)) @ self._weight / np.sqrt(total)[:, np.newaxis]
        found = []
        for level in self._levels:
            needed = np.maximum(2.0, np.ceil(level.covers * self._sizes))
            follows = covered >= needed
            if level.inside:
                follows &= inside >= level.inside
            if level.cosine:
                follows &= cosine >= level.cosine
            found.append(follows)
        return found


def follow(
    proposals: Sequence[Proposal], now: Rows, past: Rows, window: Ints, weights: Floats, least: int
) -> list[Followed]:
    """Return what followers say of each proposal that at least `least` sources follow.

    `window` names the past window of each past row, and `weights` says how much each window counts.
    """
    if not len(proposals) or not len(now):
        return []
    matrices = Proposals(proposals)
    levels = matrices.followers(now)
    counts = np.stack([follows.sum(axis=0) for follows in levels])
    total, squares = _past_counts(matrices.followers(past), window, weights)
    windows = float(weights.sum())
    fit = fit_counts(windows, total.ravel(), squares.ravel(), _COMMON_DISPERSION)
    scores = np.where(counts >= least, surprise(counts.ravel(), fit).reshape(counts.shape), 0.0)
    best = scores.argmax(axis=0)
    mean, spread = fit.mean.reshape(counts.shape), fit.spread.reshape(counts.shape)
    return [
        Followed(
            proposal=at,
            score=float(scores[level, at]),
            rows=np.flatnonzero(levels[level][:, at]),
            mean=float(mean[level, at]),
            spread=float(spread[level, at]),
        )
        for at, level in enumerate(best.tolist())
        if scores[level, at] > 0
    ]


def _past_counts(levels: list[Bools], window: Ints, weights: Floats) -> tuple[Floats, Floats]:
    """Return Σx and Σx² over the past windows, of each level and proposal."""
    begins = np.flatnonzero(np.diff(window, prepend=-1))
    if not len(begins):
        shape = len(levels), levels[0].shape[1]
        return np.zeros(shape), np.zeros(shape)
    weight = weights[window[begins]][:, np.newaxis]
    counts = [np.add.reduceat(follows, begins, axis=0, dtype=np.float64) for follows in levels]
    return (
        np.stack([(weight * count).sum(axis=0) for count in counts]),
        np.stack([(weight * count**2).sum(axis=0) for count in counts]),
    )
