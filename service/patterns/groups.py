"""Groups of sources that try the same services: row-sparse patterns of a window, proposed at several ranks.

A window's rows with several services are factorised, X ≈ D·C with one non-zero in a row of D, into many small
patterns. One rank would cut some groups and blend others: the patterns of several ranks are proposals, and so are
rows of X themselves, as they are and moved towards the rows that are like them. Whoever counts their followers
decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

import lnmf_core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_SEED = 7
_ROWS_PER_GROUP = 6
_LEAST_SHARE = 0.25
"""A row belongs to a group whose pattern explains at least this share of its square."""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """How groups are proposed. Raises ValueError if a number is not positive."""

    rows_per_pattern: tuple[int, ...] = (3, 6)
    """The ranks: rows of the matrix over each of these; none: nothing is factorised."""
    patterns: int = 256
    """The largest rank."""
    memberships: int = 1
    """Patterns that a row may follow."""
    least_rows: int = 3
    """A pattern that fewer rows follow is none."""
    starts: int = 128
    """Rows of the matrix that are proposals themselves, at most."""
    steps: int = 2
    """How often those are moved towards the rows like them, for further proposals; 0: not at all."""
    near: float = 0.5
    """Cosine from which on a row is like a pattern."""
    alike: float = 0.95
    """Cosine from which on two proposals are one."""
    weight: float = 0.2
    """Services with less than this share of a pattern's largest weight are not part of it."""
    rows: int = 4096
    """Rows that are factorised, at most: those with most services."""
    columns: int = 4096
    """Services that are told apart, at most: those with most sources."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            least = 0 if name in ("starts", "steps") else 1e-9
            if min(value if isinstance(value, tuple) else (value,), default=1) < least:
                raise ValueError(f"{name}: {value} is not positive")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Sources with several services: row i has ``services[start[i]:start[i + 1]]``."""

    services: Ints
    attempts: Ints
    """At each service."""
    start: Ints

    def __len__(self) -> int:
        return len(self.start) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Services that some sources of a window may try together."""

    services: Ints
    """Ascending; two or more."""
    weights: Floats
    """Their weights in the pattern; the largest is 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rows that follow one pattern."""

    pattern: Proposal
    rows: Ints
    """Ascending."""
    shares: Floats
    """The share of each row's square that the pattern explains, in (0, 1]."""


def propose(rows: Rows, spec: GroupSpec) -> list[Proposal]:
    """Return the patterns of a window at all ranks, and its rows; those that are alike once."""
    matrix, services = unit_rows(rows, spec)
    if min(matrix.shape) < 2 or matrix.shape[0] < spec.least_rows:
        return []
    patterns = np.concatenate([*_factorised(matrix, spec), *_started(matrix, spec)])
    patterns = _distinct(patterns, spec.alike)
    kept = patterns >= spec.weight * patterns.max(axis=1, keepdims=True)
    return [
        Proposal(services[which], pattern[which] / pattern.max())
        for pattern, which in zip(patterns, kept, strict=True)
        if which.sum() >= 2
    ]


