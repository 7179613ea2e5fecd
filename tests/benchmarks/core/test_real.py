from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from benchmarks.core import real, results
from benchmarks.core.traffic import Problem
from lnmf_core import ExtrapolatedHals, Hals, Multiplicative

SLOW, QUICK, OTHER = (
    real.Ours("HALS", "a", Hals(1)),
    real.Ours("HALS", "b", Hals(2)),
    real.Ours("multiplicative", "", Multiplicative()),
)


def problem() -> Problem:
    chance = np.random.default_rng(3)
    return Problem(csr_array(chance.poisson(1.0, (12, 9)).astype(float)), 3)


def test_the_setting_with_the_least_geometric_mean_stands_for_its_kind() -> None:
    times: list[dict[real.Contender, float]] = [{SLOW: 1.0, QUICK: 3.0}, {SLOW: 9.0, QUICK: 2.0}]
    assert real.fastest([SLOW, QUICK], times) is QUICK


def test_never_to_arrive_costs_more_than_to_be_slow() -> None:
    times: list[dict[real.Contender, float]] = [{SLOW: 4.0, QUICK: 1.0}, {SLOW: 4.0}, {SLOW: 4.0}]
    assert real.fastest([SLOW, QUICK], times) is SLOW


def test_the_iterations_that_are_needed_reach_the_goal_and_fewer_do_not() -> None:
    window = problem()
    end = OTHER.run(window, real.ITERATIONS).error
    needed, never = OTHER.needs(window, [1.01 * end, 0.5 * end])
    assert never is None
    assert needed is not None
    assert needed > 1
    assert OTHER.run(window, needed).error <= 1.01 * end < OTHER.run(window, needed - 1).error


def test_the_best_classical_rule_is_one_and_others_are_measured_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = real.Ours("extrapolated HALS", "c", ExtrapolatedHals(1))
    seconds: dict[real.Contender, float] = {SLOW: 0.004, quick: 0.002, OTHER: 0.008}
    monkeypatch.setattr(real, "timed", lambda *_: seconds)
    monkeypatch.setattr(real, "memory_of", lambda entrants, _: dict.fromkeys(entrants, 1.5))
    windows = [real.Window(problem(), ({SLOW: 1, quick: 2, OTHER: 30},))] * 3
    rows = {row.contender: row for row in real.rows_of(list(seconds), windows, 0)}
    assert {name: row.speedup.mean for name, row in rows.items()} == pytest.approx(
        {"HALS, a": 0.5, "extrapolated HALS, c": 1.0, "multiplicative": 0.25}
    )
    assert rows["multiplicative"].iterations == 30
    assert rows["multiplicative"].ms == pytest.approx(8.0)
    assert {(row.arrived.mean, row.peak_MiB) for row in rows.values()} == {(1.0, 1.5)}


def test_a_window_that_can_be_had_exactly_is_no_problem() -> None:
    exact = Problem(csr_array(np.outer(np.arange(1.0, 9.0), np.arange(1.0, 6.0))), 2)
    assert real.window_of(exact, [SLOW]) is None


def test_verdicts_of_further_captures_are_read_too(tmp_path: Path) -> None:
    verdict: dict[str, Any] = {"verdicts": [{"group": "g"}]}
    with pytest.raises(results.ResultError, match=r"real\.json is missing"):
        real.load_verdicts(tmp_path)
    for name in ("real", "real-office"):
        results.save(tmp_path, name, verdict, [])
    assert real.load_verdicts(tmp_path) == {"real": [{"group": "g"}], "real-office": [{"group": "g"}]}
