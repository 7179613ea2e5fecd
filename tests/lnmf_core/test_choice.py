from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmf_core import (
    ExtrapolatedHals,
    JointGaussNewton,
    Learned,
    LearnedMomentum,
    RandomStart,
    SteadyHals,
    Stop,
    Traits,
    factorize,
)
from lnmf_core.choice import (
    FEATURES,
    FEW_SWEEPS,
    KIND,
    PER_KIND,
    RIVALS,
    ChoiceWeights,
    choice_of,
    features,
    shipped_choice,
)
from lnmf_core.errors import WeightsError
from lnmf_core.rules.joint_gauss_newton import LARGEST_RANK
from lnmf_core.weights.store import ModelCard, Weights

WHERE = Traits(rows=64, columns=32, rank=4, density=0.5)


def predicting(*logs: float) -> Learned:
    slopes = np.zeros((len(RIVALS), FEATURES))
    slopes[:, ::PER_KIND] = np.array(logs)[:, np.newaxis]
    return Learned(ChoiceWeights(slopes, np.full(FEATURES, -99.0), np.full(FEATURES, 99.0)))


def test_the_features_are_the_sizes() -> None:
    nothing = [0.0, 0.0, 0.0]
    assert features(Traits(64, 32, 4, 1.0)).tolist() == [1.0, 11.0, 2.0, *nothing, *nothing]
    assert features(WHERE).tolist() == [*nothing, 1.0, 11.0, 2.0, *nothing]
    assert features(Traits(64, 32, 4, 0.5, sparse=True)).tolist() == [*nothing, *nothing, 1.0, 10.0, 2.0]
    assert np.isfinite(features(Traits(5, 5, 1, 0.0, sparse=True))).all()


@pytest.mark.parametrize(
    ("logs", "kind"),
    [
        ((-1.0, 0.0, -0.5, 0.0), LearnedMomentum),
        ((-0.5, 0.0, -1.0, 0.0), SteadyHals),
        ((-0.5, 0.0, 0.0, -1.0), JointGaussNewton),
        ((0.5, 0.0, 0.1, 0.2), ExtrapolatedHals),
        ((-0.04, 0.0, 0.1, 0.2), ExtrapolatedHals),
    ],
)
def test_the_least_prediction_is_taken_if_it_is_much_less_than_the_classical_rule(logs: Any, kind: type) -> None:
    assert type(predicting(*logs).choose(WHERE)) is kind


def test_the_classical_rule_with_few_sweeps_is_a_rival_of_itself() -> None:
    assert predicting(0.0, -1.0, 0.0, 0.0).choose(WHERE) == ExtrapolatedHals(FEW_SWEEPS)


def test_no_joint_steps_where_their_coupling_is_too_large() -> None:
    traits = Traits(500, 500, LARGEST_RANK + 1, 1.0)
    assert type(predicting(-0.5, 0.0, 0.0, -1.0).choose(traits)) is LearnedMomentum


def test_nothing_is_extrapolated_beyond_what_was_trained_on() -> None:
    weights = shipped_choice()
    far = Traits(1 << 30, 1 << 30, 1 << 20, 1.0)
    edge = weights.slopes[:, :PER_KIND] @ weights.most[:PER_KIND]
    np.testing.assert_allclose(weights.log_times(far), edge)
    assert np.abs(edge).max() < 10


def test_dense_problems_get_joint_steps_and_sparse_counts_do_not() -> None:
    assert type(Learned().choose(Traits(1000, 300, 12, 1.0))) is JointGaussNewton
    assert type(Learned().choose(Traits(30, 30, 3, 1.0))) is JointGaussNewton
    assert type(Learned().choose(Traits(5000, 2000, 10, 0.0025, sparse=True))) is not JointGaussNewton


def test_what_is_chosen_is_what_runs() -> None:
    X = np.random.default_rng(0).random((30, 20))
    chosen, plain = (
        factorize(X, 3, rule=rule, start=RandomStart(1), stop=Stop(9, 0.0))
        for rule in (predicting(0.0, 0.0, -1.0, 0.0), SteadyHals())
    )
    assert chosen.errors == plain.errors


def shape_of(**changed: NDArray[Any]) -> Weights:
    arrays = {"slopes": np.zeros((len(RIVALS), FEATURES)), "least": np.zeros(FEATURES), "most": np.zeros(FEATURES)}
    return Weights({**arrays, **changed}, ModelCard(KIND, "none", 0, "unknown"))


@pytest.mark.parametrize("name", ["slopes", "least", "most"])
def test_misshapen_weights_are_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=name):
        choice_of(shape_of(**{name: np.zeros((2, 2))}))
    fields = {"slopes": np.zeros((len(RIVALS), FEATURES)), "least": np.zeros(FEATURES), "most": np.zeros(FEATURES)}
    with pytest.raises(WeightsError, match=name):
        ChoiceWeights(**{**fields, name: np.zeros(2)})
