from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
    return Learned(ChoiceWeights(np.array([[kind, 0.0, 0.0] for kind in range(3)]), np.array([logs] * 3)))


def test_the_features_are_the_kind_and_the_sizes() -> None:
    assert features(Traits(64, 32, 4, 1.0)).tolist() == [0.0, 11.0, 2.0]
    assert features(WHERE).tolist() == [1.0, 11.0, 2.0]
    assert features(Traits(64, 32, 4, 0.5, sparse=True)).tolist() == [2.0, 10.0, 2.0]
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
    far = weights.log_times(Traits(1 << 30, 1 << 30, 1 << 20, 1.0))
    assert (far >= weights.logs.min(axis=0)).all()
    assert (far <= weights.logs.max(axis=0)).all()


def test_the_nearest_trial_counts_most_and_other_kinds_do_not() -> None:
    places = np.array([[0.0, 10.0, 2.0], [0.0, 14.0, 2.0], [1.0, 11.0, 2.0]])
    weights = ChoiceWeights(places, np.array([[-1.0] * 4, [1.0] * 4, [5.0] * 4]))
    assert weights.log_times(Traits(32, 32, 4, 1.0))[0] == pytest.approx(-1.0, abs=1e-3)
    assert weights.log_times(Traits(64, 64, 4, 1.0))[0] == pytest.approx(0.0)
    assert weights.log_times(Traits(64, 64, 4, 0.1, sparse=True)).tolist() == [0.0] * 4


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


@pytest.mark.parametrize("name", ["places", "logs"])
def test_misshapen_weights_are_refused(name: str) -> None:
    arrays = {"places": np.zeros((5, FEATURES)), "logs": np.zeros((5, len(RIVALS)))}
    wrong = {**arrays, name: np.zeros((5, 7))}
    with pytest.raises(WeightsError, match=name):
        choice_of(Weights(wrong, ModelCard(KIND, "none", 0, "unknown")))
    with pytest.raises(WeightsError, match=name):
        ChoiceWeights(**wrong)
