"""The only door to the numerical core: a count matrix becomes shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import lnmf_core
from service.windows.matrix import CountMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEED = 7
_SPARE_RANK = 1
"""Components that a window may have beyond those that it asks for, so that what is known is kept."""
_SMALLEST_WEIGHT = 1e-3
"""Services with less of a pattern's weight are numerical dust."""
_SMALLEST_SHARE = 0.1
"""A source belongs to a pattern that explains at least this share of its row."""


@dataclass(frozen=True, slots=True)
class FactorizationSpec:
    """How a window is factorised."""

    energy: float = 0.95
    """The rank is the smallest that holds this share of the matrix' squares, ..."""
    cap: int = 16
    """... up to this."""
    sources: int = 1 << 16
    """Of a window with more sources, only so many are factorised, those that tried most: memory is bounded."""
    iterations: int = 100
    """Of a cold look, at most."""
    pairs: int = 10
    """A window with fewer (source, target, service) shows no pattern."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A row of C, not yet compared with earlier windows."""

    services: NDArray[np.int32]
    """Numbers of services, heaviest first."""
    weights: NDArray[np.float64]
    """Their share of the row; sums to 1."""
    sources: NDArray[np.int64]
    """Rows of the matrix that follow it, most faithful first."""
    shares: NDArray[np.float64]
    """The share of each such row that it explains, in (0, 1]."""


class PatternFinder:
    """Factorises the windows of one sensor, X ≈ D·C, each from the C that the last one ended with.

    `lnmf_core.Factorizer` does so, and looks cold at the first window, every few windows, and when what it knows
    explains a window badly. A window that asks for a larger rank, or a much smaller one, begins anew.
    """

    def __init__(self, spec: FactorizationSpec) -> None:
        self._spec = spec
        self.factorizer: lnmf_core.Factorizer | None = None
        """What the next window begins with, if its rank allows."""

    def find(self, matrix: CountMatrix) -> list[Shape]:
        """Return the rows of C that have followers, those with most first."""
        if not matrix.values.nnz:
            return []
        matrix, places = _heaviest(matrix, self._spec.sources)
        rank = lnmf_core.choose_rank(matrix.values, cap=self._spec.cap, energy=self._spec.energy, seed=_SEED)
        factorizer = self._of_rank(rank)
        rows = lnmf_core.Rows(np.arange(len(places)), matrix.values, matrix.services.astype(np.int64))
        factorizer.window(rows)
        factors = factorizer.factors()
        shares = _explained(matrix, factors)
        weights = np.asarray(factors.C, dtype=np.float64)
        found = [_shape(matrix, places, weights[k], shares[:, k]) for k in range(factorizer.rank)]
        kept = [shape for shape in found if len(shape.sources) and len(shape.services)]
        return sorted(kept, key=lambda shape: -float(shape.shares.sum()))

    def _of_rank(self, rank: int) -> lnmf_core.Factorizer:
        held = self.factorizer
        if held is None or not held.rank - _SPARE_RANK <= rank <= held.rank:
            held = lnmf_core.Factorizer(
                rank, lnmf_core.StreamSpec(seed=_SEED, cold_iterations=self._spec.iterations)
            )
        self.factorizer = held
        return held


def _heaviest(matrix: CountMatrix, most: int) -> tuple[CountMatrix, NDArray[np.int64]]:
    """Return the rows with the largest sums, and their places in the whole matrix, ascending."""
    n = matrix.values.shape[0]
    if n <= most:
        return matrix, np.arange(n)
    sums = np.asarray(matrix.values.sum(axis=1)).ravel()
    places = np.sort(np.argpartition(-sums, most)[:most])
    return CountMatrix(matrix.values[places], matrix.services), places


def _explained(matrix: CountMatrix, factors: lnmf_core.Factors) -> NDArray[np.float64]:
    """Return ⟨d_ik c_k, x_i⟩ / ‖x_i‖², shape (n, k): how much of row i's square pattern k explains."""
    squares = np.asarray(matrix.values.multiply(matrix.values).sum(axis=1), dtype=np.float64).reshape(-1, 1)
    explained = np.asarray(factors.D * (matrix.values @ factors.C.T), dtype=np.float64)
    return np.divide(explained, squares, out=np.zeros_like(explained), where=squares > 0)


def _shape(
    matrix: CountMatrix, places: NDArray[np.int64], row: NDArray[np.float64], shares: NDArray[np.float64]
) -> Shape:
    total = row.sum()
    weights = row / total if total > 0 else row
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] > _SMALLEST_WEIGHT * weights.max(initial=0.0)]
    members = np.argsort(-shares, kind="stable")
    members = members[shares[members] >= _SMALLEST_SHARE]
    kept = weights[order]
    return Shape(
        services=matrix.services[order],
        weights=kept / kept.sum() if len(kept) else kept,
        sources=places[members],
        shares=np.minimum(shares[members], 1.0),
    )
