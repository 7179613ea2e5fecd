from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import lnmf_core
from lnmf_core.batch import BatchableRule, factorize_batch
from tests.conftest import REPOSITORY

RULES: list[BatchableRule] = [
    lnmf_core.Hals(),
    lnmf_core.ExtrapolatedHals(),
    lnmf_core.JointGaussNewton(),
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


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("start", [None, lnmf_core.RandomStart(5)], ids=["default", "random"])
def test_a_batch_gives_what_each_problem_gives_alone(rule: BatchableRule, start: lnmf_core.Start | None) -> None:
    X = problems(6)
    for b, solution in enumerate(factorize_batch(X, 3, rule=rule, start=start, stop=STOP)):
        alone = lnmf_core.factorize(X[b], 3, rule=rule, start=start, stop=STOP)
        assert solution.reason == alone.reason
        assert solution.errors == pytest.approx(alone.errors, abs=1e-9)
        assert pytest.approx(alone.factors.D, abs=1e-9) == solution.factors.D
        assert pytest.approx(alone.factors.C, abs=1e-9) == solution.factors.C


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
