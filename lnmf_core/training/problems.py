"""Problems with known answers, to train and to judge learned rules; numpy alone, so that seeds mean the same."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import sparse

from lnmf_core.errors import MatrixError, ParameterError, whole_number
from lnmf_core.matrix import checked
from lnmf_core.rules.hals import Hals
from lnmf_core.solve import factorize
from lnmf_core.start import Nndsvd
from lnmf_core.stopping import Stop

if TYPE_CHECKING:
    from pathlib import Path

    from lnmf_core.factors import Array

LARGEST_COUNTS = 1 << 28
"""Bytes that a file of counts may take, unpacked."""

TEACHER = Stop(max_iterations=3000, tolerance=1e-7)
"""When the classical factorisation that a learned rule is shown counts as converged."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """`count` problems of one size: X (count × n × m) ≈ D (count × n × k) · C, with C turned: count × m × k."""

    X: Array
    D: Array
    Ct: Array

    def __post_init__(self) -> None:
        count, rows, columns = self.X.shape
        rank = self.D.shape[-1]
        if self.D.shape != (count, rows, rank) or self.Ct.shape != (count, columns, rank):
            raise ValueError(f"X {self.X.shape}, D {self.D.shape} and Cᵀ {self.Ct.shape} do not fit together")


class Problems(Protocol):
    """Draws batches."""

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Return `count` problems in float32."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """X = [D·C + e]₊ with D, C ~ U(0, 1) and e ~ N(0, noise²): the thesis' problems.

    Raises ParameterError for a size below 1 or noise that is not finite and nonnegative.
    """

    rows: int = 30
    columns: int = 30
    rank: int = 3
    noise: float = 0.0

    def __post_init__(self) -> None:
        _check_sizes(self.rows, self.columns, self.rank)
        _check_noise(self.noise)

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Return `count` problems in float32."""
        D = rng.random((count, self.rows, self.rank), np.float32)
        Ct = rng.random((count, self.columns, self.rank), np.float32)
        X = D @ Ct.transpose(0, 2, 1)
        if self.noise:
            X += np.float32(self.noise) * rng.standard_normal(X.shape, np.float32)
        return Batch(np.maximum(X, 0), D, Ct)


