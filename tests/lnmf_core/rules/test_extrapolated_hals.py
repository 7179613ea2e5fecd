from typing import Any

import numpy as np
import pytest

from lnmf_core import ExtrapolatedHals, Hals, ParameterError, RandomStart, Stop, factorize


def planted(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return np.maximum(rng.random((30, 3)) @ rng.random((3, 30)) + 0.01 * rng.standard_normal((30, 30)), 0)


def test_it_needs_fewer_iterations_than_plain_sweeps() -> None:
    needed = {}
    for rule in (Hals(sweeps=6), ExtrapolatedHals(sweeps=6)):
        runs = [
            factorize(planted(seed), 3, rule=rule, start=RandomStart(100 + seed), stop=Stop(2000, 0.0))
            for seed in range(9)
        ]
        needed[type(rule)] = np.median([np.argmax(np.array(run.errors) <= 1.001 * run.error) for run in runs])
    assert needed[ExtrapolatedHals] < 0.6 * needed[Hals]


def test_more_components_are_swept_more_often() -> None:
    assert ExtrapolatedHals().plan(3).sweeps < ExtrapolatedHals().plan(12).sweeps
    assert ExtrapolatedHals(sweeps=2).plan(12).sweeps == 2


@pytest.mark.parametrize("sweeps", [0, -1, 1.5, True])
def test_an_impossible_number_of_sweeps_is_refused(sweeps: Any) -> None:
    with pytest.raises(ParameterError, match=f"sweeps is {sweeps}"):
        ExtrapolatedHals(sweeps=sweeps)
