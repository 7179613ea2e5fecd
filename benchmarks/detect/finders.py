"""Ways to find a window's patterns, all with the same catalogue behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import sparse

from service.patterns.factorize import FactorizationSpec, PatternFinder, Shape
from service.patterns.forms import Form, cosines
from service.windows.matrix import CountMatrix

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 7
CLUSTERS = 64
RESAMPLES = 8
RESTART_EVERY = 10
DEFAULT = FactorizationSpec()
LOW_RANK = replace(DEFAULT, births=0)
"""No patterns of few sources: what is not known goes to the learned factorisation."""


class Finder(Protocol):
    """What `PatternFinder` does."""

    def find(self, matrix: CountMatrix, known: Sequence[Form] = ()) -> list[Shape]:
        """Return the patterns of a window."""
        ...


class Cold:
    """Forgets what is known: identity is the matching's work alone."""

    def __init__(self, spec: FactorizationSpec) -> None:
        self._finder = PatternFinder(spec)

    def find(self, matrix: CountMatrix, known: Sequence[Form] = ()) -> list[Shape]:
        """Return the patterns of a window; `known` is ignored."""
        del known
        return self._finder.find(matrix)


class Restarted:
    """Begins anew every few windows, and allows other ranks in each."""

    def __init__(self) -> None:
        self._windows = 0
        self._finder = PatternFinder(DEFAULT)

    def find(self, matrix: CountMatrix, known: Sequence[Form] = ()) -> list[Shape]:
        """Return the patterns of a window."""
        self._windows += 1
        if self._windows % RESTART_EVERY == 0:
            ranks = {"births": 8 * (1 + self._windows // RESTART_EVERY % 8), "cap": 4 + self._windows % 13}
            self._finder = PatternFinder(replace(DEFAULT, **ranks))
        return self._finder.find(matrix, known)


class Bagged:
    """Lets new patterns in only if most of some bootstrap samples of the rows (Efron 1979) have them too."""

    def __init__(self) -> None:
        self._finder = PatternFinder(DEFAULT)
        self._chance = np.random.default_rng(SEED)

    def find(self, matrix: CountMatrix, known: Sequence[Form] = ()) -> list[Shape]:
        """Return the patterns of a window that are known or stable."""
        shapes = self._finder.find(matrix, known)
        forms = [Form(shape.services, shape.weights) for shape in shapes]
        is_old = cosines(forms, known).max(axis=1, initial=0.0) >= 0.8
        stable = self._stability(matrix, forms) >= 0.5
        return [shape for shape, *good in zip(shapes, is_old, stable, strict=True) if any(good)]

    def _stability(
        self, matrix: CountMatrix, forms: Sequence[Form]
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return in which share of the samples each form has a likeness."""
        n, seen = matrix.values.shape[0], np.zeros(len(forms))
        for _ in range(RESAMPLES):
            sample = CountMatrix(matrix.values[self._chance.integers(n, size=n)], matrix.services)
            found = [Form(shape.services, shape.weights) for shape in PatternFinder(DEFAULT).find(sample)]
            seen += cosines(forms, found).max(axis=1, initial=0.0) >= 0.8
        return seen / RESAMPLES


class Clusters:
    """Spherical k-means (Dhillon & Modha 2001) by scikit-learn's k-means on unit rows, cold in each window."""

    def find(self, matrix: CountMatrix, known: Sequence[Form] = ()) -> list[Shape]:
        """Return the clusters' mean directions as patterns; `known` is ignored."""
        from sklearn.cluster import KMeans

        del known
        squares = np.asarray(matrix.values.multiply(matrix.values).sum(axis=1), np.float64).ravel()
        units = sparse.csr_array(sparse.diags_array(1 / np.sqrt(squares)) @ matrix.values)
        places = units.indices.astype(np.int32), units.indptr.astype(np.int32)  # what scikit-learn takes
        rows = sparse.csr_matrix((units.data, *places), shape=units.shape)
        means = KMeans(min(CLUSTERS, units.shape[0]), n_init=1, random_state=SEED).fit(rows)
        shapes = []
        for k, centre in enumerate(means.cluster_centers_):
            members = np.flatnonzero(means.labels_ == k)
            order = np.argsort(-centre, kind="stable")
            order = order[centre[order] > 1e-3 * centre.max()]
            shares = np.minimum((units[members] @ centre / np.linalg.norm(centre)) ** 2, 1.0)
            if len(members):
                ranked = np.argsort(-shares, kind="stable")
                weights = centre[order] / centre[order].sum()
                shapes.append(Shape(matrix.services[order], weights, members[ranked], shares[ranked]))
        return sorted(shapes, key=lambda shape: -float(shape.shares.sum()))


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to find patterns, and how to begin with it."""

    name: str
    begin: Callable[[], Finder]


CONTENDERS = (
    Contender("row-sparse, warm (default)", lambda: PatternFinder(DEFAULT)),
    Contender("the same, restarted, other ranks", Restarted),
    Contender("the same, births bagged", Bagged),
    Contender("row-sparse, cold", lambda: Cold(DEFAULT)),
    Contender("learned NMF for births, warm", lambda: PatternFinder(LOW_RANK)),
    Contender("learned NMF, rank up to 16", lambda: Cold(LOW_RANK)),
    Contender("learned NMF, rank up to 64", lambda: Cold(replace(LOW_RANK, cap=64))),
    Contender(f"spherical k-means, {CLUSTERS} clusters", Clusters),
)
