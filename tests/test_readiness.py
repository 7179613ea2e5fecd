from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from service.errors import StoreError
from service.readiness import Measured, Readiness, ReadinessSpec, StoreGauges
from service.store.deliveries import Delivery, SqlDeliveries, Standing
from service.store.gauges import Gauges, SqlGauges
from service.store.sql import SqlStore

SECOND = 1_000_000_000
QUIET = Gauges(waiting=0, waiting_bytes=0, oldest_waiting=None, last_done=None, latest_end=None, patterns_alive=0)


@dataclass
class FakeGauges:
    gauges: Gauges

    def read(self) -> Gauges:
        return self.gauges


@dataclass
class FakeDeliveries:
    """Outputs of one moment."""

    outputs: Sequence[Standing]

    def standings(self) -> Sequence[Standing]:
        return self.outputs


@dataclass
class FakeMeasured:
    gauges: SqlGauges
    deliveries: SqlDeliveries


class FakeStore:
    def __init__(self, gauges: Gauges | None, *outputs: Standing, full: bool = False) -> None:
        self._gauges, self._outputs, self._full = gauges, outputs, full

    def was_full(self) -> bool:
        return self._full

    @contextmanager
    def read(self) -> Iterator[Measured]:
        if self._gauges is None:
            raise StoreError("database /var/secret.db: disk I/O error")
        deliveries = cast("SqlDeliveries", FakeDeliveries(self._outputs))
        yield FakeMeasured(cast("SqlGauges", FakeGauges(self._gauges)), deliveries)


@pytest.fixture
def spec(tmp_path: Path) -> ReadinessSpec:
    return ReadinessSpec((tmp_path,), min_free_bytes=0, stuck_seconds=60)


@pytest.mark.parametrize(
    ("oldest", "done", "stuck"),
    [
        (None, None, False),
        (None, 1, False),
        (941, None, False),
        (939, None, True),
        (900, 941, False),  # much work waits, and some gets done
        (900, 939, True),
        (941, 100, False),  # what waits is new
    ],
)
def test_work_that_waits_while_none_gets_done_is_stuck(
    spec: ReadinessSpec, oldest: int | None, done: int | None, stuck: bool
) -> None:
    gauges = replace(
        QUIET,
        waiting=3,
        oldest_waiting=None if oldest is None else oldest * SECOND,
        last_done=None if done is None else done * SECOND,
    )
    failures = Readiness(spec, FakeStore(gauges), lambda: 1000 * SECOND).failures()
    assert failures == (["3 jobs wait, and none was done for 60 s"] if stuck else [])


def test_a_store_that_can_t_be_read_is_said_without_its_name(spec: ReadinessSpec) -> None:
    assert Readiness(spec, FakeStore(None)).failures() == ["the store can't be read"]


def test_a_full_disk_is_said(spec: ReadinessSpec, tmp_path: Path) -> None:
    wanted = shutil.disk_usage(tmp_path).total * 2
    # Two folders of one disk are one disk.
    folders = (tmp_path, tmp_path / "..")
    (failure,) = Readiness(replace(spec, folders=folders, min_free_bytes=wanted), FakeStore(QUIET)).failures()
    assert failure.startswith("the disk is full but for ")
    assert failure.endswith(f"; {wanted >> 20} MiB are wanted")


def test_a_store_without_room_is_said_whose_disk_is_elsewhere(spec: ReadinessSpec) -> None:
    assert Readiness(spec, FakeStore(QUIET, full=True)).failures() == ["the store has no room left on its disk"]


def test_a_worker_that_gets_ready_is_waited_for(spec: ReadinessSpec) -> None:
    (failure,) = Readiness(spec, FakeStore(QUIET), works=lambda: False).failures()
    assert failure.startswith("the worker gets ready")


def test_a_folder_that_is_gone_is_said(spec: ReadinessSpec, tmp_path: Path) -> None:
    (failure,) = Readiness(replace(spec, folders=(tmp_path / "gone",)), FakeStore(QUIET)).failures()
    assert failure == "a folder can't be looked at: No such file or directory"


def test_a_real_store_is_ready_until_its_tables_are_gone(spec: ReadinessSpec, tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'a.db'}")
    ready = Readiness(spec, store)
    assert ready.failures() == []
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("DROP TABLE jobs")
    assert ready.failures() == ["the store can't be read"]
    store.close()


def test_gauges_are_asked_anew_each_time() -> None:
    registry = CollectorRegistry()
    store = FakeStore(replace(QUIET, waiting=2, waiting_bytes=9, oldest_waiting=990 * SECOND, patterns_alive=4))
    registry.register(StoreGauges(store, lambda: 1000 * SECOND))

    def values() -> list[float | None]:
        names = ("store_up", "queue_jobs", "queue_bytes", "queue_oldest_seconds", "patterns_alive")
        return [registry.get_sample_value(f"yocho_{name}") for name in names]

    assert values() == [1, 2, 9, 10, 4]
    store._gauges = QUIET
    assert values() == [1, 0, 0, 0, 0]
    store._gauges = None
    assert values() == [0, None, None, None, None]


def test_each_output_shows_how_far_it_is() -> None:
    registry = CollectorRegistry()
    late = Standing(Delivery("soc", 7), behind=3, since=960 * SECOND, dead=2, returned=1)
    prompt = Standing(Delivery("file", 10), behind=0, since=None, dead=0, returned=0)
    registry.register(StoreGauges(FakeStore(QUIET, late, prompt), lambda: 1000 * SECOND))

    def values(output: str) -> list[float | None]:
        names = ("deliveries_waiting", "deliveries_oldest_seconds", "dead_letters")
        return [registry.get_sample_value(f"yocho_{name}", {"output": output}) for name in names]

    assert values("soc") == [3, 40, 2]
    assert values("file") == [0, 0, 0]
    assert values("other") == [None, None, None]
