from __future__ import annotations

import pytest

pytest.importorskip("torch")

from benchmarks.core import thesis
from benchmarks.core.thesis_report import DEFAULT, STRONGEST, Arrival, arrivals_report

RUNS = {
    STRONGEST: thesis.Runs([(2.0, 1.1, 1.005, 1.0), (2.0, 1.5, 1.3, 1.2)], 1e-6),
    DEFAULT: thesis.Runs([(2.0, 1.0005, 1.0005, 1.0005), (2.0, 1.0, 1.0, 1.0)], 4e-6),
}


def arrivals() -> dict[tuple[str, float], Arrival]:
    found = thesis.arrivals_of("random", 0.1, RUNS, [1.0, 1.0])
    return {(each.rule, each.tolerance): each for each in found}


def test_iterations_time_and_share_are_of_each_tolerance() -> None:
    found = arrivals()
    assert found[STRONGEST, 0.01].arrived.mean == 0.5
    assert (found[STRONGEST, 0.01].iterations, found[STRONGEST, 0.001].iterations) == (2, 3)
    assert found[DEFAULT, 0.001].ms == pytest.approx(4e-3)
    assert found[STRONGEST, 0.001].ms == pytest.approx(3e-3)


def test_a_speed_up_is_one_of_time_where_both_arrive() -> None:
    found = arrivals()
    assert found[DEFAULT, 0.01].speedup.count == 1
    assert found[DEFAULT, 0.01].speedup.mean == pytest.approx(2 / 4)
    assert found[STRONGEST, 0.001].speedup.mean == pytest.approx(1.0)


def test_who_never_arrives_has_a_dash() -> None:
    never = thesis.arrivals_of("random", 0.0, {**RUNS, "MU": thesis.Runs([(2.0, 2.0)] * 2, 1e-6)}, [1.0, 1.0])
    lines = [line for line in arrivals_report(never, {"MU": 0.0}) if line.startswith("| 0 | MU | 1 % |")]
    assert lines == ["| 0 | MU | 1 % | 0 % (0–66) | – | – | – |"]
