from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from benchmarks.core import reach, results
from benchmarks.core.real import DEFAULT
from benchmarks.core.tried import RECORDS, Record
from tests.conftest import REPOSITORY

DECISIONS = REPOSITORY / "docs" / "decisions"


def speed_row(case: str, speedup: float, tolerance: float = 0.001) -> dict[str, Any]:
    ratio = {"mean": speedup, "low": speedup - 0.1, "high": speedup + 0.1}
    return {"case": case, "rule": DEFAULT, "tolerance": tolerance, "speedup": ratio, "arrived": {"mean": 1.0}}


def measured() -> dict[str, Any]:
    noises = (0.0, 0.1)
    cells = [
        {"training": "t", "criterion": "fall", "train_noise": train, "noise": noise,
         "against": {"MU": {"mean": 10.0 + train, "time_ratio": 3.0, "never": 0.1}}}
        for train in noises for noise in noises
    ]  # fmt: skip
    known = {"mean": 0.95, "low": None, "high": None}
    time = {"median_ms": 2.0}
    return {
        "thesis": {
            "cells": cells,
            "caps": {"MU": 2000},
            "problems": 500,
            "thesis": [[[10.0, 1.0], [10.0, 1.0]], [[11.0, 1.0], [10.0, 1.0]]],
        },
        "speed": {
            "rows": [
                *(speed_row(case, least) for case, least in {**reach.FASTER, "other": 0.946}.items()),
                *(speed_row(case, 0.96, 0.01) for case in reach.FASTER),
            ]
        },
        "real": {"real": [{"group": "example", "tolerance": 0.01, "speedup": known, "arrived": 1.0}]},
        "peers": {
            "size": [5000, 2000, 10, 25_000],
            "rows": [
                {"contender": "Yocho default", "1.0%": time, "0.1%": time},
                {"contender": "scikit-learn a", "1.0%": {"median_ms": 12.0}, "0.1%": {"median_ms": None}},
                {"contender": "scikit-learn b", "1.0%": {"median_ms": 9.0}, "0.1%": {"median_ms": None}},
            ],
        },
        "streams": {
            "targets": [
                ["steady gap", "≤ 1 %", "0.1 %", "met"],
                ["the same, small, seeds 1", "≤ 1 %", "2 %", "**missed**"],
            ]
        },
        "growth": {"exponents of the large": {"cold ms": {"exponent": 1.054, "low": 1.0, "high": 1.1}}},
        "curves": {"machine": results.machine(())},
    }  # fmt: skip


def figures(found: dict[str, Any]) -> dict[str, list[reach.Figure]]:
    return {part.source: reach.figures_of(part, found[part.source]) for part in reach.PARTS}


def test_every_figure_is_judged() -> None:
    verdicts = {source: [figure.met for figure in found] for source, found in figures(measured()).items()}
    assert verdicts == {
        "thesis": [False],  # 10.1 < 11 in one of four cells
        "speed": [True] * 9,  # to 1 % it is enough not to be slower
        "real": [True],
        "peers": [False, None],  # 9 / 2 ms
        "streams": [True, False],
        "growth": [True],
    }


def test_a_figure_is_judged_as_it_is_shown() -> None:
    found = measured()
    found["speed"]["rows"][4]["speedup"]["mean"] = 0.944
    last = figures(found)["speed"][4]
    assert (last.measured.split(" ")[0], last.met) == ("0.94", False)


def test_fast_but_seldom_there_is_not_met() -> None:
    found = measured()
    found["speed"]["rows"][0]["arrived"]["mean"] = 0.96
    assert figures(found)["speed"][0].met is False


def test_the_page_counts_what_is_met_and_links_to_what_is_there() -> None:
    page = "\n".join(reach.markdown(measured(), DECISIONS, "../../.."))
    assert "12 of 15 figures are met" in page
    assert "| weights “t”: iterations of MU / learned | each of 4 means ≥ the thesis' " in page


def test_what_is_missed_stands_with_what_was_tried() -> None:
    page = reach.markdown(measured(), DECISIONS, "../../..")
    missed = page[page.index("## What is missed, and what was tried") : page.index("## The thesis' rule")]
    assert [
        line.count("docs/decisions/") for line in missed if line.startswith("| the same, small, seeds 1 |")
    ] == [1]
    assert len([line for line in missed if line.startswith("| ")]) == 1 + 3  # header and misses


def test_a_miss_without_attempts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured()
    found["growth"]["exponents of the large"]["cold ms"]["exponent"] = 2.0
    monkeypatch.setattr(reach, "record_of", lambda *_: None)
    with pytest.raises(results.ResultError, match=r"is missed, and .*tried\.py"):
        reach.markdown(found, DECISIONS, "../../..")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record.source} {record.goal}")
def test_each_decision_that_attempts_are_from_is_there(record: Record) -> None:
    assert [number for number in record.decisions if not list(DECISIONS.glob(f"{number}-*.md"))] == []


def test_two_attempts_are_too_few() -> None:
    with pytest.raises(ValueError, match="2 attempts, 3 are asked for"):
        Record("streams", "", ("0031",), ("one", "two"))


@pytest.mark.parametrize("source", [part.source for part in reach.PARTS])
def test_results_without_a_figure_are_named(source: str) -> None:
    found = copy.deepcopy(measured())
    found[source] = {"rows": found[source]["rows"][:1]} if source == "speed" else {}
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