def group(rows: Rows, spec: GroupSpec) -> list[Group]:
    """Return the groups that the rows fall into, those with most rows first; a row may belong to two.

    Here one rank has to serve, a large one: patterns that are alike merge, and those that few rows follow go.
    """
    matrix, services, present = _unit_rows(rows, spec)
    if min(matrix.shape) < 2 or matrix.shape[0] < spec.least_rows:
        return []
    rank = min(max(2, matrix.shape[0] // _ROWS_PER_GROUP), spec.patterns, *matrix.shape)
    memberships = lnmf_core.Memberships(2, least_rows=spec.least_rows, seed=_SEED)
    factors = lnmf_core.factorize_sparse_rows(matrix, rank, memberships).factors
    patterns = np.asarray(factors.C, np.float64)
    shares = np.asarray(factors.D * (matrix @ patterns.T), np.float64)
    found = []
    for pattern, share in zip(patterns, shares.T, strict=True):
        mine = np.flatnonzero(share >= _LEAST_SHARE)
        kept = pattern >= spec.weight * pattern.max()
        if len(mine) >= spec.least_rows:
            proposal = Proposal(services[kept], pattern[kept] / pattern.max())
            found.append(Group(proposal, present[mine], np.minimum(share[mine], 1.0)))
    return sorted(found, key=lambda group: -len(group.rows))


def unit_rows(rows: Rows, spec: GroupSpec) -> tuple[csr_array, Ints]:
    """Return √attempts as unit rows over the services that two rows or more share, and those services, ascending.

    Rows that share nothing with others are left out.
    """
    matrix, services, _ = _unit_rows(rows, spec)
    return matrix, services


def _unit_rows(rows: Rows, spec: GroupSpec) -> tuple[csr_array, Ints, Ints]:
    """Return the same, and which rows are left."""
    services, column, sharing = np.unique(rows.services, return_inverse=True, return_counts=True)
    shared = sharing >= 2
    if shared.sum() > spec.columns:
        shared &= sharing > np.partition(sharing, -spec.columns - 1)[-spec.columns - 1]
    kept = shared[column]
    row = np.repeat(np.arange(len(rows)), np.diff(rows.start))[kept]
    column = (np.cumsum(shared) - 1)[column[kept]]
    values = np.sqrt(rows.attempts[kept].astype(np.float64))
    sizes = np.bincount(row, minlength=len(rows))
    present = np.flatnonzero(sizes)
    if len(present) > spec.rows:
        present = np.sort(present[np.argsort(-sizes[present], kind="stable")[: spec.rows]])
        inside = np.isin(row, present)
        row, column, values = row[inside], column[inside], values[inside]
    row = np.searchsorted(present, row)
    norm = np.sqrt(np.bincount(row, values**2, minlength=len(present)))
    shape = len(present), int(shared.sum())
    return csr_array((values / norm[row], (row, column)), shape=shape), services[shared], present


def _factorised(matrix: csr_array, spec: GroupSpec) -> list[Floats]:
    """Return C of each rank."""
    memberships = lnmf_core.Memberships(spec.memberships, least_rows=spec.least_rows, seed=_SEED)
    most = min(spec.patterns, *matrix.shape)
    ranks = sorted({min(most, max(1, matrix.shape[0] // per)) for per in spec.rows_per_pattern})
    solutions = [lnmf_core.factorize_sparse_rows(matrix, rank, memberships) for rank in ranks]
    return [np.asarray(solution.factors.C, np.float64) for solution in solutions]


def _started(matrix: csr_array, spec: GroupSpec) -> list[Floats]:
    """Return some rows, moved towards the rows that are like them, and as they are.

    A step is one of row-sparse NMF without its competition: D = XCᵀ where that is large, then C ∝ DᵀX.
    """
    n = matrix.shape[0]
    drawn = np.arange(n)
    if n > spec.starts:
        drawn = np.sort(np.random.default_rng(_SEED).choice(n, spec.starts, replace=False))
    starts = np.asarray(matrix[drawn].toarray(), np.float64)
    moved = starts
    for _ in range(spec.steps):
        near = matrix @ _units(moved).T
        near[near < spec.near] = 0.0
        moved = (matrix.T @ near).T
    return [moved, starts] if spec.steps else [starts]


def _units(patterns: Floats) -> Floats:
    return np.asarray(patterns / np.maximum(np.linalg.norm(patterns, axis=1, keepdims=True), 1e-300))


def _distinct(patterns: Floats, alike: float) -> Floats:
    """Return the patterns as unit vectors, without those that are like an earlier one that stays."""
    units = _units(patterns[patterns.max(axis=1) > 0])
    like = units @ units.T > alike
    kept: list[int] = []
    gone = np.zeros(len(units), dtype=np.bool_)
    for at in range(len(units)):
        if not gone[at]:
            kept.append(at)
            gone |= like[at]
    return units[kept]
