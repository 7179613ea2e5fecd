from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, inspect, select, text

from service.errors import StoreError
from service.store import tables
from service.store.backend import open_backend
from service.store.backup import back_up, restore
from service.store.repository import AlertQuery, PatternQuery
from service.store.schema import HEAD, Schema, run_revisions
from service.store.sql import SqlStore
from tests.builders import MINUTE, START, a_pattern, a_record, a_window, an_alert
from tests.databases import DATABASES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.databases import PostgresServer


@pytest.fixture
def blank(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Return a function that gives the URL of a database without tables, of a kind."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/blank.db"
        server: PostgresServer = request.getfixturevalue("postgres")
        server.clear("blank")
        return server.url("blank")

    return make


@pytest.fixture
def programs(request: pytest.FixtureRequest) -> Callable[[str], Mapping[str, str]]:
    """Return a function that gives the environment in which the programs for a kind of database are found."""

    def find(kind: str) -> Mapping[str, str]:
        if kind == "sqlite":
            return {}
        server: PostgresServer = request.getfixturevalue("postgres")
        if not (server.programs / "pg_dump").exists():
            pytest.skip("this PostgreSQL came without pg_dump")
        return {"PATH": str(server.programs)}

    return find


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest, programs: Callable[[str], Mapping[str, str]]) -> str:
    programs(request.param)
    kind: str = request.param
    return kind


@pytest.fixture
def environment(kind: str, programs: Callable[[str], Mapping[str, str]]) -> Mapping[str, str]:
    return programs(kind)


@pytest.fixture
def url(kind: str, new_database: Callable[[str], str]) -> str:
    """Return the URL of a database with rows."""
    url = new_database(kind)
    store = SqlStore(url)
    with store.begin() as unit:
        for number in range(3):
            unit.add_window(a_record(start=START + number * MINUTE))
        unit.save_patterns([a_pattern(), a_pattern(id="p2", name="ü ☃")])
        unit.save_alerts([an_alert(), an_alert(id="a2", sources=("2001:db8::1",))])
    store.close()
    return url


def contents(url: str) -> dict[str, list[dict[str, Any]]]:
    backend = open_backend(url, 10)
    try:
        with backend.reading() as connection:
            return {
                table.name: [
                    dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
                ]
                for table in tables.metadata.sorted_tables
            }
    finally:
        backend.engine.dispose()


def answers(url: str) -> list[object]:
    store = SqlStore(url)
    try:
        with store.read() as reader:
            window = reader.window(a_window().id)
            assert window is not None
            return [
                window.counts.digest(),
                reader.alerts(AlertQuery(limit=1)),
                reader.alerts(AlertQuery(source="2001:db8::1")),
                reader.patterns(PatternQuery()),
            ]
    finally:
        store.close()


def test_what_was_backed_up_answers_the_same_after_it_was_restored(
    kind: str, url: str, blank: Callable[[str], str], environment: Mapping[str, str], tmp_path: Path
) -> None:
    file, other = tmp_path / "backup", blank(kind)
    back_up(url, file, environment)
    restore(other, file, environment)
    assert contents(other) == contents(url)
    assert answers(other) == answers(url)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} <= {
        *("backup", "yocho.db", "yocho.db-wal", "yocho.db-shm", "blank.db", "blank.db-wal", "blank.db-shm")
    }
    store = SqlStore(other)
    with store.begin() as unit:
        unit.save_alerts([an_alert(id="a3")])
    with store.read() as reader:
        assert [alert.id for alert in reader.alerts(AlertQuery()).items] == ["a3", "a2", "a1"]
    store.close()


def test_a_backup_is_of_one_moment_while_others_write(
    kind: str, url: str, blank: Callable[[str], str], environment: Mapping[str, str], tmp_path: Path
) -> None:
    store, stop = SqlStore(url), threading.Event()
    written = threading.Event()

    def write() -> None:
        number = 10
        while not stop.is_set():
            with store.begin("edge") as unit:
                unit.add_window(a_record(start=START + number * MINUTE))
                unit.save_alerts([an_alert(id=f"a{number}")])
            written.set()
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(30)
        back_up(url, tmp_path / "backup", environment)
    finally:
        stop.set()
        writer.join()
        store.close()
    other = blank(kind)
    restore(other, tmp_path / "backup", environment)
    copy, whole = contents(other), contents(url)
    ids = [row["id"] for row in copy["alerts"]]
    # A window and its alert are there, or neither is.
    assert len(copy["windows"]) - 3 == len(copy["alerts"]) - 2 > 0
    assert ids == [row["id"] for row in whole["alerts"]][: len(ids)]


