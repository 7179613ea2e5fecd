from __future__ import annotations

from typing import Any

from benchmarks.detect.report import lines_of, met, summary
from benchmarks.detect.trials import MISSED, Outcome

FOUND = Outcome(found=True, f1=0.9)


def column(found: int, trials: int = 100) -> dict[str, Any]:
    return summary([FOUND] * found + [MISSED] * (trials - found))


def cell(kind: str, sources: int, columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"span": "24 h", "attempts": 3, "bursts": True, "services": 0, "blur": 0.0}
    return {**usual, "kind": kind, "sources": sources, "columns": columns, **more}


def run(cells: list[dict[str, Any]], alarms: float = 1.2) -> dict[str, Any]:
    rates = {"all": alarms, "by minutes of length": {"60": alarms}}
    false_alarms = {"days": 60.0, "one a day": rates, "one a week": {**rates, "all": alarms / 7}}
    return {
        "background": "made up",
        "attempts": 10,
        "days": 120.0,
        "seed": 1,
        "seconds": 60.0,
        "false_alarms": false_alarms,
        "cells": cells,
    }


def rows(found: dict[str, Any]) -> dict[str, str]:
    return {line.split(" | ")[0].strip("| "): line for line in met(found)}


def test_what_was_asked_for_is_met_or_missed() -> None:
    one = run(
        [cell("rare", 10, {"Yocho, all lengths": column(98)}), cell("pair", 20, {"Yocho, all lengths": column(97)})]
    )
    said = rows(one)
    assert said["rare port, S ≥ 10, 24 h"].endswith("| met |")
    assert said["pair, S ≥ 10, 24 h"].endswith("| **missed** |")
    assert said["false alarms at a budget of one a day"].endswith("| met |")
    assert rows(run(one["cells"], alarms=1.6))["false alarms at a budget of one a day"].endswith("| **missed** |")


def test_what_the_factorisation_adds_is_counted_beside_the_best_without_it() -> None:
    mixture = {
        "surge + breadth": column(80),
        "… + itemsets": column(85),
        "… + sampled rows": column(94),
        "Yocho": column(95),
        "Yocho, all lengths": column(97),
    }
    found = run([cell("mixture", 4, mixture, services=6, blur=0.5, bursts=False, attempts=20)])
    said = rows(found)
    assert "+10.0" in said["mixtures: points that the factorisation adds to counters with itemsets or nothing"]
    assert (
        "+1.0"
        in said[
            "mixtures: points that the factorisation adds to counters with any clustering of rows, or all of them"
        ]
    )
    assert any("+1.0 (… + sampled rows)" in line for line in lines_of(found))


def test_the_page_says_how_many_trials_there_were() -> None:
    found = run(
        [
            cell("rare", 10, {"Yocho, all lengths": column(50, 50)}),
            cell("rare", 20, {"Yocho, all lengths": column(200, 200)}),
        ]
    )
    assert any("50 to 200 trials a cell" in line for line in lines_of(found))
