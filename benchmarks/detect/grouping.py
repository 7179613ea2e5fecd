"""Overlapping campaigns at once: which source belongs to which.

    python -m benchmarks.detect.grouping [--output benchmarks/results/detect]

Simulated: eight campaigns of eight services out of 40, so that they share some, with 6 to 19 sources of 20 attempts
each, of which 10 % go astray, among 40 sources that try two to five services at random. Of the sources a share
belongs to two campaigns and makes 20 attempts for each. F1 is of members, where groups that are found are matched
one to one with campaigns; and of memberships of the sources that have two.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.core import results
from benchmarks.detect.columns.clusters import RANKS
from service.patterns.groups import GroupSpec, Rows, group, unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Members = list[NDArray[np.int64]]

CAMPAIGNS, SERVICES, POOL, ATTEMPTS, ASTRAY, OTHERS = 8, 8, 40, 20, 0.1, 40
DOUBLE = (0.0, 0.25, 0.5)
RUNS = 100
SEED = 1000


def simulate(double: float, chance: np.random.Generator) -> tuple[Rows, Bools]:
    """Return rows, and which campaigns each belongs to, shape (rows, campaigns)."""
    listed = [chance.choice(POOL, SERVICES, replace=False) for _ in range(CAMPAIGNS)]
    rows, truth = [], []
    for first in range(CAMPAIGNS):
        for _ in range(chance.integers(6, 20)):
            mine = np.zeros(CAMPAIGNS, np.bool_)
            mine[first] = True
            if chance.random() < double:
                mine[(first + chance.integers(1, CAMPAIGNS)) % CAMPAIGNS] = True
            tried = np.concatenate([chance.choice(listed[at], ATTEMPTS) for at in np.flatnonzero(mine)])
            astray = chance.random(len(tried)) < ASTRAY
            rows.append(np.where(astray, chance.integers(0, POOL, len(tried)), tried))
            truth.append(mine)
    for _ in range(OTHERS):
        rows.append(chance.integers(0, POOL, chance.integers(2, 6)))
        truth.append(np.zeros(CAMPAIGNS, np.bool_))
    counted = [np.unique(row, return_counts=True) for row in rows]
    start = np.concatenate(([0], np.cumsum([len(services) for services, _ in counted])))
    services = np.concatenate([services for services, _ in counted])
    attempts = np.concatenate([attempts for _, attempts in counted])
    return Rows(services.astype(np.int64), attempts.astype(np.int64), start), np.array(truth)


def factorised(rows: Rows) -> Members:
    """Return the groups of the service: row-sparse factorisation, up to two memberships."""
    return [found.rows for found in group(rows, GroupSpec())]


def kmeans(rows: Rows) -> Members:
    """Return the clusters of k-means, begun by k-means++."""
    from sklearn.cluster import KMeans

    matrix, _ = unit_rows(rows, GroupSpec())
    labels = KMeans(max(2, matrix.shape[0] // RANKS[-1]), n_init=1, random_state=7).fit(matrix.toarray()).labels_
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]


def hdbscan(rows: Rows) -> Members:
    """Return the clusters of HDBSCAN."""
    from sklearn.cluster import HDBSCAN

    matrix, _ = unit_rows(rows, GroupSpec())
    labels = HDBSCAN(min_cluster_size=3, min_samples=2, copy=True).fit_predict(matrix.toarray())
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]


def measure(groups: Members, truth: Bools) -> tuple[float, float]:
    """Return the mean F1 of campaigns, and that of the memberships of sources with two; NaN if there are none."""
    found = np.zeros((len(truth), max(CAMPAIGNS, len(groups))), np.bool_)
    for at, members in enumerate(groups):
        found[members, at] = True
    both = found.T.astype(float) @ truth
    f1 = 2 * both / (found.sum(axis=0)[:, np.newaxis] + truth.sum(axis=0))
    which, campaign = linear_sum_assignment(-f1)
    named = np.zeros_like(truth)
    named[:, campaign] = found[:, which]
    two = truth.sum(axis=1) == 2
    hit = (named & truth)[two].sum()
    pairs = named[two].sum() + truth[two].sum()
    return float(f1[which, campaign].sum() / CAMPAIGNS), float(2 * hit / pairs) if two.any() else float("nan")


def main() -> None:
    """Measure, and write grouping.json and grouping.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/detect"))
    options = parser.parse_args()
    ways: dict[str, Callable[[Rows], Members]] = {
        "row-sparse factorisation": factorised,
        "k-means++": kmeans,
        "HDBSCAN": hdbscan,
    }
    rows: list[dict[str, Any]] = []
    for double in DOUBLE:
        for name, way in ways.items():
            simulated = [simulate(double, np.random.default_rng(SEED + run)) for run in range(RUNS)]
            scores = np.array([measure(way(each), truth) for each, truth in simulated])
            spread = 1.96 * scores.std(axis=0) / np.sqrt(RUNS)
            mean = scores.mean(axis=0)
            rows.append({"double": double, "way": name, "f1": mean[0], "f1_half": spread[0]})
            rows[-1] |= {"two": mean[1], "two_half": spread[1]}
    cells = [
        (
            f"{row['double']:.0%}",
            row["way"],
            f"{row['f1']:.3f} ± {row['f1_half']:.3f}",
            "–" if np.isnan(row["two"]) else f"{row['two']:.3f} ± {row['two_half']:.3f}",
        )
        for row in rows
    ]
    about = results.machine(("numpy", "scipy", "scikit-learn"))
    lines = ["# Overlapping campaigns", "", f"{RUNS} simulations each, seeds from {SEED} on; 95 % intervals.", ""]
    header = ("sources in two campaigns", "way", "members' F1", "F1 of those in two")
    results.save(options.output, "grouping", {**about, "rows": rows}, [*lines, *results.table(header, cells)])


if __name__ == "__main__":
    main()
