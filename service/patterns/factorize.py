"""The only door to the numerical core: a count matrix becomes shapes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

import lnmf_core
from service.errors import InputError
from service.observe import SILENT, Observer
from service.patterns.forms import Form
from service.windows.matrix import CountMatrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SEED = 7
_SPARE_RANK = 1
"""Components that a window may have beyond those that it asks for, so that what is known is kept."""
_SMALLEST_WEIGHT = 1e-3
"""Services with less of a pattern's weight are numerical dust."""
_SMALLEST_SHARE = 0.1
"""A source belongs to a pattern that explains at least this share of its row."""
_ASKED = 1 << 14
"""Rows that new patterns are looked for in, at most; of more, evenly spaced ones."""
_WHOLE = np.ones(1)
_LEVEL = 1
_LARGEST = 1 << 29
"""Bytes of what the next window begins with, before compression."""
_BLOCK = 1 << 13
"""Rows that are compared with all patterns at a time: that product is dense."""


@dataclass(frozen=True, slots=True)
class FactorizationSpec:
    """How a window is factorised."""

    energy: float = 0.95
    """Of the rows that follow no pattern of several sources, the rank is the smallest that holds this share of
    the squares, ..."""
    cap: int = 16
    """... up to this."""
    sources: int = 1 << 16
    """Of a window with more sources, only so many are factorised, those that tried most: memory is bounded."""
    iterations: int = 100
    """Of a cold look, at most."""
    poor: float = 0.4
    """A row of which a pattern leaves more than this share of its square does not follow it."""
    births: int = 64
    """Patterns of several sources that one window may add to those that are known, at most."""
    least_rows: int = 3
    """Sources that such a pattern has at least."""
    gain: float = 0.08
    """Share of its row that a second membership must explain."""
    pairs: int = 20
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


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A row of C and the rows of the matrix that follow it."""

    columns: NDArray[np.int64]
    weights: NDArray[np.float64]
    rows: NDArray[np.int64]
    shares: NDArray[np.float64]


class PatternFinder:
    """Finds the shapes of one sensor's windows, X ≈ D·C, in two parts.

    Sources that do alike: many small patterns, of which a row follows one, or two if none fits it. C begins
    with the patterns that are known; rows that none describes give birth to more
    (`lnmf_core.factorize_sparse_rows`). All others: `Components`, the learned factorisation of low rank.
    docs/decisions/0052 says what each is good for.
    """

    def __init__(self, spec: FactorizationSpec, observer: Observer = SILENT) -> None:
        self._spec = spec
        self._components = Components(spec, observer)
        self.learned = False
        """Whether the last window changed what the next begins with."""

    def to_bytes(self) -> bytes:
        """Return what the next window begins with, compressed."""
        factorizer = self._components.factorizer
        return b"" if factorizer is None else zlib.compress(factorizer.to_bytes(), _LEVEL)

    @classmethod
    def from_bytes(cls, data: bytes, spec: FactorizationSpec, observer: Observer = SILENT) -> PatternFinder:
        """Return the finder that `to_bytes` was called on; raises InputError if the bytes are damaged."""
        finder = cls(spec, observer)
        if data:
            stream = zlib.decompressobj()
            try:
                content = stream.decompress(data, _LARGEST)
                finder._components.factorizer = lnmf_core.Factorizer.from_bytes(content)
            except (zlib.error, ValueError) as error:
                raise InputError("components", f"are damaged ({error}); restore a backup") from error
        return finder

    def find(self, matrix: CountMatrix, known: Sequence[Form] = ()) -> list[Shape]:
        """Return the rows of C that have followers, those with most first; `known` is what C begins with."""
        self.learned = False
        if not matrix.values.nnz:
            return []
        matrix, places = _heaviest(matrix, self._spec.sources)
        units = _unit_rows(matrix.values)
        parts, left = _alike(units, _aligned(known, matrix.services), self._spec)
        found = [_shape(part, matrix.services, places) for part in parts]
        if len(left):
            self.learned = True
            rest = _without_empty_columns(CountMatrix(matrix.values[left], matrix.services))
            found += [_shape(part, rest.services, places[left]) for part in self._components.find(rest)]
        kept = [shape for shape in found if len(shape.sources)]
        return sorted(kept, key=lambda shape: -float(shape.shares.sum()))


class Components:
    """Factorises windows of one sensor at the rank that they ask for, each from the C that the last ended with.

    `lnmf_core.Factorizer` does so, and looks cold at the first window, every few windows, and when what it knows
    explains a window badly. A window that asks for a larger rank, or a much smaller one, begins anew.
    """

    def __init__(self, spec: FactorizationSpec, observer: Observer = SILENT) -> None:
        self._spec = spec
        self._observer = observer
        self.factorizer: lnmf_core.Factorizer | None = None
        """What the next window begins with, if its rank allows."""

    def find(self, matrix: CountMatrix) -> list[_Part]:
        """Return the rows of C, each with the rows of the matrix of which it explains enough."""
        rank = lnmf_core.choose_rank(matrix.values, cap=self._spec.cap, energy=self._spec.energy, seed=_SEED)
        factorizer = self._of_rank(rank)
        keys = np.arange(matrix.values.shape[0])
        step = factorizer.window(lnmf_core.Rows(keys, matrix.values, matrix.services.astype(np.int64)))
        self._observer.factorized(step.seconds, step.error)
        factors = factorizer.factors()
        weights, shares = np.asarray(factors.C, dtype=np.float64), _explained(matrix, factors)
        return [_component(weights[k], shares[:, k]) for k in range(factorizer.rank) if weights[k].any()]

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


def _unit_rows(values: sparse.csr_array) -> sparse.csr_array:
    """Return the rows divided by their lengths; rows of zeros stay."""
    lengths = np.diff(values.indptr)
    norms = np.sqrt(np.add.reduceat(values.data**2, values.indptr[:-1][lengths > 0]))
    factors = np.repeat(1 / np.where(norms > 0, norms, 1.0), lengths[lengths > 0])
    return _csr(factors * values.data, values.indices, values.indptr, values.shape)


def _without_empty_columns(matrix: CountMatrix) -> CountMatrix:
    used = np.unique(matrix.values.indices)
    return CountMatrix(sparse.csr_array(matrix.values[:, used]), matrix.services[used])


@dataclass(frozen=True, slots=True, eq=False)
class _Patterns:
    """Unit patterns over a window's services."""

    here: sparse.csr_array
    """k × m."""
    across: sparse.csr_array
    """The same, transposed."""
    missing: NDArray[np.float64]
    """Length of what each has in services that the window lacks, (k,): without it, a pair of which one service is
    missing would look like the other alone."""

    def __len__(self) -> int:
        return len(self.missing)

    def gram(self) -> NDArray[np.float64]:
        """Return the products of all pairs, k × k."""
        product = (self.here @ self.across).toarray() + np.outer(self.missing, self.missing)
        return np.asarray(product, np.float64)

    def cross(self, units: sparse.csr_array) -> NDArray[np.float64]:
        """Return the products of rows and patterns, n × k."""
        return np.asarray((units @ self.across).toarray(), np.float64)

    def joined(self, other: _Patterns) -> _Patterns:
        """Return both, these first."""
        if not len(other):
            return self
        here = sparse.csr_array(sparse.vstack([self.here, other.here]))
        return _patterns(here, np.concatenate((self.missing, other.missing)))


