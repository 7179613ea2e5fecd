"""Row-sparse factorisation: many small patterns, of which each row follows one or a few."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.factors import Array, Factors, Solution
from lnmf_core.kernels.matching import match_rows
from lnmf_core.matrix import Counts, Matrix, check_rank, checked
from lnmf_core.rules.sparse_rows import SparseRows
from lnmf_core.solve import factorize
from lnmf_core.start import WarmStart

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lnmf_core.stopping import Stop


@dataclass(frozen=True, slots=True)
class Memberships:
    """How many patterns a row may follow, and what makes a pattern. Raises ParameterError out of range."""

    most: int = 1
    """Non-zeros in a row of D, at most."""
    gain: float = 0.08
    """Share of its row's energy that a further membership must explain."""
    same: float = 0.9
    """A pattern goes if it has a larger cosine with what `most` others make of it."""
    least_rows: int = 3
    """A pattern that fewer rows follow goes."""
    seed: int = 0
    """Of the start."""

    def __post_init__(self) -> None:
        for name, least in (("most", 1), ("least_rows", 1), ("seed", 0)):
            whole_number(name, getattr(self, name), ParameterError, least=least)
        for name in ("gain", "same"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name} is {getattr(self, name)}: it must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class SpreadRows:
    """Rows of X that lie far apart as C, D = 0: k-means++ for directions (Arthur & Vassilvitskii 2007).

    A row is drawn with a probability that is proportional to what the rows drawn so far, one membership each,
    leave of its energy, ‖x‖²(1 − max cos²); of a few draws the one is kept that leaves least (their “greedy”
    variant). Where nothing is left, the patterns to come are zero. Raises ParameterError for a negative seed.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("seed", self.seed, ParameterError, least=0)

    def factors(self, matrix: Matrix, rank: int) -> Factors:
        """Return D = 0 (n × rank) and C (rank × m) of unit rows; equal seeds give equal factors."""
        rng = np.random.default_rng(self.seed)
        energy = row_energy(matrix).astype(np.float64)
        left, tries = energy.copy(), 2 + int(math.log(rank))
        C = np.zeros((rank, matrix.shape[1]), matrix.dtype)
        for pattern in range(rank):
            left[left <= np.finfo(matrix.dtype).eps * 8 * energy] = 0.0
            if not left.any():
                break
            drawn = _drawn(rng, left / left.sum(), tries)
            units = _dense_rows(matrix, drawn) / np.sqrt(energy[drawn])[:, np.newaxis]
            explained = matrix.times(np.ascontiguousarray(units.T, matrix.dtype)).astype(np.float64) ** 2
            leaves = np.minimum(left[:, np.newaxis], np.maximum(energy[:, np.newaxis] - explained, 0))
            best = int(np.argmin(leaves.sum(axis=0)))
            C[pattern], left = units[best], leaves[:, best]
            left[drawn[best]] = 0.0
        return Factors(np.zeros((matrix.shape[0], rank), matrix.dtype), C)


def factorize_sparse_rows(
    X: Counts,
    rank: int,
    memberships: Memberships | None = None,
    *,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Solution:
    """Return X ≈ D·C with at most `memberships.most` non-zeros in a row of D, and at most `rank` patterns.

    This is `factorize`, the one loop, with the rule `SparseRows` and the start `SpreadRows`, run again from the
    patterns that are left whenever some had to go: those that fewer than `least_rows` rows follow, and those
    that others describe as well (with one membership a row: cosine above `same` with a stronger pattern). The
    one that goes leaves its rows to the others, which the next run moves accordingly, so that patterns that are
    alike merge. The strongest pattern always stays. The errors are those of the last run, from D = 0.

    With one membership a row this is orthogonal NMF, close to spherical k-means; see `SparseRows`. A pattern
    that is the sum of two others can't be told from rows that follow both: with two memberships it goes.

    X and the errors raised are as in `factorize`; make its rows unit for every row to count alike. `rank` is
    the most that may be found: choose it too large rather than too small. Equal seeds give equal results.
    """
    began = clock()
    memberships = Memberships() if memberships is None else memberships
    matrix = checked(X)
    k = check_rank(rank, matrix.shape)
    rule = SparseRows(row_energy(matrix), memberships.most, memberships.gain)
    solution = factorize(matrix.values, k, rule=rule, start=SpreadRows(memberships.seed), stop=stop)
    while len(kept := _worthy(solution.factors, memberships)) < solution.factors.rank:
        blank = np.zeros((matrix.shape[0], len(kept)), matrix.dtype)
        start = WarmStart(blank, solution.factors.C[kept])
        solution = factorize(matrix.values, len(kept), rule=rule, start=start, stop=stop)
    return replace(solution, seconds=clock() - began)


def row_energy(matrix: Matrix) -> Array:
    """Return ‖x_i‖² of each row, length n, of X's dtype, summed in float64."""
    values = matrix.values
    if isinstance(values, np.ndarray):
        sums = np.einsum("ij,ij->i", values, values, dtype=np.float64)
        return np.asarray(sums, matrix.dtype)
    squares = np.append(np.square(values.data, dtype=np.float64), 0.0)
    sums = np.add.reduceat(squares, values.indptr[:-1])
    return np.where(np.diff(values.indptr) > 0, sums, 0.0).astype(matrix.dtype)


