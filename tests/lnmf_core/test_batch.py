from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import lnmf_core
from lnmf_core.batch import factorize_batch
from lnmf_core.batch_rules import BatchableRule
from lnmf_core.choice import RIVALS, ChoiceWeights
from lnmf_core.matrix import checked
from lnmf_core.solve import planned
from tests.conftest import REPOSITORY

RULES: list[BatchableRule | lnmf_core.RuleChoice] = [
    lnmf_core.Hals(),
    lnmf_core.Hals(sweeps=1),
    lnmf_core.ExtrapolatedHals(),
    lnmf_core.SteadyHals(),
    lnmf_core.LearnedMomentum(),
    lnmf_core.JointGaussNewton(),
    lnmf_core.LearnedMlp(),
    lnmf_core.Learned(),
    lnmf_core.Multiplicative(),
    lnmf_core.ProjectedGradient(),
]
STOP = lnmf_core.Stop(max_iterations=40, tolerance=1e-6)


def problems(count: int, dtype: Any = np.float64) -> Any:
    chance = np.random.default_rng(3)
    noise = chance.normal(0, 0.01, (count, 20, 15))
    return np.maximum(chance.random((count, 20, 3)) @ chance.random((count, 3, 15)) + noise, 0).astype(dtype)


@pytest.fixture(autouse=True)
def _torch() -> None:
    pytest.importorskip("torch", reason="torch comes with yocho[train]")


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("start", [None, lnmf_core.RandomStart(5)], ids=["default", "random"])
def test_a_batch_gives_what_each_problem_gives_alone(
    rule: BatchableRule | lnmf_core.RuleChoice, start: lnmf_core.Start | None
) -> None:
    X = problems(6)
    for b, solution in enumerate(factorize_batch(X, 3, rule=rule, start=start, stop=STOP)):
        alone = lnmf_core.factorize(X[b], 3, rule=rule, start=start, stop=STOP)
        assert solution.reason == alone.reason
        assert solution.errors == pytest.approx(alone.errors, abs=1e-9)
        assert pytest.approx(alone.factors.D, abs=1e-9) == solution.factors.D
        assert pytest.approx(alone.factors.C, abs=1e-9) == solution.factors.C


def test_a_choice_is_made_for_each_problem_as_it_is_alone() -> None:
    X = problems(4)
    X[[1, 3]] *= np.random.default_rng(0).random((20, 15)) < 0.5
    logs = np.zeros((3, len(RIVALS)))
    logs[0, 0] = logs[1, -1] = -1.0  # without zeros the schedule, with some joint steps
    choice = lnmf_core.Learned(ChoiceWeights(np.array([[kind, 0.0, 0.0, 0.0] for kind in range(3)]), logs))
    assert [type(planned(choice, checked(x), 3)[0]) for x in X[:2]] == [
        lnmf_core.LearnedMomentum,
        lnmf_core.JointGaussNewton,
    ]
    for b, solution in enumerate(factorize_batch(X, 3, rule=choice, stop=STOP)):
        alone = lnmf_core.factorize(X[b], 3, rule=choice, stop=STOP)
        assert solution.errors == pytest.approx(alone.errors, abs=1e-9)
        assert pytest.approx(alone.factors.D, abs=1e-9) == solution.factors.D


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_networks_take_other_ranks_rows_of_zeros_and_dead_components_as_alone(rank: int) -> None:
    X = problems(3)
    X[1, 4] = 0
    rng = np.random.default_rng(1)
    D, C = rng.random((20, rank)), rng.random((rank, 15))
    C[rank - 1] = 0
    stop = lnmf_core.Stop(12, 0.0)
    for start in (lnmf_core.RandomStart(2), lnmf_core.WarmStart(D, C)):
        found = factorize_batch(X, rank, rule=lnmf_core.LearnedMlp(), start=start, stop=stop)
        for b, solution in enumerate(found):
            alone = lnmf_core.factorize(X[b], rank, rule=lnmf_core.LearnedMlp(), start=start, stop=stop)
            assert solution.errors == pytest.approx(alone.errors, abs=1e-9)
            assert pytest.approx(alone.factors.D, abs=1e-9) == solution.factors.D


def test_a_rule_that_looks_at_the_data_has_no_batched_form() -> None:
    rule: Any = lnmf_core.SparseRows(np.ones(20))
    with pytest.raises(lnmf_core.ParameterError, match="SparseRows has no batched form"):
        factorize_batch(problems(2), 3, rule=rule)


def test_a_start_that_overflows_is_refused() -> None:
    huge = lnmf_core.WarmStart(np.full((20, 1), 1e90), np.full((1, 15), 1e90))
    with pytest.raises(lnmf_core.FactorError, match="overflow"):
        factorize_batch(problems(1), 1, start=huge)


def test_each_problem_stops_by_itself() -> None:
    X = problems(5)
    X[2] = np.outer(np.arange(1.0, 21.0), np.arange(1.0, 16.0))  # rank 1: exact at once
    solutions = factorize_batch(X, 1, stop=STOP)
    assert solutions[2].reason is lnmf_core.StopReason.EXACT
    assert len(solutions[2].errors) < max(len(solution.errors) for solution in solutions)


def test_float32_stays_float32() -> None:
    (solution,) = factorize_batch(problems(1, np.float32), 3, stop=STOP)
    assert solution.factors.D.dtype == np.float32
    assert solution.errors[-1] < 0.05


def test_zero_rows_and_columns_are_harmless() -> None:
    X = problems(3)
    X[1, 4] = 0
    X[1, :, 7] = 0
    for rule in RULES:
        for solution in factorize_batch(X, 3, rule=rule, stop=STOP):
            assert np.isfinite(solution.factors.D).all()
            assert list(solution.errors) == sorted(solution.errors, reverse=True)


def test_a_bad_problem_is_named() -> None:
    X = problems(3)
    X[1, 2, 3] = -1
    with pytest.raises(lnmf_core.MatrixError, match=r"problem 1: X\[2, 3\] is -1\.0"):
        factorize_batch(X, 3)
    with pytest.raises(lnmf_core.MatrixError, match="three dimensions"):
        factorize_batch(X[0], 3)
    with pytest.raises(lnmf_core.RankError, match="rank is 16"):
        factorize_batch(problems(1), 16)


def test_importing_the_core_does_not_import_torch() -> None:
    script = "import lnmf_core, lnmf_core.batch, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
