from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, insert

from service.store import tables
from service.store.gauges import Gauges, SqlGauges
from service.store.repository import WindowRecord
from service.store.sql import SqlStore
from tests.builders import MINUTE, START, a_pattern, a_window

DAY = 86_400_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'a.db'}")
    yield store
    store.close()


@pytest.fixture
def connection(tmp_path: Path, store: SqlStore) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def a_job(number: int, state: str, received: int, done: int | None) -> dict[str, object]:
    return {
        "id": f"j{number}",
        "sensor": "s",
        "kind": "window",
        "digest": "d",
        "state": state,
        "received_ns": received,
        "done_ns": done,
        "size": 100 * number,
        "tries": 0,
    }


def test_of_an_empty_database_there_is_nothing_to_tell(store: SqlStore) -> None:
    with store.read() as reader:
        assert reader.gauges.read() == Gauges(0, 0, None, None, None, 0)


def test_waiting_work_and_what_lives_is_counted(store: SqlStore, connection: Connection) -> None:
    with store.begin() as unit:
        window = a_window("s", START)
        unit.add_window(WindowRecord(window, window.digest(), (), ()))
        end = window.end
        unit.save_patterns([a_pattern(id="p1", last_seen=end), a_pattern(id="p2", last_seen=end - DAY - 1)])
    jobs = [
        a_job(1, "done", START, START + 5),
        a_job(2, "waiting", START + 20, None),
        a_job(3, "waiting", START + 10, None),
        a_job(4, "failed", START, START + 7),
    ]
    connection.execute(insert(tables.jobs), jobs)
    connection.commit()
    assert SqlGauges(connection).read() == Gauges(2, 500, START + 10, START + 7, START + MINUTE, 1)
