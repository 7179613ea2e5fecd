from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from lnmf_core.choice import KIND, RIVALS, choice_of, features
from lnmf_core.rules.base import Traits
from lnmf_core.training.choice import (
    ChoiceSpec,
    Trial,
    fitted,
    poisson_counts,
    sparse_counts,
    train_choice,
    weights_of,
)
from lnmf_core.weights.store import load, save

SMALL = ChoiceSpec(
    shapes=((12, 10, 2),), noises=(0.1,), sparse_shapes=((30, 20, 2),), count_shapes=(), repeats=1, iterations=60
)


def test_what_was_trained_can_be_saved_and_loaded(tmp_path: Path) -> None:
    ticks = itertools.count()
    weights, trials = train_choice(SMALL, clock=lambda: float(next(ticks)))
    assert [trial.traits.rank for trial in trials] == [2, 2]
    assert trials[0].traits.density == 1.0
    assert 0 < trials[1].traits.density < 1
    save("mine", weights_of(SMALL, weights, "unknown", {}), tmp_path)
    np.testing.assert_array_equal(choice_of(load("mine", KIND, tmp_path)).logs, weights.logs)


def test_a_run_that_fails_counts_as_slower_than_the_slowest(monkeypatch: pytest.MonkeyPatch) -> None:
    # With a gap of nothing only the best rule arrives.
    monkeypatch.setattr("lnmf_core.training.choice.GAP", 0.0)
    ticks = itertools.count()
    _, trials = train_choice(SMALL, clock=lambda: float(next(ticks)))
    assert sorted({round(seconds, 9) for trial in trials for seconds in trial.seconds}) == [1.0, 4.0]


def test_what_was_measured_at_one_place_is_averaged() -> None:
    here, there = Traits(30, 20, 3, 1.0), Traits(90, 80, 3, 1.0)
    rivals = len(RIVALS)
    trials = [Trial(here, (1.0,) * (1 + rivals)), Trial(here, (1.0, *[math.e**2] * rivals))]
    weights = fitted([*trials, Trial(there, (2.0, *[1.0] * rivals))])
    np.testing.assert_allclose(weights.logs, [[1.0] * rivals, [-math.log(2)] * rivals])
    np.testing.assert_allclose(weights.places, [features(here), features(there)], atol=0.05)


def test_sparse_counts_are_logarithms_of_whole_numbers() -> None:
    X = sparse_counts(50, 40, 3, np.random.default_rng(0))
    counts = np.expm1(X.data)
    np.testing.assert_allclose(counts, np.round(counts), rtol=1e-9)
    assert counts.min() >= 1
    assert X.nnz < 50 * 40 / 2


def test_dense_counts_are_whole_numbers_and_many_are_zero() -> None:
    X = poisson_counts(50, 40, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(X, np.round(X))
    assert 0.1 < (X > 0).mean() < 0.9
