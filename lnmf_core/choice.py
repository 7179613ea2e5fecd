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
FEATURES = 3
"""The kind of problem, log2 of the stored entries and log2 of the rank."""
FULL = 0.9
"""Share of entries that are not zero from which a dense X is of the kind without zeros (0, else 1; 2: sparse)."""
WIDTH = 0.75
"""Distance, in powers of two, over which what was measured at one size tells something of another."""
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
    return np.array([kind, math.log2(max(entries, 1.0)), math.log2(traits.rank)])


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceWeights:
    """Predicts the logarithm of each rival's time, as a share of the classical rule's.

    The prediction is the mean of what was measured, by the nearness of the place (Nadaraya 1964, Watson 1964), so
    that nothing is extrapolated. Raises WeightsError if the shapes do not fit.
    """

    places: NDArray[np.float64]
    """trials × `FEATURES`."""
    logs: NDArray[np.float64]
    """trials × rivals."""

    def __post_init__(self) -> None:
        count = len(self.places)
        for name, shape in {"places": (count, FEATURES), "logs": (count, len(RIVALS))}.items():
            if getattr(self, name).shape != shape:
                raise WeightsError(f"choice: {name} has shape {getattr(self, name).shape}, not {shape}")

    def log_times(self, traits: Traits) -> NDArray[np.float64]:
        """Return one prediction for each rival; 0 if no problem of this kind was measured."""
        kind, *where = features(traits)
        alike = self.places[:, 0] == kind
        if not alike.any():
            return np.zeros(len(RIVALS))
        apart = ((self.places[alike, 1:] - where) ** 2).sum(axis=1) / (2 * WIDTH**2)
        nearness = np.exp(apart.min() - apart)
        return np.asarray(nearness @ self.logs[alike] / nearness.sum())


@cache
def shipped_choice() -> ChoiceWeights:
    """Return the weights that are part of the package; raises WeightsError if their files are damaged."""
    return choice_of(load(KIND, KIND))


def choice_of(weights: Weights) -> ChoiceWeights:
    """Return what weights of kind `choice` hold; raises WeightsError if arrays are missing or misshapen."""
    places, logs = weights.array("places", -1, FEATURES), weights.array("logs", -1, len(RIVALS))
    return ChoiceWeights(np.asarray(places, np.float64), np.asarray(logs, np.float64))


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
