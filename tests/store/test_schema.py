from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, func, inspect, select, text

from service.errors import StoreError
from service.store import tables
from service.store.backend import open_backend
from service.store.repository import AlertQuery, Memory, MemoryKey, Part, PatternQuery
from service.store.schema import HEAD, MIGRATIONS, REVISIONS, Schema, run_revisions
from service.store.sql import SqlStore
from tests.builders import MINUTE, START, a_pattern, a_record, a_window, an_alert
from tests.databases import DATABASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.store.backend import Backend
    from tests.databases import PostgresServer

LAYOUT_3 = Path(__file__).with_name("layout_3.sql")
"""What Yocho wrote when it knew no revisions, as SQLite's shell dumps it."""


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/yocho.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    server.clear("blank")
    return server.url("blank")


@pytest.fixture
def backend(url: str) -> Iterator[Backend]:
    opened = open_backend(url, 10)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(LAYOUT_3.read_text())
    return file


@pytest.fixture
def old(backend: Backend, old_file: Path) -> Backend:
    """Return a database of layout 3 with rows in all its tables, which knows no revision."""
    with backend.rebuilding() as connection:
        run_revisions(connection, "0001")
        connection.execute(text("DROP TABLE yocho_revision"))
        connection.execute(text("DELETE FROM yocho"))
    copy_rows(f"sqlite:///{old_file}", backend)
    return backend


def copy_rows(source: str, target: Backend) -> None:
    origin, metadata = create_engine(source), MetaData()
    with origin.connect() as reader, target.engine.begin() as writer:
        metadata.reflect(reader)
        # SQLite has no booleans of its own; it keeps their name.
        for table in metadata.sorted_tables:
            rows = [dict(row) for row in reader.execute(select(table)).mappings()]
            writer.execute(table.insert(), rows)
            if "sequence" in table.c and writer.dialect.name == "postgresql":
                last = func.setval(f"{table.name}_sequence_seq", len(rows))
                writer.execute(select(last))
    origin.dispose()


def differences(backend: Backend) -> list[Any]:
    with backend.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": "yocho_revision", "compare_type": True, "compare_server_default": True},
        )
        found: list[Any] = compare_metadata(context, tables.metadata)
        return found