def _patterns(here: sparse.csr_array, missing: NDArray[np.float64]) -> _Patterns:
    return _Patterns(here, here.T.tocsr(), missing)


def _aligned(known: Sequence[Form], services: NDArray[np.int32]) -> _Patterns:
    """Return known patterns over the window's services, without those that have none: no row can follow them."""
    if not known:
        return _patterns(sparse.csr_array((0, len(services)), dtype=np.float64), np.empty(0))
    codes = np.concatenate([form.services for form in known])
    units = np.concatenate([form.unit for form in known])
    row = np.repeat(np.arange(len(known)), [len(form) for form in known])
    place = np.minimum(np.searchsorted(services, codes), len(services) - 1)
    here = services[place] == codes
    missing = np.sqrt(np.bincount(row[~here], units[~here] ** 2, len(known)))
    sizes = np.bincount(row[here], minlength=len(known))
    start = np.concatenate(([0], np.cumsum(sizes[sizes > 0])))
    shape = len(start) - 1, len(services)
    return _patterns(_csr(units[here], place[here], start, shape), missing[sizes > 0])


def _csr(
    values: NDArray[np.float64], columns: NDArray[np.integer], start: NDArray[np.integer], shape: tuple[int, int]
) -> sparse.csr_array:
    return sparse.csr_array((values, columns, start), shape=shape)


