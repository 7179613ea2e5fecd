from __future__ import annotations

import numpy as np

from benchmarks.core import results, speed
from lnmf_core import ExtrapolatedHals, Multiplicative


def test_closer_takes_as_many_iterations_or_more_and_who_never_arrives_is_missing() -> None:
    problem = speed.dense(12, 10, 2, 0.1)(3)
    rules = {"quick": ExtrapolatedHals(2), "slow": Multiplicative()}
    found = speed.timed(problem, rules, 30, np.random.default_rng(0))
    near, nearest = (found[gap] for gap in speed.GAPS)
    assert near["quick"].iterations <= nearest["quick"].iterations
    assert nearest["quick"].loop_seconds <= nearest["quick"].seconds
    assert "slow" not in nearest


def test_never_to_arrive_costs_more_than_to_be_slow() -> None:
    runs = [{"1": speed.Arrival(3, 1.0, 1.0), "2": speed.Arrival(9, 2.0, 2.0)}, {"2": speed.Arrival(9, 2.0, 2.0)}]
    assert speed._fastest(runs[:1], {"1": None, "2": None}) == 1
    assert speed._fastest(runs, {"1": None, "2": None}) == 2


def test_each_kind_of_problem_has_a_table_of_both_tolerances() -> None:
    ratio, share = results.Interval(1.5, 1.25, 1.75, 9), results.share(9, 10)
    rows = [
        speed.Row("a", gap, 3, "HALS", share, 12.0, 0.5, ratio, ratio, 0.25) for gap in speed.GAPS
    ] + [speed.Row("b", 0.01, 6, "HALS", results.share(0, 4), float("nan"), float("nan"),
                   results.geometric_mean([], np.random.default_rng(0)), ratio, 0.0)]  # fmt: skip
    page = speed.markdown(rows, results.machine(()))
    assert "10 problems. Sweeps of the best classical rule: 3 to 1 %, 3 to 0.1 %." in page
    line = "| HALS | 1 % | 90 % (60–98) | 12 | 0.5 | 1.50 (1.25–1.75) | 1.50 (1.25–1.75) | 0.2 |"
    assert page[page.index("## a") :].count(line) == 1
    assert "| HALS | 1 % | 0 % (0–49) | – | – | – | 1.50 (1.25–1.75) | 0.0 |" in page[page.index("## b") :]