def test_nothing_is_overwritten(url: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "backup"
    back_up(url, file, environment)
    before = file.read_bytes(), contents(url)
    with pytest.raises(StoreError, match="is there already; name another file"):
        back_up(url, file, environment)
    with pytest.raises(StoreError, match="has tables already; restore into a new one"):
        restore(url, file, environment)
    assert (file.read_bytes(), contents(url)) == before


def test_a_backup_of_older_tables_is_brought_up_to_date(
    kind: str, blank: Callable[[str], str], environment: Mapping[str, str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/old.db" if kind == "sqlite" else blank(kind)
    backend = open_backend(url, 10)
    with backend.rebuilding() as connection:
        run_revisions(connection, "0001")
        window = {"id": "w", "sensor": "edge", "start_ns": 1, "end_ns": 2, "digest": "d"}
        statement = "INSERT INTO windows VALUES (:id, :sensor, :start_ns, :end_ns, :digest, '[]', '[]', :counts)"
        connection.execute(text(statement), window | {"counts": b"?"})
    backend.engine.dispose()
    back_up(url, tmp_path / "backup", environment)
    other = blank(kind)
    restore(other, tmp_path / "backup", environment)
    backend = open_backend(other, 10)
    assert Schema(backend).current() == HEAD
    backend.engine.dispose()
    assert [row["id"] for row in contents(other)["windows"]] == ["w"]


def test_what_fails_leaves_nothing_behind(
    kind: str, blank: Callable[[str], str], environment: Mapping[str, str], tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="has no tables"):
        back_up(blank(kind), tmp_path / "backup", environment)
    assert {path.name for path in tmp_path.iterdir()} <= {"blank.db"}


def test_a_copy_that_can_not_be_made_leaves_no_file(
    url: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        back_up(url, tmp_path / "nowhere" / "backup", environment)


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3"])
def test_what_is_no_backup_is_refused(
    kind: str, blank: Callable[[str], str], environment: Mapping[str, str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "backup").write_bytes(content)
    with pytest.raises(StoreError, match="backup: is no backup"):
        restore(blank(kind), tmp_path / "backup", environment)
    with pytest.raises(StoreError, match="missing: No such file or directory; name a backup"):
        restore(blank(kind), tmp_path / "missing", environment)


@pytest.mark.parametrize(("head", "of"), [(b"PGDMP", "sqlite"), (b"SQLite format 3\0", "postgresql")])
def test_a_backup_of_the_other_kind_is_refused(
    blank: Callable[[str], str], tmp_path: Path, head: bytes, of: str
) -> None:
    (tmp_path / "backup").write_bytes(head + bytes(100))
    with pytest.raises(StoreError, match=f"of another kind of database than {of}"):
        restore(blank(of), tmp_path / "backup", {})


def test_a_damaged_backup_is_refused(
    kind: str, url: str, blank: Callable[[str], str], environment: Mapping[str, str], tmp_path: Path
) -> None:
    file, other = tmp_path / "backup", blank(kind)
    back_up(url, file, environment)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError):
        restore(other, file, environment)
    backend = open_backend(other, 10)
    with backend.engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    backend.engine.dispose()


def test_a_database_of_others_is_no_backup(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "recipes.db")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreError, match="is a database, but not of Yocho"):
        restore(f"sqlite:///{tmp_path}/blank.db", tmp_path / "recipes.db", {})


def test_an_archive_of_others_is_no_backup(
    blank: Callable[[str], str],
    programs: Callable[[str], Mapping[str, str]],
    postgres: PostgresServer,
    tmp_path: Path,
) -> None:
    url, environment = blank("postgresql"), programs("postgresql")
    postgres.execute("CREATE TABLE recipes (name TEXT)", "blank")
    archive = postgres.folder / "recipes.dump"
    postgres.run("pg_dump", "-Fc", "-f", archive, postgres.connection("blank"))
    file = Path(shutil.copy(archive, tmp_path))
    postgres.clear("blank")
    with pytest.raises(StoreError, match="not of Yocho's tables"):
        restore(url, file, environment)


def test_without_the_programs_it_is_said_what_to_do(new_database: Callable[[str], str], tmp_path: Path) -> None:
    url = new_database("postgresql")
    with pytest.raises(StoreError, match="pg_dump is not installed here; install PostgreSQL's client programs"):
        back_up(url, tmp_path / "backup", {"PATH": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_the_password_is_no_argument(
    new_database: Callable[[str], str], postgres: PostgresServer, tmp_path: Path
) -> None:
    """Whoever is on the machine sees the arguments of its processes."""
    url = new_database("postgresql").replace("yocho@", "yocho:s3cret@") + "&password=0ther"
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "pg_dump"
    program.write_text(f'#!/bin/sh\necho "$@ $PGPASSWORD" > {tmp_path}/told\necho "went\n wrong" >&2\nexit 1\n')
    program.chmod(0o755)
    with pytest.raises(StoreError, match="went wrong; nothing was written"):
        back_up(url, tmp_path / "backup", {"PATH": f"{folder}{os.pathsep}/bin"})
    told = (tmp_path / "told").read_text().split()
    assert told[-1] == "s3cret"
    assert not any("s3cret" in word or "0ther" in word for word in told[:-1])
    assert not (tmp_path / "backup").exists()


def test_what_others_wrote_since_the_checkpoint_is_in_it(tmp_path: Path) -> None:
    """Copying the file alone would lose what is only in the log beside it."""
    url = f"sqlite:///{tmp_path}/yocho.db"
    store = SqlStore(url)
    with store._backend.writing(None) as connection:
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
        connection.execute(insert(tables.days), {name.name: 0 for name in tables.days.c} | {"sensor": "edge"})
    back_up(url, tmp_path / "backup", {})
    store.close()
    with closing(sqlite3.connect(tmp_path / "backup")) as copy:
        assert copy.execute("SELECT sensor FROM days").fetchall() == [("edge",)]