def _alike(
    units: sparse.csr_array, known: _Patterns, spec: FactorizationSpec
) -> tuple[list[_Part], NDArray[np.int64]]:
    """Return small patterns with the unit rows that follow them, and the rows that follow none."""
    near = _nearest(units, known)
    strangers = np.flatnonzero(near.share < 1 - spec.poor)
    if len(strangers) > _ASKED:
        strangers = strangers[np.linspace(0, len(strangers) - 1, _ASKED).astype(np.int64)]
    born = _born(units[strangers], spec)
    patterns = known.joined(born)
    shares = _followed(near.or_nearer(_nearest(units, born), len(known)), len(patterns), spec)
    left = _unexplained(shares)
    # A row with two habits follows the patterns of both; it says nothing of the form of either.
    both = _two_memberships(units[left], patterns, spec)
    everyone, moved = _with_rows(shares, left, both), _moved(units, shares)
    stays = np.diff(moved.indptr) == 0
    followed = np.flatnonzero(np.diff(everyone.indptr))
    parts = [_pattern_of(patterns.here if stays[k] else moved, everyone, k) for k in followed.tolist()]
    return parts, left[_unexplained(both)]


@dataclass(frozen=True, slots=True, eq=False)
class _Nearest:
    """The pattern nearest to each row, length n, and the share of the row's square that it explains."""

    pattern: NDArray[np.int64]
    share: NDArray[np.float64]

    def or_nearer(self, other: _Nearest, offset: int) -> _Nearest:
        """Return the nearer ones of both; the other's patterns are numbered from `offset` on."""
        nearer = other.share > self.share
        return _Nearest(
            np.where(nearer, other.pattern + offset, self.pattern), np.where(nearer, other.share, self.share)
        )


def _nearest(units: sparse.csr_array, patterns: _Patterns) -> _Nearest:
    """Return D's best half step with one membership a row: of unit patterns, that of the largest cosine."""
    n = units.shape[0]
    nearest, share = np.zeros(n, np.int64), np.zeros(n)
    for start in range(0, n if len(patterns) else 0, _BLOCK):
        cross = patterns.cross(units[start : start + _BLOCK] if n > _BLOCK else units)
        best = cross.argmax(axis=1)
        nearest[start : start + _BLOCK] = best
        share[start : start + _BLOCK] = np.take_along_axis(cross, best[:, np.newaxis], 1)[:, 0] ** 2
    return _Nearest(nearest, share)


def _followed(near: _Nearest, patterns: int, spec: FactorizationSpec) -> sparse.csr_array:
    """Return the share of each row that its pattern explains, n × patterns; rows that fit badly follow none."""
    follows = near.share >= 1 - spec.poor
    start = np.concatenate(([0], np.cumsum(follows)))
    return _csr(near.share[follows], near.pattern[follows], start, (len(near.share), patterns))


def _two_memberships(units: sparse.csr_array, patterns: _Patterns, spec: FactorizationSpec) -> sparse.csr_array:
    """Return d_ik ⟨c_k, x_i⟩, n × k, the share of row i that pattern k explains; rows that fit badly follow none.

    D is the half step of `lnmf_core.SparseRows` for a given C. Rows of one service need no second pattern.
    """
    shape = units.shape[0], len(patterns)
    several = np.flatnonzero(np.diff(units.indptr) > 1)
    if not len(several) or not shape[1]:
        return sparse.csr_array(shape, dtype=np.float64)
    gram = patterns.gram()
    held = sparse.coo_array(shape, dtype=np.float64)
    for start in range(0, len(several), _BLOCK):
        rows = several[start : start + _BLOCK]
        cross = patterns.cross(units[rows])
        rule = lnmf_core.SparseRows(np.ones(len(rows)), 2, spec.gain)
        weights, _ = rule.update(np.zeros_like(cross), lnmf_core.NormalEquations(cross, gram), 0)
        shares = weights * cross
        shares[shares.sum(axis=1) < 1 - spec.poor] = 0.0
        row, pattern = shares.nonzero()
        held = held + sparse.coo_array((shares[row, pattern], (rows[row], pattern)), shape=shape)
    return sparse.csr_array(held)