def _worthy(factors: Factors, memberships: Memberships) -> list[int]:
    """Return the patterns that may stay, ascending; the strongest is always among them."""
    gram = (factors.C @ factors.C.T).astype(np.float64)
    strength = np.square(factors.D, dtype=np.float64).sum(axis=0) * gram.diagonal()
    followed = (factors.D > 0).sum(axis=0) >= memberships.least_rows
    order = np.argsort(strength, kind="stable")
    kept = {int(j) for j in order if followed[j] and strength[j] > 0} or {int(order[-1])}
    for j in order.tolist():
        others = sorted(kept - {j})
        if j in kept and others and _is_described(j, others, gram, memberships):
            kept.remove(j)
    return sorted(kept)


def _is_described(j: int, others: list[int], gram: Array, memberships: Memberships) -> bool:
    """Return whether a few of the others make a pattern with a large cosine to pattern j."""
    most, wanted = memberships.most, memberships.same**2 * gram[j, j]
    alone = gram[j, others] ** 2 / gram[others, others]
    # Nonnegative patterns: the best cosine² of a mix of s is at most s times that of the best of them.
    if most * alone.max() <= wanted:
        return False
    few = [others[at] for at in np.argsort(-alone, kind="stable")[: 8 * most]]
    cross, among = gram[[j]][:, few], gram[np.ix_(few, few)]
    mix = match_rows(np.zeros_like(cross), cross, among, gram[[j], j], min(most, len(few)), 0.0, 0.0)
    explained = 2 * mix @ cross.T - mix @ among @ mix.T
    return bool(explained[0, 0] > wanted)


def _dense_rows(matrix: Matrix, rows: NDArray[np.int64]) -> Array:
    values = matrix.values
    if isinstance(values, np.ndarray):
        return np.asarray(values[rows])
    found = np.zeros((len(rows), values.shape[1]), values.dtype)
    for place, row in enumerate(rows.tolist()):
        held = slice(*values.indptr[row : row + 2].tolist())
        found[place, values.indices[held]] = values.data[held]
    return found


def _drawn(rng: np.random.Generator, chances: NDArray[np.float64], tries: int) -> NDArray[np.int64]:
    """Return what `rng.choice` draws with these probabilities, which sum to 1, without its checks of them."""
    ends = chances.cumsum()
    drawn: NDArray[np.int64] = (ends / ends[-1]).searchsorted(rng.random(tries), side="right")
    return drawn
