from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lnmf_core import Hals, LearnedMomentum, RandomStart, Stop, factorize
from lnmf_core.errors import WeightsError
from lnmf_core.rules.learned_momentum import KIND, schedule_of, shipped_schedule
from lnmf_core.weights.store import ModelCard, Weights


def weights(**arrays: Any) -> Weights:
    return Weights(arrays, ModelCard(KIND, "none", 0, "unknown"))


def test_the_shipped_schedule_is_used_for_every_rank() -> None:
    assert LearnedMomentum().plan(3) is LearnedMomentum().plan(12) is shipped_schedule()
    assert shipped_schedule().momentum.max() > 1.5


def test_it_needs_fewer_iterations_than_plain_sweeps() -> None:
    needed: dict[type, list[int]] = {Hals: [], LearnedMomentum: []}
    for seed in range(9):
        rng = np.random.default_rng(seed)
        X = np.maximum(rng.random((30, 3)) @ rng.random((3, 30)) + 0.01 * rng.standard_normal((30, 30)), 0)
        rules = (Hals(sweeps=6), LearnedMomentum())
        runs = [factorize(X, 3, rule=rule, start=RandomStart(50 + seed), stop=Stop(900, 1e-7)) for rule in rules]
        for rule, run in zip(rules, runs, strict=True):
            needed[type(rule)].append(int(np.argmax(np.array(run.errors) <= 1.001 * run.error)))
    assert np.median(needed[LearnedMomentum]) < 0.6 * np.median(needed[Hals])


@pytest.mark.parametrize(
    ("table", "shape", "match"),
    [
        (np.zeros((2, 2)), np.array([6.0, 1.0]), "has shape"),
        (np.full((2, 3), -1.0), np.array([6.0, 1.0]), "negative"),
        (np.zeros((2, 3)), np.array([6.0, 3.0]), "period is 3"),
        (np.zeros((2, 3)), np.array([0.0, 1.0]), "sweeps is 0"),
        (np.zeros((2, 3)), np.array([6.0]), "has shape"),
    ],
)
def test_weights_that_hold_no_schedule_are_refused(table: Any, shape: Any, match: str) -> None:
    with pytest.raises(WeightsError, match=match):
        schedule_of(weights(momentum=table, shape=shape))
