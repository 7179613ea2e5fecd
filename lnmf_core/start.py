"""Where an iteration begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lnmf_core.errors import FactorError, ParameterError, whole_number
from lnmf_core.factors import Array, Factors
from lnmf_core.kernels.directions import keep_parts, part_norms
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
        of_left, of_right = part_norms(triplets.left, rank), part_norms(triplets.right, rank)
        # Positive parts of both, or minus their negative parts: where more is held.
        larger = np.argmax(of_left * of_right, axis=1)[:, np.newaxis]
        sign = 1 - 2 * larger[:, 0]
        left_norms, right_norms = (
            np.sqrt(np.take_along_axis(norms, larger, 1)[:, 0]) for norms in (of_left, of_right)
        )
        strength = np.sqrt(triplets.values * left_norms * right_norms)
        alive = strength > 0
        D, Ct = triplets.left, triplets.right
        for part, norms in ((D, left_norms), (Ct, right_norms)):
            keep_parts(part, sign * np.divide(strength, norms, out=np.zeros_like(norms), where=alive))
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


def _filled(factor: Array) -> Array:
    return np.where(factor == 0, factor.mean(axis=0), factor)