def _unexplained(shares: sparse.csr_array) -> NDArray[np.int64]:
    return np.flatnonzero(np.diff(shares.indptr) == 0)


def _born(units: sparse.csr_array, spec: FactorizationSpec) -> _Patterns:
    """Return the patterns that several of these rows follow."""
    columns = units.shape[1]
    rank = min(spec.births, units.shape[0] // spec.least_rows, columns)
    if not rank:
        return _patterns(sparse.csr_array((0, columns), dtype=np.float64), np.empty(0))
    memberships = lnmf_core.Memberships(least_rows=spec.least_rows, seed=_SEED)
    rows = lnmf_core.factorize_sparse_rows(units, rank, memberships).factors.C
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = _patterns(sparse.csr_array(rows), np.zeros(len(rows)))
    followers = np.bincount(_followed(_nearest(units, found), len(found), spec).indices, minlength=len(found))
    kept = np.flatnonzero(followers >= spec.least_rows)
    return _patterns(found.here[kept], found.missing[kept])


def _with_rows(shares: sparse.csr_array, rows: NDArray[np.int64], values: sparse.csr_array) -> sparse.csc_array:
    """Return `shares` with the given values in these rows, which are empty in it."""
    if not values.nnz:
        return sparse.csc_array(shares)
    given = values.tocoo()
    placed = sparse.coo_array((given.data, (rows[given.row], given.col)), shape=shares.shape)
    return sparse.csc_array(shares + placed)


def _moved(units: sparse.csr_array, single: sparse.csr_array) -> sparse.csr_array:
    """Return C as the window shows it: the C step, Dᵀ·X, over the rows that follow one pattern alone.

    The row of a pattern that no row follows alone is empty: it stays as it is.
    """
    weights = sparse.csr_array((np.sqrt(single.data), single.indices, single.indptr), shape=single.shape)
    moved = sparse.csr_array(weights.T @ units)
    moved.sort_indices()  # of services of like weight the smallest number comes first
    return moved


def _pattern_of(patterns: sparse.csr_array, shares: sparse.csc_array, k: int) -> _Part:
    held, followed = slice(*patterns.indptr[k : k + 2]), slice(*shares.indptr[k : k + 2])
    return _Part(
        columns=patterns.indices[held].astype(np.int64),
        weights=patterns.data[held],
        rows=shares.indices[followed].astype(np.int64),
        shares=shares.data[followed],
    )


def _explained(matrix: CountMatrix, factors: lnmf_core.Factors) -> NDArray[np.float64]:
    """Return ⟨d_ik c_k, x_i⟩ / ‖x_i‖², shape (n, k): how much of row i's square pattern k explains."""
    squares = np.asarray(matrix.values.multiply(matrix.values).sum(axis=1), dtype=np.float64).reshape(-1, 1)
    explained = np.asarray(factors.D * (matrix.values @ factors.C.T), dtype=np.float64)
    return np.divide(explained, squares, out=np.zeros_like(explained), where=squares > 0)


def _component(weights: NDArray[np.float64], shares: NDArray[np.float64]) -> _Part:
    columns, rows = np.flatnonzero(weights), np.flatnonzero(shares >= _SMALLEST_SHARE)
    return _Part(columns, weights[columns], rows, shares[rows])


def _shape(part: _Part, services: NDArray[np.int32], places: NDArray[np.int64]) -> Shape:
    if len(part.weights) == 1:
        return _shape_of_one(part, services, places)
    order = np.argsort(-part.weights, kind="stable")
    order = order[part.weights[order] > _SMALLEST_WEIGHT * part.weights.max(initial=0.0)]
    members = np.argsort(-part.shares, kind="stable")
    kept = part.weights[order]
    return Shape(
        services=services[part.columns[order]],
        weights=kept / kept.sum(),
        sources=places[part.rows[members]],
        shares=np.minimum(part.shares[members], 1.0),
    )


def _shape_of_one(part: _Part, services: NDArray[np.int32], places: NDArray[np.int64]) -> Shape:
    """Return what `_shape` does for a pattern of one service, as most are."""
    members = np.argsort(-part.shares, kind="stable")
    return Shape(
        services=services[part.columns],
        weights=_WHOLE,
        sources=places[part.rows[members]],
        shares=np.minimum(part.shares[members], 1.0),
    )
