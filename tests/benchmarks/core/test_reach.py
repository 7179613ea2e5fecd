from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from benchmarks.core import reach, results
from benchmarks.core.real import DEFAULT
from tests.conftest import REPOSITORY

DECISIONS = REPOSITORY / "docs" / "decisions"


def speed_row(case: str, speedup: float, arrived: float = 1.0) -> dict[str, Any]:
    row = {"rule": DEFAULT, "speedup": speedup, "low": speedup - 0.1, "high": speedup + 0.1}
    return row | {"case": f"{case} (6 sweeps)", "arrived": arrived}


def measured() -> dict[str, Any]:
    noises = (0.0, 0.1)
    cells = [
        {"training": "t", "criterion": "fall", "train_noise": train, "noise": noise,
         "against": {"MU": {"mean": 10.0 + train, "time_ratio": 3.0}}}
        for train in noises for noise in noises
    ]  # fmt: skip
    known = {"mean": 0.95, "low": None, "high": None}
    time = {"median_ms": 2.0}
    return {
        "thesis": {"cells": cells, "thesis": [[[10.0, 1.0], [10.0, 1.0]], [[11.0, 1.0], [10.0, 1.0]]]},
        "speed": [speed_row(case, least) for case, least in {**reach.FASTER, "other": 0.946}.items()],
        "real": {"real": [{"group": "example", "tolerance": 0.01, "speedup": known, "arrived": 1.0}]},
        "peers": {
            "size": [5000, 2000, 10, 25_000],
            "rows": [
                {"contender": "Yocho default", "1.0%": time, "0.1%": time},
                {"contender": "scikit-learn a", "1.0%": {"median_ms": 12.0}, "0.1%": {"median_ms": None}},
                {"contender": "scikit-learn b", "1.0%": {"median_ms": 9.0}, "0.1%": {"median_ms": None}},
            ],
        },
        "streams": {"targets": [["steady gap", "≤ 1 %", "0.1 %", "met"], ["shift", "≤ 1 %", "2 %", "**missed**"]]},
        "growth": {"exponents of the large": {"cold ms": {"exponent": 1.054, "low": 1.0, "high": 1.1}}},
        "curves": {"machine": results.machine(())},
    }  # fmt: skip


def figures(found: dict[str, Any]) -> dict[str, list[reach.Figure]]:
    return {part.source: reach.figures_of(part, found[part.source]) for part in reach.PARTS}


def test_every_figure_is_judged() -> None:
    verdicts = {source: [figure.met for figure in found] for source, found in figures(measured()).items()}
    assert verdicts == {
        "thesis": [False],  # 10.1 < 11 in one of four cells
        "speed": [True, True, True, True, True],
        "real": [True],
        "peers": [False, None],  # 9 / 2 ms
        "streams": [True, False],
        "growth": [True],
    }


def test_a_figure_is_judged_as_it_is_shown() -> None:
    found = measured()
    found["speed"][-1]["speedup"] = 0.944
    last = figures(found)["speed"][-1]
    assert (last.measured.split(" ")[0], last.met) == ("0.94", False)


def test_fast_but_seldom_there_is_not_met() -> None:
    found = measured()
    found["speed"][0]["arrived"] = 0.96
    assert figures(found)["speed"][0].met is False


def test_the_page_counts_what_is_met_and_links_to_what_is_there() -> None:
    page = "\n".join(reach.markdown(measured(), DECISIONS, "../../.."))
    assert "8 of 11 figures are met" in page
    assert "| weights “t”: iterations of MU / learned | each of 4 means ≥ the thesis' " in page


@pytest.mark.parametrize("source", [part.source for part in reach.PARTS])
def test_results_without_a_figure_are_named(source: str) -> None:
    found = copy.deepcopy(measured())
    found[source] = found[source][:1] if source == "speed" else {}
    with pytest.raises(results.ResultError, match=rf"{source}\.json (lacks a figure|holds none)"):
        reach.markdown(found, DECISIONS, "../../..")


def test_results_of_many_threads_are_refused() -> None:
    reach.check_threads({"growth": {"machine": {"threads": "1"}}, "speed": [], "streams": {"machine": "x86_64"}})
    with pytest.raises(results.ResultError, match=r"growth\.json was measured with unlimited threads"):
        reach.check_threads({"growth": {"machine": {"threads": "unlimited"}}})


def test_a_decision_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(results.ResultError, match="has no page 0020"):
        reach.markdown(measured(), tmp_path, "../../..")


def test_missing_results_end_it_with_the_file_s_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["reach", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"reach: .*peers\.json is missing"):
        reach.main()
