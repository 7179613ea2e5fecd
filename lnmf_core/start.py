"""Where an iteration begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lnmf_core.errors import FactorError, ParameterError, whole_number
from lnmf_core.factors import Array, Factors
from lnmf_core.singular import leading_triplets

if TYPE_CHECKING:
    from lnmf_core.matrix import Matrix


class Start(Protocol):
    """Makes the first factors."""

    def factors(self, matrix: Matrix, rank: int) -> Factors:
        """Return factors of X's dtype, n × rank and rank × m; raises FactorError if none fit this X."""
        ...


@dataclass(frozen=True, slots=True)
class RandomStart:
    """Uniform values, scaled so that D·C has the mean of X. Raises ParameterError for a negative seed."""

    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("seed", self.seed, ParameterError, least=0)

    def factors(self, matrix: Matrix, rank: int) -> Factors:
        """Return random factors; equal seeds give equal factors."""
        rows, columns = matrix.shape
        rng = np.random.default_rng(self.seed)
        # A product of two uniform variables has the mean 1/4, and a sum of `rank` of them makes an entry.
        level = math.sqrt(4 * matrix.mean / rank)
        drawn = level * rng.random((rows + columns) * rank)
        drawn = drawn.astype(matrix.dtype, copy=False)
        border = rows * rank
        return Factors(drawn[:border].reshape(rows, rank), drawn[border:].reshape(rank, columns))


@dataclass(frozen=True, slots=True)
class Nndsvd:
    """Nonnegative double singular value decomposition (Boutsidis & Gallopoulos 2008), randomised.

    Takes the positive or the negative part of each pair of singular vectors, whichever holds more. Its many
    zeros suit every rule but those whose zeros lock, such as `Multiplicative`: with `fill_zeros` each zero
    becomes the mean of its column of D or row of C, as in the paper's variant NNDSVDa, but in the component's
    own unit. A component that X has no singular value for starts at random. Raises ParameterError for a
    negative seed.
    """

    seed: int = 0
    fill_zeros: bool = False

    def __post_init__(self) -> None:
        whole_number("seed", self.seed, ParameterError, least=0)

    def factors(self, matrix: Matrix, rank: int) -> Factors:
        """Return factors from the leading singular triplets; equal seeds give equal factors."""
        triplets = leading_triplets(matrix, rank, self.seed)
        left, right = _larger_parts(triplets.left, triplets.right)
        left_norms, right_norms = np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=0)
        strength = np.sqrt(triplets.values * left_norms * right_norms)
        alive = strength > 0
        D = left * np.divide(strength, left_norms, out=np.zeros_like(strength), where=alive)
        Ct = right * np.divide(strength, right_norms, out=np.zeros_like(strength), where=alive)
        if not alive.all():
            spare = RandomStart(self.seed).factors(matrix, rank)
            D[:, ~alive], Ct[:, ~alive] = spare.D[:, ~alive], spare.C[~alive].T
        if self.fill_zeros:
            D, Ct = _filled(D), _filled(Ct)
        return Factors(D, Ct.T)


@dataclass(frozen=True, slots=True, eq=False)
class WarmStart:
    """Factors from elsewhere, such as the window before; zeros are welcome, as in D = 0 with a known C.

    Values are converted to X's dtype. Raises FactorError if D or C is negative, not finite or of another
    shape than n × rank and rank × m.
    """

    D: Array
    C: Array

    def factors(self, matrix: Matrix, rank: int) -> Factors:
        """Return D and C."""
        rows, columns = matrix.shape
        D = _fitting("D", self.D, (rows, rank), matrix.dtype)
        return Factors(D, _fitting("C", self.C, (rank, columns), matrix.dtype))


def _fitting(name: str, values: object, shape: tuple[int, int], dtype: np.dtype[np.floating[Any]]) -> Array:
    if not isinstance(values, np.ndarray):
        raise FactorError(f"{name} is a {type(values).__name__}: pass a numpy array")
    if values.shape != shape:
        raise FactorError(f"{name} has shape {values.shape}: X and the rank ask for {shape}")
    if values.dtype.kind not in "iuf":
        raise FactorError(f"{name} holds {values.dtype}: convert it to float64 or float32")
    return values.astype(dtype)


def _larger_parts(left: Array, right: Array) -> tuple[Array, Array]:
    """Return the positive parts of both, or minus their negative parts, by column: where more is held."""
    positive = np.linalg.norm(np.maximum(left, 0), axis=0) * np.linalg.norm(np.maximum(right, 0), axis=0)
    negative = np.linalg.norm(np.minimum(left, 0), axis=0) * np.linalg.norm(np.minimum(right, 0), axis=0)
    sign = np.where(positive >= negative, 1, -1).astype(left.dtype)
    return np.maximum(left * sign, 0), np.maximum(right * sign, 0)


def _filled(factor: Array) -> Array:
    return np.where(factor == 0, factor.mean(axis=0), factor)
