"""The learned rule of the thesis: a small network turns the gradient of a row into its step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnmf_core.errors import ParameterError, WeightsError
from lnmf_core.weights.store import Weights, load

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations

KIND = "mlp"

DEFAULT = "mlp-one-step-1e-1"
"""The shipped set that ended nearest to the best error over validation problems of all noise levels and counts."""

CURVATURE = 10.0
"""gram_jj of the problems that the thesis trains on: 30 columns of squares of U(0, 1)."""

LEVEL = 6.0
"""Input and output of the network count in this many times the row's level. Measured: with 2, a gradient of the
usual size lies in the logarithmic part of the preprocessing, and runs from random starts stall earlier."""

LONGEST = 8.0
"""Above this multiple of the learned step the network's own form no longer matters."""


@dataclass(frozen=True, slots=True, eq=False)
class Pace:
    """What `LearnedMlp` remembers of one factor."""

    mode: int
    updates: int
    length: float
    """By what the learned step is multiplied now."""
    last: Array | None
    """The factor that was returned last, to see whether the loop has taken it back."""


@dataclass(frozen=True, slots=True)
class LearnedMlp:
    """F ← [F − u(∇_F L)]₊ with u(x) = W_out · tanh(W_in · x), row by row; one pair of W for D, one for C.

    From "Speeding up nonnegative matrix factorisation by learning" (master's thesis, 2020), with its
    preprocessing of the gradient. Three things are added. Each row is brought to the scale of the training
    problems, from its own cross and the gram alone, so that neither the unit nor the size of X matters, and a
    row may be updated without the others. A rank other than the network's is taken in groups of components,
    the last one filled with zeros: u(0) = 0. The step is lengthened by `growth` after each update that was
    kept and by `shrink` after each that was taken back; with 1 and 1 it is the thesis' step.

    Raises WeightsError for weights that do not fit, ParameterError unless growth ≥ 1 and 0 < shrink ≤ 1.
    """

    weights: Weights = field(default_factory=lambda: load(DEFAULT, KIND), repr=False, compare=False)
    growth: float = 1.5
    shrink: float = 0.5

    monotone: ClassVar[bool] = False
    zeros_lock: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.growth <= LONGEST:
            raise ParameterError(f"growth is {self.growth}: it must lie between 1 and {LONGEST}")
        if not 0 < self.shrink <= 1:
            raise ParameterError(f"shrink is {self.shrink}: it must lie above 0 and not above 1")
        self._check_weights()

    def init(self, _factor: Array, mode: int, /) -> Pace:
        """Return the pace of a first step; see `UpdateRule.init`."""
        return Pace(mode, 0, 1.0, None)

    def update(self, factor: Array, normal: NormalEquations, state: Pace, /) -> tuple[Array, Pace]:
        """Return `factor` after one learned step; see `UpdateRule.update`."""
        length = state.length
        if state.last is not None:
            kept = state.last is factor
            length = min(length * self.growth, LONGEST) if kept else length * self.shrink
        name = "DC"[state.mode]
        w_in = self.weights.arrays[f"{name}_in"].astype(factor.dtype, copy=False)
        w_out = self.weights.arrays[f"{name}_out"].astype(factor.dtype, copy=False)
        times = self.weights.arrays["schedule"]
        this = length * float(times[state.updates % len(times), state.mode])
        moved = learned_step(factor, normal.cross, normal.gram, w_in, factor.dtype.type(this) * w_out)
        return moved, Pace(state.mode, state.updates + 1, length, moved)

    def _check_weights(self) -> None:
        if self.weights.card.kind != KIND:
            raise WeightsError(f"weights are of kind {self.weights.card.kind!r}, not {KIND!r}")
        for name in "DC":
            hidden, group = self.weights.array(f"{name}_in", -1, -1).shape
            self.weights.array(f"{name}_out", group, hidden)
        if not len(self.weights.array("schedule", -1, 2)):
            raise WeightsError("array 'schedule' is empty; train the set again")


def preprocessed(gradient: Array) -> Array:
    """Return sgn(g)·(log|g| + 2) where |g| ≥ 1/e, else e·g: both are ±1 at |g| = 1/e.

    The preprocessing of Andrychowicz et al. 2016 (appendix A) with p = 1, in one number, moved so that it is
    continuous and keeps the sign.
    """
    size = np.abs(gradient)
    bent = np.log(np.maximum(size, np.exp(-1))) + 2
    return np.where(size >= np.exp(-1), np.copysign(bent, gradient), np.e * gradient).astype(gradient.dtype)


def learned_step(factor: Array, cross: Array, gram: Array, w_in: Array, w_out: Array) -> Array:
    """Return [factor − u(gradient)]₊, rows × k, each row by itself.

    w_in is hidden × group, w_out group × hidden. Components that the partner lacks stay as they are; rows of
    X that hold nothing become zero, which is their minimum.
    """
    rows, k = factor.shape
    least = np.finfo(factor.dtype).tiny
    alive = np.diagonal(gram) > least
    unit = np.sqrt(np.where(alive, np.diagonal(gram), 1) / CURVATURE).astype(factor.dtype)
    level = row_level(cross / unit, gram / np.outer(unit, unit))
    filled = level > least
    scale = np.where(filled, level, 1)[:, np.newaxis]
    gradient = (factor @ gram - cross) / (unit * scale)
    group = w_in.shape[1]
    padded = np.zeros((rows, -(-k // group) * group), factor.dtype)
    padded[:, :k] = preprocessed(gradient)
    step = np.tanh(padded.reshape(-1, group) @ w_in.T) @ w_out.T
    moved = np.maximum(factor - step.reshape(rows, -1)[:, :k] * (scale / unit), 0)
    return np.where(alive, np.where(filled[:, np.newaxis], moved, 0), factor).astype(factor.dtype)


def row_level(cross: Array, gram: Array) -> Array:
    """Return, for each row, LEVEL times the best value if all its components had to be equal."""
    total = gram.sum()
    level: Array = LEVEL * cross.sum(axis=1) / (total if total > 0 else 1)
    return level
