from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.service.outcome import Outcome, outcome_of, window_id
from benchmarks.service.traffic import Posts
from service.api.fast_window import read_usual_window
from service.intake import Intake, IntakeSpec
from service.store.sql import SqlStore
from tests.builders import START, an_alert
from tests.work.traffic import a_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Three windows of a sensor, done."""
    opened = SqlStore(f"sqlite:///{tmp_path}/load.db")
    posts, intake = Posts.of(1, count=3, rows=200), Intake(IntakeSpec(), opened)
    for number in range(3):
        counts = read_usual_window(posts.body("sensor-0", number), 1000)
        assert counts is not None
        intake.add_window(counts)
    a_worker(opened).run_once()
    yield opened
    opened.close()


ACCEPTED = [window_id("sensor-0", number) for number in range(3)]


def test_what_is_done_once_is_right(store: SqlStore) -> None:
    found = outcome_of(store, ACCEPTED)
    assert (found.accepted, found.stored, found.jobs_done, found.counted, found.alerts) == (3, 3, 3, 3, 2)
    assert found.is_right


def test_what_is_lost_or_strange_is_not(store: SqlStore) -> None:
    lost = outcome_of(store, [*ACCEPTED, window_id("sensor-0", 3)])
    assert (lost.accepted, lost.stored, lost.is_right) == (4, 3, False)
    strange = outcome_of(store, ACCEPTED[:2])
    assert (strange.strange, strange.is_right) == (1, False)


@pytest.mark.parametrize("field", ["counted", "jobs_failed", "jobs_waiting", "told_twice", "doubled"])
def test_one_too_many_of_anything_is_not_right(store: SqlStore, field: str) -> None:
    found = outcome_of(store, ACCEPTED)
    worse: Outcome = replace(found, **{field: getattr(found, field) + 1})
    assert not worse.is_right


def test_two_alerts_on_one_scan_are_doubled(store: SqlStore) -> None:
    first = an_alert(id="x1", sensor="other")
    with store.begin() as unit:
        unit.save_alerts(
            [first, replace(first, id="x2", first_seen=first.last_seen, last_seen=first.last_seen + 1)]
        )
    assert outcome_of(store, ACCEPTED).doubled == 1
    with store.begin() as unit:
        unit.save_alerts([replace(first, id="x3", sensor="far", first_seen=START - 1)])
    assert outcome_of(store, ACCEPTED).doubled == 1
