"""The default: a trained choice among the rules, made once for each problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lnmf_core.errors import WeightsError
from lnmf_core.rules.base import JointRule, RuleChoice, Traits, UpdateRule
from lnmf_core.rules.extrapolated_hals import ExtrapolatedHals
from lnmf_core.rules.joint_gauss_newton import LARGEST_RANK, JointGaussNewton
from lnmf_core.rules.learned_momentum import LearnedMomentum
from lnmf_core.rules.steady_hals import SteadyHals
from lnmf_core.weights.store import load

if TYPE_CHECKING:
    from lnmf_core.weights.store import Weights

Rule: TypeAlias = UpdateRule[Any] | JointRule[Any]

KIND = "choice"
"""The kind, and the name, of the shipped weights."""
KINDS = 3
"""Dense X with few zeros, dense X with many, and sparse X: each has its own law."""
PER_KIND = 3
"""A constant, log2 of the stored entries and log2 of the rank."""
FEATURES = KINDS * PER_KIND
FULL = 0.9
"""Share of entries that are not zero from which a dense X counts as one without zeros."""
MARGIN = 0.05
"""Another rule than the classical one must be expected to take this share of time less."""


FEW_SWEEPS = 6
"""Sweeps of the classical rule where a few iterations are enough, as on sparse counts."""
RIVALS: tuple[Callable[[], Rule], ...] = (
    LearnedMomentum,
    partial(ExtrapolatedHals, FEW_SWEEPS),
    SteadyHals,
    JointGaussNewton,
)
"""The rules that stand against the classical one, in the order of the weights."""


def features(traits: Traits) -> NDArray[np.float64]:
    """Return the `FEATURES` numbers that the choice is made by; they cost next to nothing."""
    kind = 2 if traits.sparse else int(traits.density < FULL)
    entries = traits.rows * traits.columns * (traits.density if traits.sparse else 1)
    found = np.zeros((KINDS, PER_KIND))
    found[kind] = 1.0, math.log2(max(entries, 1.0)), math.log2(traits.rank)
    return found.ravel()


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceWeights:
    """Predicts the logarithm of each rival's time, as a share of the classical rule's.

    Raises WeightsError if the shapes do not fit.
    """

    slopes: NDArray[np.float64]
    """rivals × `FEATURES`."""
    least: NDArray[np.float64]
    """The smallest features trained on, by the kind of problem that has them, and ..."""
    most: NDArray[np.float64]
    """... the largest: beyond them nothing is extrapolated."""

    def __post_init__(self) -> None:
        wanted = {"slopes": (len(RIVALS), FEATURES), "least": (FEATURES,), "most": (FEATURES,)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise WeightsError(f"choice: {name} has shape {getattr(self, name).shape}, not {shape}")

    def log_times(self, traits: Traits) -> NDArray[np.float64]:
        """Return one prediction for each rival."""
        given = features(traits)
        concerned = np.repeat(given[::PER_KIND], PER_KIND)
        return np.asarray(self.slopes @ (concerned * np.clip(given, self.least, self.most)))


@cache
def shipped_choice() -> ChoiceWeights:
    """Return the weights that are part of the package; raises WeightsError if their files are damaged."""
    return choice_of(load(KIND, KIND))


def choice_of(weights: Weights) -> ChoiceWeights:
    """Return what weights of kind `choice` hold; raises WeightsError if arrays are missing or misshapen."""
    slopes = weights.array("slopes", len(RIVALS), FEATURES)
    least, most = weights.array("least", FEATURES), weights.array("most", FEATURES)
    return ChoiceWeights(*(np.asarray(each, np.float64) for each in (slopes, least, most)))


@dataclass(frozen=True, slots=True)
class Learned(RuleChoice):
    """Takes the rule that is expected to be done first on a problem of this size, rank and density.

    Small problems are best left to a trained schedule, larger dense ones to joint steps, sparse counts to
    neither; where nothing is expected to be much faster it is the classical rule, `ExtrapolatedHals`. Whatever
    is chosen runs in the one loop, which takes back what raises the error or is not finite.
    """

    weights: ChoiceWeights = field(default_factory=shipped_choice, repr=False)

    zeros_lock: ClassVar[bool] = False

    def choose(self, traits: Traits, /) -> Rule:
        """Return the rule; see `RuleChoice.choose`."""
        return _best(self.weights, traits)


@lru_cache(maxsize=256)
def _best(weights: ChoiceWeights, traits: Traits) -> Rule:
    """Return the rule that is expected to be done first: making one takes as long as an iteration."""
    predicted = weights.log_times(traits)
    if traits.rank > LARGEST_RANK:
        predicted[-1] = math.inf
    best = int(np.argmin(predicted))
    return RIVALS[best]() if predicted[best] < math.log1p(-MARGIN) else ExtrapolatedHals()