@dataclass(frozen=True, slots=True)
class PlantedCounts:
    """log(1 + counts) of sources that each follow one or two of k planted patterns of a few services.

    A pattern holds `services` columns; counts are Poisson around `attempts` for each (source, service) of the
    source's patterns, and `stray` for all others. The factors that are returned are those that were planted.
    Raises ParameterError for a size below 1, or rates that are not finite and nonnegative.
    """

    rows: int = 60
    columns: int = 40
    rank: int = 3
    services: int = 6
    attempts: float = 4.0
    stray: float = 0.02

    def __post_init__(self) -> None:
        _check_sizes(self.rows, self.columns, self.rank)
        whole_number("services", self.services, ParameterError)
        _check_noise(self.attempts)
        _check_noise(self.stray)

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Return `count` problems in float32."""
        shape = (count, self.columns, self.rank)
        nth = rng.random(shape).argsort(axis=1).argsort(axis=1)
        Ct = (nth < self.services) * rng.uniform(0.5, 1.5, shape)
        follows = rng.random((count, self.rows, self.rank)) < 1 / self.rank
        main = rng.integers(self.rank, size=(count, self.rows))
        follows |= main[..., np.newaxis] == np.arange(self.rank)
        D = follows * rng.uniform(0.5, 1.5, follows.shape)
        counts = rng.poisson(self.attempts * (D @ Ct.transpose(0, 2, 1)) + self.stray)
        # log(1 + a·x) ≈ x·log(1 + a) near x = 1: so the planted pair stays near the best one.
        D *= np.log1p(self.attempts)
        return Batch(np.log1p(counts).astype(np.float32), D.astype(np.float32), Ct.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class RealCounts:
    """Parts of a real count matrix with the factors that a well-converged classical rule has found for it.

    A part has the same `rows` and `columns` of X, D and C, drawn at random: the whole's factors fit it too.
    """

    X: sparse.csr_array[Any]
    D: Array
    Ct: Array
    rows: int
    columns: int

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Return `count` parts in float32."""
        parts = [self._part(rng) for _ in range(count)]
        X, D, Ct = (np.stack(each).astype(np.float32) for each in zip(*parts, strict=True))
        return Batch(X, D, Ct)

    def _part(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        rows, columns = self.X.shape
        kept_rows = rng.choice(rows, self.rows, replace=False)
        kept_columns = rng.choice(columns, self.columns, replace=False)
        return self.X[kept_rows][:, kept_columns].toarray(), self.D[kept_rows], self.Ct[kept_columns]


@dataclass(frozen=True, slots=True)
class Mixed:
    """Each batch comes from one of several kinds of problems, drawn at random.

    Raises ParameterError if there are none.
    """

    kinds: tuple[Problems, ...]

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ParameterError("kinds is empty: name at least one kind of problems")

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Return `count` problems in float32, all of one kind."""
        return self.kinds[int(rng.integers(len(self.kinds)))].draw(rng, count)


def near_start(rng: np.random.Generator, batch: Batch, spread: float = 0.02) -> tuple[Array, Array]:
    """Return D₀ = [D + ε]₊ and C₀ᵀ alike, ε ~ N(0, spread²): where the thesis' rule is trained.

    `spread` counts in units of twice the mean of each problem's factor, which is 1 for U(0, 1).
    """
    return _shaken(rng, batch.D, spread), _shaken(rng, batch.Ct, spread)


def random_start(rng: np.random.Generator, batch: Batch) -> tuple[Array, Array]:
    """Return D₀ and C₀ᵀ, uniform, scaled so that D₀·C₀ has the mean of X; see `RandomStart`."""
    level = np.sqrt(4 * batch.X.mean(axis=(1, 2), keepdims=True) / batch.D.shape[-1])
    D, Ct = (level * rng.random(factor.shape, np.float32) for factor in (batch.D, batch.Ct))
    return D, Ct


def read_counts(path: Path) -> sparse.csr_array[Any]:
    """Return log(1 + counts) of a matrix that `scipy.sparse.save_npz` has written.

    Empty rows and columns are dropped. Raises MatrixError if it is missing, too large, no such file, or no
    counts; nothing is unpickled.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        stored: Any = sparse.load_npz(path) if size <= LARGEST_COUNTS else None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise MatrixError(f"{path}: is no matrix that scipy.sparse.save_npz has written ({error})") from error
    if stored is None:
        raise MatrixError(f"{path}: unpacks to {size} bytes; at most {LARGEST_COUNTS} are read")
    counts = sparse.csr_array(checked(stored).values).log1p()
    counts = counts[np.flatnonzero(counts.sum(axis=1))]
    return sparse.csr_array(counts[:, np.flatnonzero(counts.sum(axis=0))])


def teach(X: sparse.csr_array[Any], rank: int, rows: int, columns: int) -> RealCounts:
    """Return parts (`rows` × `columns`, at most those of X) of X with the factors of a converged HALS."""
    factors = factorize(X, rank, rule=Hals(sweeps=6), start=Nndsvd(), stop=TEACHER).factors
    return RealCounts(X, factors.D, factors.C.T, min(rows, X.shape[0]), min(columns, X.shape[1]))


def _shaken(rng: np.random.Generator, factor: Array, spread: float) -> Array:
    unit = 2 * np.float32(spread) * factor.mean(axis=(1, 2), keepdims=True)
    shaken: Array = np.maximum(factor + unit * rng.standard_normal(factor.shape, np.float32), 0)
    return shaken


def _check_sizes(rows: int, columns: int, rank: int) -> None:
    for name, size in (("rows", rows), ("columns", columns), ("rank", rank)):
        whole_number(name, size, ParameterError)
    if rank > min(rows, columns):
        raise ParameterError(f"rank is {rank}: for {rows} × {columns} it can be {min(rows, columns)} at most")


def _check_noise(value: float) -> None:
    if not (np.isfinite(value) and value >= 0):
        raise ParameterError(f"a rate of {value}: it must be finite and not negative")
