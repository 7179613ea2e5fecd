from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from service.errors import InputError, StoreError
from service.store import tables
from service.store.backend import open_backend
from service.store.postgres import PostgresBackend
from service.store.repository import AlertQuery
from service.store.sql import SqlStore
from service.store.statements import in_order
from tests.builders import a_record, an_alert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import PostgresServer


@pytest.fixture
def url(new_database: Callable[[str], str]) -> str:
    return new_database("postgresql")


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    opened = SqlStore(url)
    yield opened
    opened.close()


@pytest.fixture
def impatient(url: str) -> Iterator[SqlStore]:
    """Return the store of another process, as it were, that does not wait long for locks."""
    opened = SqlStore(url, wait_seconds=0.5)
    yield opened
    opened.close()


def alerts(store: SqlStore) -> list[str]:
    with store.read() as reader:
        return [alert.id for alert in reader.alerts(AlertQuery()).items]


def test_writers_of_different_sensors_go_side_by_side(store: SqlStore, impatient: SqlStore) -> None:
    with store.begin("edge") as first, impatient.begin("core") as second:
        first.save_alerts([an_alert(id="a1")])
        second.save_alerts([an_alert(id="a2", sensor="core")])
        assert first.alert("a2") is None
    assert sorted(alerts(store)) == ["a1", "a2"]


@pytest.mark.parametrize(("first", "second"), [("edge", "edge"), (None, "edge"), ("edge", None), (None, None)])
def test_writers_that_may_meet_follow_one_another(
    store: SqlStore, impatient: SqlStore, first: str | None, second: str | None
) -> None:
    with (
        store.begin(first),
        pytest.raises(StoreError, match=r"another write took over 0\.5 s; try again"),
        impatient.begin(second),
    ):
        pytest.fail("two transactions at once")
    with impatient.begin(second) as unit:
        unit.save_alerts([an_alert()])
    assert alerts(store) == ["a1"]


def test_who_waited_sees_what_the_one_before_wrote(store: SqlStore) -> None:
    waiting, seen = threading.Event(), []

    def read_after_waiting() -> None:
        waiting.set()
        with store.begin("edge") as unit:
            seen.append(unit.alert("a1"))

    thread = threading.Thread(target=read_after_waiting)
    with store.begin("edge") as unit:
        thread.start()
        waiting.wait()
        unit.save_alerts([an_alert()])
    thread.join()
    assert seen == [an_alert()]


def test_rows_become_visible_in_the_order_of_their_numbers(url: str) -> None:
    backend, impatient = open_backend(url, 10), open_backend(url, 0.5)
    row = {"at_ns": 0, "kind": "opened", "alert": "a", "document": "{}"}
    with backend.writing("edge") as connection:
        in_order(connection, tables.events)
        connection.execute(tables.events.insert(), row)
        with pytest.raises(Exception, match="lock timeout"), impatient.writing("core") as other:
            in_order(other, tables.events)
    with impatient.writing("core") as connection:
        in_order(connection, tables.events)
        connection.execute(tables.events.insert(), row)
        assert list(connection.scalars(tables.events.select())) == [1, 2]
    backend.engine.dispose()
    impatient.engine.dispose()


def test_a_restart_of_the_server_is_not_noticed(postgres: PostgresServer, store: SqlStore) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
    with postgres.away(), pytest.raises(StoreError, match=r"reading failed \(connection .*\)$"):
        alerts(store)
    assert alerts(store) == ["a1"]
    with store.begin("edge") as unit:
        unit.save_alerts([an_alert(id="a2")])
    assert alerts(store) == ["a2", "a1"]


def test_a_crash_of_the_server_undoes_what_is_open_alone(postgres: PostgresServer, store: SqlStore) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert()])

    def write_and_crash() -> None:
        with store.begin() as unit, postgres.away(signal.SIGQUIT):
            unit.save_alerts([an_alert(id="a2")])

    with pytest.raises(StoreError, match="a transaction failed and was undone"):
        write_and_crash()
    assert alerts(store) == ["a1"]


KILLED_WHILE_WRITING = """
import sys, time
from service.store.sql import SqlStore
from tests.builders import a_record, an_alert

store = SqlStore(sys.argv[1])
with store.begin("edge") as unit:
    unit.add_window(a_record())
    unit.save_alerts([an_alert(id=f"lost{number}") for number in range(100)])
    sys.stdout.write("half")
    sys.stdout.flush()
    time.sleep(60)
"""


def test_a_killed_writer_leaves_nothing_half_stored(store: SqlStore, url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED_WHILE_WRITING, url], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.read(4) == b"half"
        writer.kill()
    with store.begin("edge") as unit:
        assert unit.window_digest(a_record().counts.id) is None
        assert unit.alerts(AlertQuery()).items == ()


def test_a_character_that_postgresql_can_not_keep_is_named(store: SqlStore) -> None:
    with pytest.raises(InputError, match=r"U\+0000"), store.begin() as unit:
        unit.save_alerts([an_alert(sensor="a\0b")])
    with pytest.raises(InputError, match=r"U\+0000"), store.read() as reader:
        reader.alert("a\0b")
    assert alerts(store) == []


def test_a_database_that_can_not_keep_any_text_is_refused(postgres: PostgresServer) -> None:
    postgres.new_database("ascii", encoding="SQL_ASCII")
    with pytest.raises(StoreError, match="its encoding is SQL_ASCII; make one with ENCODING 'UTF8'"):
        SqlStore(postgres.url("ascii"))
    assert postgres.rows("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", "ascii") == []


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_no_password_is_in_a_message(postgres: PostgresServer, scheme: str) -> None:
    with pytest.raises(StoreError, match="can't be opened; check host, name, user and password") as refusal:
        SqlStore(f"{scheme}://yocho:secret1@/missing?host={postgres.folder}&password=secret2")
    assert "secret" not in str(refusal.value)
    assert str(refusal.value).startswith("database postgresql://yocho:***@/missing: ")
    assert "\n" not in str(refusal.value)


def test_what_the_url_says_of_the_connection_is_passed_on() -> None:
    backend = PostgresBackend(
        make_url("postgresql://u@h/d?sslmode=verify-full&sslrootcert=/ca.pem&application_name=mine"), 10
    )
    _, given = backend.engine.dialect.create_connect_args(backend.engine.url)
    assert given["sslmode"] == "verify-full"
    assert given["sslrootcert"] == "/ca.pem"
    assert given["application_name"] == "mine"


@pytest.mark.parametrize(("query", "name"), [("", "yocho"), ("&application_name=mine", "mine")])
def test_transactions_have_their_isolation_and_limits(url: str, query: str, name: str) -> None:
    backend = open_backend(url + query, 10)
    with backend.reading() as connection:
        assert connection.scalar(text("SHOW application_name")) == name
        assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"
        assert connection.scalar(text("SHOW transaction_read_only")) == "on"
    with backend.writing(None) as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
        assert connection.scalar(text("SHOW lock_timeout")) == "10s"
    with backend.rebuilding() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "0"
    with backend.writing(None) as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "2min"
    backend.engine.dispose()
