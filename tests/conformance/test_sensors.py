"""What `unit.sensors` promises, held against every database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.store.repository import WindowRecord
from service.store.sensors import Lease
from tests.builders import START, a_pattern, a_record, an_alert
from tests.conformance.test_jobs import RECEIPT, a_job

HOUR = 3600 * 10**9

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.repository import Unit
    from service.store.sql import SqlStore


@pytest.fixture(autouse=True)
def _waiting(database: SqlStore) -> None:
    """Let two jobs of sensor a wait, and one of b that came between them."""
    with database.begin() as unit:
        for number, sensor in enumerate("aba"):
            unit.sensors.heard(sensor, START + number)
            unit.jobs.add(a_job(number, sensor=sensor))


def test_the_sensor_whose_work_waits_longest_is_leased_first(database: SqlStore) -> None:
    with database.begin() as unit:
        assert unit.sensors.lease("x", 10, 20) == Lease("a", "x", 20)
        assert unit.sensors.awaited("y", 10)
        assert unit.sensors.lease("y", 10, 20) == Lease("b", "y", 20)
        assert not unit.sensors.awaited("z", 19)
        assert unit.sensors.lease("z", 19, 29) is None
        assert sorted(unit.sensors.holders()) == ["x", "y"]


def test_some_sensors_may_be_left_out(database: SqlStore) -> None:
    with database.begin() as unit:
        assert unit.sensors.awaited("x", 10, {"a"})
        assert not unit.sensors.awaited("x", 10, {"a", "b"})
        assert unit.sensors.lease("x", 10, 20, {"a", "b"}) is None
        assert unit.sensors.lease("x", 10, 20, {"a"}) == Lease("b", "x", 20)
        assert unit.sensors.lease("x", 10, 20) == Lease("a", "x", 20)


def test_a_lease_ends_by_itself(database: SqlStore) -> None:
    with database.begin() as unit:
        lease = unit.sensors.lease("x", 10, 20)
        assert lease is not None
        assert unit.sensors.lease("y", 20, 30) == Lease("a", "y", 30)
        assert unit.sensors.renew(lease, 40) is None
        unit.sensors.release(lease)
        assert unit.sensors.lease("z", 29, 39) == Lease("b", "z", 39)


def test_a_lease_is_renewed_and_given_back(database: SqlStore) -> None:
    with database.begin() as unit:
        lease = unit.sensors.lease("x", 10, 20)
        assert lease is not None
        assert unit.sensors.renew(lease, 40) == Lease("a", "x", 40)
        other = unit.sensors.lease("y", 39, 49)
        assert other == Lease("b", "y", 49)
        unit.sensors.release(lease)
        assert unit.sensors.lease("z", 39, 49) == Lease("a", "z", 49)


def test_what_a_worker_held_that_is_gone_is_free(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.sensors.lease("x", 10, 20)
        unit.sensors.release_all("x")
        assert unit.sensors.holders() == []
        assert unit.sensors.lease("y", 10, 20) == Lease("a", "y", 20)


def test_a_sensor_without_work_is_not_leased(database: SqlStore) -> None:
    with database.begin() as unit:
        for number in (0, 2):
            unit.jobs.finish(f"j{number}", START, RECEIPT)
        assert unit.sensors.lease("x", 10, 20) == Lease("b", "x", 20)
        assert unit.sensors.lease("y", 10, 20) is None


@pytest.mark.parametrize(
    "write",
    [
        lambda unit: unit.add_window(a_record("a")),
        lambda unit: unit.save_alerts([an_alert(sensor="a")]),
        lambda unit: unit.save_patterns([a_pattern(sensor="a")]),
        lambda unit: unit.sensors.touch("a"),
    ],
)
def test_whatever_is_written_of_a_sensor_raises_its_revision(
    database: SqlStore, write: Callable[[Unit], None]
) -> None:
    with database.read() as reader:
        before = [reader.sensors.revision(sensor) for sensor in ("a", "b", "new")]
    with database.begin() as unit:
        assert unit.sensors.unchanged("a", before[0])
        write(unit)
    with database.begin() as unit:
        assert not unit.sensors.unchanged("a", before[0])
        assert unit.sensors.unchanged("b", before[1])
        assert unit.sensors.unchanged("new", before[2])


def test_attempts_count_once_in_whatever_lengths_of_windows_they_come(database: SqlStore) -> None:
    minute = a_record("new").counts
    hour = replace(minute, start=START - START % HOUR, end=START - START % HOUR + HOUR)
    with database.begin() as unit:
        for counts in (minute, hour):
            unit.add_window(WindowRecord(counts, counts.digest(), (), ()))
        figures = unit.overview.sensor("new")
    assert figures is not None
    assert (figures.windows, figures.attempts, figures.latest_end) == (2, minute.attempts, hour.end)
