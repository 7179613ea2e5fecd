from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from service.errors import StoreError
from service.store.repository import AlertQuery, PatternQuery
from service.store.sql import SqlStore
from tests.builders import a_pattern, a_record, an_alert

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "yocho.db"


def opened(file: Path, wait_seconds: float = 30.0) -> SqlStore:
    return SqlStore(f"sqlite:///{file}", wait_seconds)


def test_a_restart_loses_nothing(file: Path) -> None:
    record = a_record()
    store = opened(file)
    with store.begin() as unit:
        unit.add_window(record)
        unit.save_alerts([an_alert(), an_alert(id="a2")])
        unit.save_patterns([a_pattern()])
    with store.read() as reader:
        cursor = reader.alerts(AlertQuery(limit=1)).next
    store.close()

    store = opened(file)
    with store.read() as reader:
        stored = reader.window(record.counts.id)
        assert stored is not None
        assert stored.counts.digest() == record.digest
        assert reader.alerts(AlertQuery(cursor=cursor)).items == (an_alert(),)
        assert reader.patterns(PatternQuery()).items == (a_pattern(),)
    store.close()


KILLED_WHILE_WRITING = """
import sys, time
from service.store.sql import SqlStore
from tests.builders import a_pattern, a_record, an_alert

store = SqlStore(sys.argv[1])
with store.begin() as unit:
    unit.save_alerts([an_alert(id="kept")])
with store.begin() as unit:
    unit.add_window(a_record())
    unit.save_patterns([a_pattern()])
    unit.save_alerts([an_alert(id=f"lost{number}") for number in range(1000)])
    sys.stdout.write("half")
    sys.stdout.flush()
    time.sleep(60)
"""


def test_a_killed_writer_leaves_nothing_half_stored(file: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_WRITING, f"sqlite:///{file}"], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.read(4) == b"half"
        writer.kill()

    store = opened(file)
    with store.begin() as unit:
        assert unit.window_digest(a_record().counts.id) is None
        assert unit.patterns(PatternQuery()).items == ()
        assert [alert.id for alert in unit.alerts(AlertQuery()).items] == ["kept"]
        unit.add_window(a_record())
    store.close()


def test_processes_write_one_after_another(file: Path) -> None:
    first, second = opened(file), opened(file, wait_seconds=0.05)
    with first.begin() as unit:
        unit.save_alerts([an_alert()])
        with pytest.raises(StoreError, match="locked"), second.begin():
            pytest.fail("two transactions at once")
    with second.begin() as unit:
        assert unit.alert("a1") is not None
    first.close()
    second.close()


def test_threads_that_wait_too_long_are_told(file: Path) -> None:
    store = opened(file, wait_seconds=0.05)
    with store.begin(), pytest.raises(StoreError, match=r"another write took over 0\.05 s"), store.begin():
        pytest.fail("two transactions at once")
    with store.begin() as unit:
        assert unit.alert("a1") is None
    store.close()


def test_several_may_open_a_new_file_at_once(file: Path) -> None:
    failures: list[BaseException] = []

    def open_and_write(number: int) -> None:
        try:
            store = opened(file)
            with store.begin() as unit:
                unit.save_alerts([an_alert(id=f"a{number}")])
            store.close()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store = opened(file)
    with store.read() as reader:
        assert len(reader.alerts(AlertQuery()).items) == 6
    store.close()


def test_a_file_of_something_else_is_left_alone(file: Path) -> None:
    file.write_bytes(b"notes, no database. " * 100)
    with pytest.raises(StoreError, match="not a database"):
        opened(file)
    assert file.read_bytes() == b"notes, no database. " * 100


def test_a_database_of_something_else_is_left_alone(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match="no Yocho database; name another one"):
        opened(file)
    assert file.read_bytes() == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing/yocho\.db.*check that its folder exists"):
        opened(tmp_path / "missing" / "yocho.db")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "yocho.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:secret@h/d",
        "postgresql://u:secret@h:port/d",
        "postgresql//u:secret@h/d",
    ],
)
def test_other_urls_are_refused_without_showing_passwords(url: str) -> None:
    with pytest.raises(StoreError, match="write sqlite:///FILE") as refusal:
        SqlStore(url)
    assert "secret" not in str(refusal.value)


def test_a_failing_database_is_a_store_error(file: Path) -> None:
    store = opened(file)
    with sqlite3.connect(file) as other:
        other.execute("DROP TABLE alert_sources")
        other.execute("DROP TABLE alerts")
    other.close()
    with pytest.raises(StoreError, match=r"reading failed.*alerts"), store.read() as reader:
        reader.alert("a1")
    with pytest.raises(StoreError, match="was undone"), store.begin() as unit:
        unit.save_alerts([an_alert()])
    store.close()


def test_writes_are_on_the_disk_and_readers_are_free(file: Path) -> None:
    store = opened(file)
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
    with sqlite3.connect(file) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    store.close()
