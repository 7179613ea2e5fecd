from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from service.pipeline import Pipeline, PipelineSpec
from service.store.sql import SqlStore
from tests.chaos.outcome import Outcome, once, outcome_of
from tests.work.traffic import minutes

if TYPE_CHECKING:
    from pathlib import Path


def left(path: Path, sensors: list[str], count: int = 3) -> Outcome:
    store = SqlStore(f"sqlite:///{path}")
    pipeline = Pipeline(PipelineSpec(), store)
    for sensor in sensors:
        for counts in minutes(sensor, count):
            pipeline.accept(counts)
    found = outcome_of(store, {})
    store.close()
    return found


def test_it_does_not_matter_which_sensor_is_first(tmp_path: Path) -> None:
    first, second = left(tmp_path / "1.db", ["a", "b"]), left(tmp_path / "2.db", ["b", "a"])
    assert first.count("windows") == 6
    assert first.count("events") > 2
    assert first.differences(second) == []
    assert first.digest() == second.digest()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    whole, part = left(tmp_path / "1.db", ["a", "b"]), left(tmp_path / "2.db", ["a"])
    assert whole.differences(part)[0].startswith("alert_services of b: only here: ")
    assert whole.digest() != part.digest()


def test_order_and_repetitions_count() -> None:
    events = Outcome({"events of a": [("opened",), ("ended",)]})
    assert events.differences(Outcome({"events of a": [("ended",), ("opened",)]})) == [
        "events of a: the same rows in another order"
    ]
    assert events.differences(Outcome({"events of a": [("opened",), ("opened",), ("ended",)]})) == [
        "events of a: only there: ('opened',)"
    ]


def told(number: int, what: str = "opened") -> bytes:
    return json.dumps({"id": f"{number}-x", "sequence": number, "event": what}).encode()


def test_what_is_told_twice_counts_once() -> None:
    assert [each["sequence"] for each in once([told(1), told(2), told(2), told(3)])] == [1, 2, 3]
    with pytest.raises(AssertionError, match="not the same"):
        once([told(1), told(1, "ended")])
    with pytest.raises(AssertionError, match="out of order"):
        once([told(2), told(1)])
