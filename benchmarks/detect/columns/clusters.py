"""Proposals of other ways to group rows: sampled rows, k-means++ and HDBSCAN, each with the same test."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from service.patterns import groups
from service.patterns.groups import GroupSpec, Proposal, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.patterns.groups import Rows

SPEC = GroupSpec()
SAMPLED = GroupSpec(rows_per_pattern=(), steps=0)
RANKS = (3, 6)


def sampled_rows(rows: Rows) -> list[Proposal]:
    """Return rows as they are."""
    return groups.propose(rows, SAMPLED)


def kmeans(rows: Rows) -> list[Proposal]:
    """Return the centres of k-means, begun by k-means++, at the ranks that the factorisation has."""
    from sklearn.cluster import KMeans

    matrix, services = unit_rows(rows, SPEC)
    n = matrix.shape[0]
    if min(matrix.shape) < 2 or n < SPEC.least_rows:
        return []
    values = matrix.toarray()
    centres = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct rows than centres
        for rank in sorted({max(1, n // per) for per in RANKS}):
            fitted = KMeans(rank, n_init=1, random_state=7).fit(values)
            sizes = np.bincount(fitted.labels_, minlength=rank)
            centres.append(fitted.cluster_centers_[sizes >= SPEC.least_rows])
    return _proposals(np.concatenate(centres), services)


def hdbscan(rows: Rows) -> list[Proposal]:
    """Return the means of the clusters that HDBSCAN finds, by leaves and by excess of mass."""
    from sklearn.cluster import HDBSCAN

    matrix, services = unit_rows(rows, SPEC)
    if min(matrix.shape) < 2 or matrix.shape[0] <= SPEC.least_rows:
        return []
    values = matrix.toarray()
    centres = []
    for method in ("eom", "leaf"):
        labels = HDBSCAN(min_cluster_size=3, min_samples=2, cluster_selection_method=method, copy=True).fit_predict(
            values
        )
        centres += [values[labels == label].mean(axis=0) for label in range(labels.max() + 1)]
    return _proposals(np.array(centres).reshape(-1, values.shape[1]), services)


def _proposals(centres: NDArray[np.float64], services: NDArray[np.int64]) -> list[Proposal]:
    found = []
    for centre in centres:
        kept = centre >= SPEC.weight * centre.max()
        if kept.sum() >= 2:
            found.append(Proposal(services[kept], centre[kept] / centre.max()))
    return found