def contents(backend: Backend) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables."""
    metadata = MetaData()
    with backend.engine.connect() as connection:
        metadata.reflect(connection)
        return {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in metadata.sorted_tables
        }


def numbered_for_good(backend: Backend) -> set[str]:
    """Return the tables of SQLite that never give a number twice."""
    with backend.engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        return {row.name for row in rows if "AUTOINCREMENT" in row.sql}


def test_the_revisions_are_those_of_the_files() -> None:
    script = ScriptDirectory(MIGRATIONS)
    assert tuple(reversed([each.revision for each in script.walk_revisions()])) == REVISIONS


def test_all_revisions_lead_to_the_tables(backend: Backend) -> None:
    with backend.rebuilding() as connection:
        run_revisions(connection, HEAD)
    assert differences(backend) == []
    if backend.engine.dialect.name == "sqlite":
        expected = {table.name for table in tables.metadata.sorted_tables if "sequence" in table.c}
        assert numbered_for_good(backend) == expected


def test_the_comparison_notices_what_is_missing(old: Backend) -> None:
    assert len(differences(old)) > 20


def test_a_new_database_has_the_tables(backend: Backend) -> None:
    Schema(backend).prepare()
    assert differences(backend) == []
    assert Schema(backend).current() == HEAD


def test_what_was_kept_before_there_were_revisions_is_carried_over(old: Backend, url: str) -> None:
    assert Schema(old).current() == "0001"
    store = SqlStore(url)
    assert Schema(old).current() == HEAD
    assert differences(old) == []
    with store.read() as reader:
        record = reader.window(a_window().id)
        assert record is not None
        assert (record.counts.digest(), record.patterns) == (a_record().digest, ("p1",))
        assert reader.alert("a1") == an_alert()
        assert [alert.id for alert in reader.alerts(AlertQuery()).items] == ["a3", "a2", "a1"]
        assert [alert.id for alert in reader.alerts(AlertQuery(allowed=True)).items] == ["a4"]
        assert [alert.id for alert in reader.alerts(AlertQuery(source="192.0.2.1")).items] == ["a3", "a1"]
        assert [pattern.id for pattern in reader.patterns(PatternQuery()).items] == [a_pattern().id]
        assert [version.version for version in reader.versions("p1")] == [2]
        assert reader.catalogue("edge", MINUTE).windows == 7
        past = reader.memory(MemoryKey("edge", 10 * MINUTE, Part.GROUPS))
        assert past == Memory("w1", b"\x00\x01past")
    with store.begin() as unit:
        unit.save_alerts([an_alert(id="a5")])
    with store.read() as reader:
        assert reader.alerts(AlertQuery()).items[0].id == "a5"
    store.close()


def test_new_columns_say_what_the_documents_say(old: Backend) -> None:
    Schema(old).upgrade()
    rows = contents(old)
    alerts = {row["id"]: row for row in rows["alerts"]}
    assert {alert: row["score"] for alert, row in alerts.items()} == {"a1": 1.66, "a2": 2.0, "a3": 1.0, "a4": 1.66}
    assert [(row["pattern"], row["updates"], row["first_seen_ns"]) for row in rows["alerts"]] == [
        ("p1", 1, START),
        (None, 0, START),
        ("p1", 1, START),
        ("p1", 1, START),
    ]
    window = next(row for row in rows["windows"] if row["id"] == a_window().id)
    assert (window["sources"], window["services"], window["attempts"], window["shed"]) == (2, 3, 12, 0)
    assert {row["source"]: row["address"].hex() for row in rows["alert_sources"]} == {
        "192.0.2.1": "00000000000000000000ffffc0000201",
        "192.0.2.9": "00000000000000000000ffffc0000209",
        "2001:db8::1": "20010db8000000000000000000000001",
    }
    assert [row["service"] for row in rows["alert_services"] if row["alert"] == "a3"] == ["tcp/445"]
    assert len(rows["alert_services"]) == 7
    edge = next(row for row in rows["sensors"] if row["name"] == "edge")
    assert (edge["windows"], edge["attempts"], edge["first_ns"]) == (3, 36, START)
    assert (edge["last_ns"], edge["latest_end_ns"]) == (START + 3 * MINUTE, START + 60 * MINUTE)
    assert {alert: bool(row["ended"]) for alert, row in alerts.items()} == {
        "a1": True,
        "a2": False,
        "a3": True,
        "a4": True,
    }
    (pattern,) = rows["patterns"]
    assert (pattern["status"], pattern["state"], pattern["services"]) == ("muted", "live", " tcp/23 tcp/22 ")
    assert "yocho" not in rows


@pytest.mark.parametrize(("status", "found"), [("known", []), ("muted", ["p1"]), ("benign", ["p1"])])
def test_patterns_that_were_judged_before_are_known_as_such(
    old: Backend, url: str, status: str, found: list[str]
) -> None:
    change = "UPDATE patterns SET document = replace(document, :old, :now) WHERE id = 'p1'"
    with old.rebuilding() as connection:
        told = {"old": '"status":"muted"', "now": f'"status":"{status}"'}
        assert connection.execute(text(change), told).rowcount == 1
    store = SqlStore(url)
    with store.read() as reader:
        assert [pattern.id for pattern in reader.hushed_patterns("edge")] == found
    store.close()


def test_columns_of_an_upgrade_are_those_that_a_window_and_an_alert_get_now(old: Backend, url: str) -> None:
    Schema(old).upgrade()
    upgraded = contents(old)
    with old.rebuilding() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(table.delete())
    store = SqlStore(url)
    with store.begin() as unit:
        unit.add_window(a_record(alerts=("a1",)))
        unit.save_patterns([a_pattern()])
        unit.save_alerts([an_alert()])
    store.close()
    written = contents(old)
    for name, key in (("windows", a_window().id), ("alerts", "a1")):
        now, before = (next(row for row in rows[name] if row["id"] == key) for rows in (written, upgraded))
        # A later window of the old database ends after the alert.
        # Documents grow fields that have a default; what they say is read above.
        same = {"sequence": 0, "ended": True, "document": ""} if name == "alerts" else {"sequence": 0}
        assert now | same == before | same
    assert written["alert_sources"] == [row for row in upgraded["alert_sources"] if row["alert"] == "a1"]
    assert written["alert_services"] == [row for row in upgraded["alert_services"] if row["alert"] == "a1"]


def test_down_and_up_again_keep_what_both_know(old: Backend) -> None:
    first = contents(old)
    schema = Schema(old)
    schema.upgrade()
    above = contents(old)
    with old.writing(None) as connection:
        connection.execute(
            tables.memories.insert(),
            {"sensor": "edge", "length_ns": 1, "part": "components", "window": "w", "document": b""},
        )
    schema.downgrade("0001")
    below = contents(old)
    assert below.pop("yocho_revision") == [{"version_num": "0001"}]
    assert below == first
    schema.upgrade()
    assert contents(old) == above


def test_a_database_that_went_back_is_one_that_older_versions_know(old: Backend) -> None:
    with old.engine.connect() as connection:
        before = described(connection)
    Schema(old).upgrade()
    Schema(old).downgrade("0001")
    with old.engine.connect() as connection:
        after = described(connection)
    after.pop("yocho_revision")
    assert after == before


def described(connection: Any) -> dict[str, Any]:
    """Return columns, keys, indexes and references of all tables, in no order."""
    looked = inspect(connection)
    return {
        name: (
            {column["name"]: (str(column["type"]), column["nullable"]) for column in looked.get_columns(name)},
            looked.get_pk_constraint(name)["constrained_columns"],
            sorted((index["name"] or "", tuple(index["column_names"])) for index in looked.get_indexes(name)),
            [tuple(each["column_names"]) for each in looked.get_unique_constraints(name)],
            [(each["constrained_columns"], each["referred_table"]) for each in looked.get_foreign_keys(name)],
        )
        for name in looked.get_table_names()
    }


def test_an_upgrade_that_fails_changes_nothing(old: Backend) -> None:
    with old.writing(None) as connection:
        connection.execute(text("UPDATE alerts SET document = '{' WHERE id = 'a3'"))
    before = contents(old)
    with pytest.raises(StoreError, match="alert a3: its document is damaged"):
        Schema(old).upgrade()
    assert contents(old) == before


def test_a_damaged_window_does_not_keep_the_others(old: Backend) -> None:
    with old.writing(None) as connection:
        connection.execute(
            text("UPDATE windows SET counts = :none WHERE id = :id"), {"none": b"?", "id": a_window().id}
        )
    Schema(old).upgrade()
    rows = contents(old)["windows"]
    assert sorted(row["attempts"] for row in rows) == [0, 12, 12, 12, 12]


@pytest.mark.parametrize("revision", ["0005", "base", "head", "-1", ""])
def test_one_goes_back_to_known_revisions_only(backend: Backend, revision: str) -> None:
    Schema(backend).prepare()
    with pytest.raises(StoreError, match=f"the revisions are {', '.join(REVISIONS)}"):
        Schema(backend).downgrade(revision)


def test_an_empty_database_has_nothing_to_go_back_to(backend: Backend) -> None:
    assert Schema(backend).current() is None
    with pytest.raises(StoreError, match="from revision none back"):
        Schema(backend).downgrade("0001")


def test_a_newer_database_is_left_alone(backend: Backend, url: str) -> None:
    Schema(backend).prepare()
    with backend.writing(None) as connection:
        connection.execute(text("UPDATE yocho_revision SET version_num = '0099'"))
    with pytest.raises(StoreError, match=rf"has revision 0099, this Yocho knows {HEAD}; use a newer Yocho"):
        SqlStore(url)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE yocho SET version = 5", "layout 5, this Yocho knows 3; use a newer Yocho"),
        ("UPDATE yocho SET version = 1", "layout 1, this Yocho knows 3; use an older Yocho"),
        ("UPDATE yocho SET version = 0", "no Yocho database"),
        ("DELETE FROM yocho", "no Yocho database"),
    ],
)
def test_another_layout_is_left_alone(old: Backend, url: str, change: str, message: str) -> None:
    with old.writing(None) as connection:
        connection.execute(text(change))
    before = contents(old)
    with pytest.raises(StoreError, match=message):
        SqlStore(url)
    assert contents(old) == before


def test_a_database_of_something_else_is_left_alone(backend: Backend, url: str) -> None:
    with backend.engine.begin() as connection:
        connection.execute(text("CREATE TABLE recipes (name TEXT)"))
    with pytest.raises(StoreError, match="no Yocho database; name another one"):
        SqlStore(url)
    assert list(contents(backend)) == ["recipes"]


def test_several_may_bring_it_up_to_date_at_once(old: Backend, url: str) -> None:
    failures: list[BaseException] = []

    def open_and_write(number: int) -> None:
        try:
            store = SqlStore(url)
            with store.begin() as unit:
                unit.save_alerts([an_alert(id=f"new{number}")])
            store.close()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert differences(old) == []
    assert len(contents(old)["alerts"]) == 8
