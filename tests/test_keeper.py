from __future__ import annotations

import logging
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, update

from service.keeper import Keeper, KeeperSpec
from service.store import tables
from service.store.days import DAY
from service.store.retention import LEAST_BYTES, RetentionSpec
from tests.builders import MINUTE, START, a_record

if TYPE_CHECKING:
    from service.store.sql import SqlStore

SPEC = KeeperSpec(RetentionSpec(counts=2, rows=1), interval=60)


class Clock:
    def __init__(self) -> None:
        self.now = START + 10 * DAY

    def __call__(self) -> int:
        return self.now


def add_windows(database: SqlStore, *starts: int) -> None:
    with database.begin() as unit:
        for start in starts:
            unit.add_window(a_record(start=start))
    with database._backend.writing(None) as connection:
        # They came right after they were over.
        connection.execute(update(tables.sensors).values(last_ns=max(starts) + MINUTE + 1))


def test_it_takes_a_step_at_a_time_and_then_waits(database: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    add_windows(database, START, START + MINUTE)
    clock = Clock()
    keeper = Keeper(SPEC, database, clock)
    with caplog.at_level(logging.INFO):
        assert [keeper.turn() for _ in range(4)] == [True, True, False, False]
    assert [record.__dict__["counts"] for record in caplog.records] == [2]
    add_windows(database, START + 2 * MINUTE)
    assert not keeper.turn()
    clock.now += 60_000_000_000
    assert keeper.turn()


def test_a_clock_that_is_set_back_does_not_stop_it(database: SqlStore) -> None:
    clock = Clock()
    keeper = Keeper(SPEC, database, clock)
    assert not keeper.turn()
    add_windows(database, START)
    clock.now -= DAY
    assert keeper.turn()


def test_all_at_once(database: SqlStore) -> None:
    add_windows(database, *(START + number * MINUTE for number in range(5)))
    assert Keeper(SPEC, database, Clock()).run().counts == 5


def test_it_says_when_the_bound_can_not_be_kept(database: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    large = {"name": "x", "value": Random(1).randbytes(1 << 20).hex(), "changed_ns": 0, "changed_by": ""}
    with database._backend.writing(None) as connection:
        connection.execute(insert(tables.settings), large)
    keeper = Keeper(replace(SPEC, retention=RetentionSpec(most_bytes=LEAST_BYTES)), database, Clock())
    assert not keeper.turn()
    assert caplog.records[-1].__dict__["over_bytes"] > 1 << 20


def test_a_spec_makes_sense() -> None:
    with pytest.raises(ValueError, match="interval"):
        KeeperSpec(RetentionSpec(), interval=0)
