from __future__ import annotations

from typing import Any

import pytest

from benchmarks.core import results
from benchmarks.core.reach import stream_figures
from benchmarks.core.streams_report import ONCE, report, summary, targets

NAMES = ("default", ONCE, "warm only, 3 passes")


def record(window: int, ms: float, *, looked: bool = False) -> dict[str, Any]:
    one = {"ms": ms, "again ms": ms / 2, "gap": 0.0004, "cold": False, "looked": looked}
    return {"window": window, **dict.fromkeys(NAMES, one)}


def found() -> dict[str, Any]:
    small = [record(window, 0.5 if window != 3 else 4.0, looked=window == 3) for window in range(16)]
    large = [record(window, 5.0) for window in range(16)]
    partial = {"share of time": (0.0504, 0.04, 0.06), "ms": 0.02, "full ms": 0.4,
               "largest gap": 0.0005, "largest gap to full passes": 0.002}  # fmt: skip
    measured = {
        "machine": results.machine(()),
        "sizes": {"small": {"sources": 50, "services": 20}, "large": {"sources": 500, "services": 200}},
        "rank": 10,
        "small nnz": 100.0,
        "large nnz": 1000.0,
        "scikit-learn": [[{"ms": 9.0}, {"ms": 20.0}]] * 3,
        **{size: {name: summary(records, name) for name in NAMES}
           for size, records in (("small", small), ("fresh", small), ("large", large))},
        **{f"{size} partial{how}": partial for size in ("small", "large") for how in ("", " in a row")},
        "gaps of updates to full passes": {"1": 0.0005, "2": 0.0015},
        "peak MiB": {"small": dict.fromkeys(NAMES, 3.0)},
        "windows": small,
        "large windows": large,
    }  # fmt: skip
    return measured | {"targets": targets(measured)}


def goal(begins: str) -> tuple[str, str]:
    return next((row[2], row[3]) for row in found()["targets"] if row[0].startswith(begins))


def test_speeds_are_of_the_medians_with_an_interval() -> None:
    assert goal("default, against scikit-learn's best cold setting, to 1 %") == (
        "18.0× (18.0–18.0; 9.0 ms)",
        "**missed**",
    )
    assert goal("default, again, against scikit-learn's best cold setting, to 0.1 %")[1] == "met"
    assert goal("time of the large window") == ("10.0× (10.0–10.0)", "met")


def test_updates_are_judged_as_they_are_shown() -> None:
    assert goal("1 % of the rows, small: time")[1] == "met"  # 5.04 % is shown as 5.0
    assert goal("1 % of the rows, small: largest gap to a full pass") == ("0.050 %", "met")
    assert goal("1 % of the rows, small: largest gap to a stream") == ("0.200 %", "**missed**")
    assert goal("the same, small, seeds 1, 2")[1] == "**missed**"


def test_the_page_has_memory_and_both_tolerances() -> None:
    lines = [line for line in report(found()) if line.startswith(("| small | default", "| large | default"))]
    assert [line.split(" | ")[-3:] for line in lines] == [["100 %", "100 %", "3.0 |"], ["100 %", "100 %", "– |"]]


def test_each_target_is_a_figure() -> None:
    figures = stream_figures(found())
    assert [figure.met for figure in figures].count(None) == 0
    assert {figure.aim for figure in figures if "against scikit-learn" in figure.goal} == {"≥ 60×"}


def test_without_scikit_learn_nothing_is_judged_by_it() -> None:
    rows = targets(found() | {"scikit-learn": []})
    assert {row[3] for row in rows if "scikit-learn" in row[0]} == {"–"}


def test_the_interval_of_a_ratio_holds_it() -> None:
    ratio, low, high = results.ratio_of_medians([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 2.0])
    assert ratio == pytest.approx(3.0)
    assert low < ratio < high
    with pytest.raises(ValueError, match="nothing has no median"):
        results.ratio_of_medians([], [1.0])
