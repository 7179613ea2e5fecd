from __future__ import annotations

import logging
import sqlite3
import threading
import time
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import event, select, update

from service.analysis import Analyst
from service.intake import Intake, IntakeSpec
from service.keeper import KeeperSpec
from service.patterns.factorize import PatternFinder
from service.pipeline import Pipeline, PipelineSpec
from service.receipts import CaptureReceipt, Reason, Receipt, Refusal
from service.store import tables
from service.store.days import DAY
from service.store.jobs import JobState
from service.store.repository import AlertQuery
from service.store.retention import RetentionSpec
from service.store.sql import SqlStore
from service.windows.matrix import count_matrix
from service.work.parser import Parser
from service.work.parsing import Limits
from service.work.worker import Worker, WorkSpec
from tests.databases import DATABASES, lose_answer
from tests.traffic import START, ports, window
from tests.work.traffic import a_worker, kept, minutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from service.store.jobs import Job
    from service.windows.counts import WindowCounts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path}/work.db")
    yield opened
    opened.close()


@pytest.fixture
def intake(store: SqlStore) -> Intake:
    return Intake(IntakeSpec(), store)


def piped(path: Path, windows: list[WindowCounts]) -> dict[str, list[Any]]:
    """Return what one pipeline, which knows all from the first window on, stores."""
    store = SqlStore(f"sqlite:///{path}")
    pipeline = Pipeline(PipelineSpec(), store)
    for counts in windows:
        pipeline.accept(counts)
    found = kept(store)
    store.close()
    return found


def job_of(store: SqlStore, job_id: str) -> Job:
    with store.read() as reader:
        job = reader.jobs.job(job_id)
    assert job is not None
    return job


@pytest.mark.parametrize("together", [1, 3, 50])
def test_it_stores_what_a_pipeline_does(store: SqlStore, intake: Intake, tmp_path: Path, together: int) -> None:
    windows = minutes("edge", 10)
    for counts in windows:
        intake.add_window(counts)
    a_worker(store, together=together).run_once()
    assert kept(store) == piped(tmp_path / "piped.db", windows)


def test_a_restart_at_any_window_changes_nothing(store: SqlStore, intake: Intake, tmp_path: Path) -> None:
    windows = minutes("edge", 10)
    for counts in windows:
        intake.add_window(counts)
        a_worker(store).run_once()
    undisturbed = piped(tmp_path / "piped.db", windows)
    assert undisturbed["alerts"]
    assert "components" in {row[2] for row in undisturbed["memories"]}
    assert kept(store) == undisturbed


EVERY = 7
"""How many statements there are from one that something happens at to the next."""


class KilledError(BaseException):
    """What ends a process between two statements."""


def statements(store: SqlStore, strike: Callable[[int, Connection], None]) -> list[str]:
    """Call something before each statement, with how many there were before; return the list of them."""
    seen: list[str] = []

    def before(connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        number = len(seen)
        seen.append(statement)
        strike(number, connection)

    event.listen(store._backend.engine, "before_cursor_execute", before)
    return seen


def again(store: SqlStore) -> SqlStore:
    """Open the database of a store once more."""
    return SqlStore(store._backend.engine.url.render_as_string(hide_password=False))


def filled(new: Callable[[], str], windows: list[WindowCounts]) -> SqlStore:
    """Return a store in which windows wait, opened anew."""
    store = SqlStore(new())
    for counts in windows:
        Intake(IntakeSpec(), store).add_window(counts)
    store.close()
    return again(store)


@pytest.fixture(params=DATABASES)
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a function that gives the URL of a database without rows, one at a time."""
    if request.param == "sqlite":
        numbers = count()
        return lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"
    make: Callable[[str], str] = request.getfixturevalue("new_database")
    return lambda: make(request.param)


@pytest.fixture(scope="module")
def two_minutes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Return what a pipeline stores of two minutes."""
    return piped(tmp_path_factory.mktemp("piped") / "piped.db", minutes("edge", 2))


def needed(new: Callable[[], str]) -> int:
    """Return how many statements a worker needs for two minutes."""
    store = filled(new, minutes("edge", 2))
    seen = statements(store, lambda *_: None)
    a_worker(store, together=1).run_once()
    store.close()
    assert len(seen) > 40
    return len(seen)


def test_a_worker_that_is_killed_between_two_statements_has_done_a_job_or_nothing(
    new: Callable[[], str], two_minutes: dict[str, list[Any]]
) -> None:
    for most in range(0, needed(new), EVERY):
        store = filled(new, minutes("edge", 2))

        def die(number: int, _connection: Connection, most: int = most) -> None:
            if number >= most:
                raise KilledError

        statements(store, die)
        with pytest.raises(KilledError):
            a_worker(store, "dying", together=1).run_once()
        store.close()
        store = again(store)
        with store.begin() as unit:
            unit.sensors.release_all("dying")
        a_worker(store, "next").run_once()
        assert kept(store) == two_minutes
        store.close()


class UntilNothingWaits(threading.Event):
    """Stops a worker when all is done; after a failure of the store it waits for nothing."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__()
        self._store = store

    def is_set(self) -> bool:
        with self._store.read() as reader:
            return reader.jobs.backlog().jobs == 0

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def check_worked(store: SqlStore, undisturbed: dict[str, list[Any]]) -> None:
    """Let one worker do all that waits, whatever the store does, and check what came of it."""
    other = again(store)
    a_worker(store, together=1).run(UntilNothingWaits(other))
    store.close()
    with other.read() as reader:
        found = reader._connection.execute(select(tables.jobs.c.state, tables.jobs.c.tries)).all()
    assert [(row.state, row.tries) for row in found] == [(JobState.DONE, 0)] * 2
    assert kept(other) == undisturbed
    other.close()


def break_off(connection: Connection) -> None:
    """Cut a connection off, as a server does that is killed; on SQLite, fail as if the disk had failed."""
    if connection.dialect.name == "sqlite":
        raise sqlite3.OperationalError("disk I/O error")
    driver: Any = connection.connection.driver_connection
    with psycopg.connect(driver.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [driver.info.backend_pid])


def test_a_store_that_fails_at_any_statement_costs_no_window_a_try(
    new: Callable[[], str], two_minutes: dict[str, list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    for most in range(0, needed(new), EVERY):
        store = filled(new, minutes("edge", 2))

        def fail(number: int, connection: Connection, most: int = most) -> None:
            if number == most:
                break_off(connection)

        statements(store, fail)
        with caplog.at_level(logging.CRITICAL):
            check_worked(store, two_minutes)


def test_a_commit_whose_answer_is_lost_is_not_done_again(
    new: Callable[[], str], two_minutes: dict[str, list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    for most in range(8):
        store = filled(new, minutes("edge", 2))
        lose_answer(store, most)
        with caplog.at_level(logging.CRITICAL):
            check_worked(store, two_minutes)


def test_sensors_do_not_wait_for_one_another(store: SqlStore, intake: Intake, tmp_path: Path) -> None:
    mixed = [counts for pair in zip(minutes("a", 4), minutes("b", 4, 2), strict=True) for counts in pair]
    for counts in mixed:
        intake.add_window(counts)
    with store.begin() as unit:
        lease = unit.sensors.lease("another", 0, 1 << 62)
    assert lease is not None
    a_worker(store).run_once()
    with store.read() as reader:
        assert len(reader.jobs.waiting("a", 9)) == 4
        assert len(reader.jobs.waiting("b", 9)) == 0
        b_alerts = reader.alerts(AlertQuery(sensor="b")).items
    with store.begin() as unit:
        unit.sensors.release(lease)
    a_worker(store).run_once()
    alone = SqlStore(f"sqlite:///{tmp_path}/alone.db")
    for counts in minutes("b", 4, 2):
        Pipeline(PipelineSpec(), alone).accept(counts)
    with alone.read() as reader:
        assert reader.alerts(AlertQuery(sensor="b")).items == b_alerts
    alone.close()


def test_what_was_written_meanwhile_is_seen(store: SqlStore, intake: Intake, tmp_path: Path) -> None:
    windows = minutes("edge", 4)
    intake.add_window(windows[1])
    reads = 0

    def write_between(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        # While the worker analyses the second window, someone else stores the first.
        nonlocal reads
        if "FROM catalogues" in statement and not reads:
            reads += 1
            other = SqlStore(f"sqlite:///{tmp_path}/work.db")
            Pipeline(PipelineSpec(), other).accept(windows[0])
            other.close()

    event.listen(store._backend.engine, "before_cursor_execute", write_between)
    a_worker(store).run_once()
    assert reads == 1
    assert kept(store) == piped(tmp_path / "piped.db", windows[:2])


def test_a_look_names_a_scan_before_its_window_is_over(store: SqlStore, intake: Intake) -> None:
    counts = window(ports("10.0.0.66", "10.0.0.1", 100), sensor="edge")
    look = intake.add_window(replace(counts, seen_until=START + 5)).job
    a_worker(store).run_once()
    early = job_of(store, look.id).outcome
    whole = intake.add_window(counts).job
    a_worker(store).run_once()
    late = job_of(store, whole.id).outcome
    assert isinstance(early, Receipt)
    assert isinstance(late, Receipt)
    assert early.alerts == late.alerts != ()
    assert not late.repeated
    after = intake.add_window(replace(counts, seen_until=START + 6)).job
    a_worker(store).run_once()
    assert job_of(store, after.id).outcome == Receipt(counts.id, repeated=True, patterns=(), alerts=())


def test_a_window_that_breaks_the_analysis_fails_and_the_next_goes_on(
    store: SqlStore, intake: Intake, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = minutes("edge", 3)
    jobs = [intake.add_window(counts).job for counts in windows]
    whole = PatternFinder.find

    def find(self: PatternFinder, matrix: Any, known: Any = ()) -> Any:
        if matrix.values.sum() == bad:
            raise ZeroDivisionError("a defect")
        return whole(self, matrix, known)

    bad = count_matrix(windows[1]).values.sum()
    monkeypatch.setattr(PatternFinder, "find", find)
    with caplog.at_level(logging.CRITICAL):
        a_worker(store).run_once()
    states = [job_of(store, job.id) for job in jobs]
    assert [job.state for job in states] == [JobState.DONE, JobState.FAILED, JobState.DONE]
    refusal = states[1].outcome
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, states[1].tries) == (Reason.CRASHED, 3)
    assert "ZeroDivisionError" in refusal.message


def test_an_upload_that_breaks_the_analysis_fails_and_the_next_goes_on(
    store: SqlStore,
    intake: Intake,
    example: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    upload = intake.upload("edge")
    upload.write(example.read_bytes())
    broken = upload.finish().job
    with monkeypatch.context() as patched, caplog.at_level(logging.CRITICAL):
        patched.setattr(PatternFinder, "find", find)
        a_worker(store).run_once()
    after = intake.add_window(minutes("edge", 1)[0]).job
    a_worker(store).run_once()
    refusal = job_of(store, broken.id).outcome
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, job_of(store, broken.id).tries) == (Reason.CRASHED, 3)
    assert "ZeroDivisionError" in refusal.message
    assert job_of(store, after.id).state is JobState.DONE


@pytest.mark.parametrize(("limits", "tries"), [(Limits(window_bytes=100), 0), (Limits(memory=1 << 20), 3)])
def test_what_would_fail_again_is_not_tried_again(
    store: SqlStore, intake: Intake, example: Path, limits: Limits, tries: int
) -> None:
    upload = intake.upload("edge")
    upload.write(example.read_bytes())
    job = upload.finish().job
    spec = PipelineSpec()
    Worker(WorkSpec(), store, Analyst(spec), Parser(spec, limits)).run_once()
    found = job_of(store, job.id)
    assert (found.state, found.tries) == (JobState.FAILED, tries)


def test_a_payload_that_is_no_window_fails(store: SqlStore, intake: Intake) -> None:
    job = intake.add_window(minutes("edge", 1)[0]).job
    with store.begin() as unit:
        unit.jobs.drop_parts(job.id)
    a_worker(store).run_once()
    refusal = job_of(store, job.id).outcome
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.INPUT


def test_of_two_windows_at_one_time_the_later_fails(store: SqlStore, intake: Intake) -> None:
    first, other = minutes("edge", 1)[0], minutes("edge", 1, 5)[0]
    job = intake.add_window(first).job
    Pipeline(PipelineSpec(), store).accept(other)
    a_worker(store).run_once()
    refusal = job_of(store, job.id).outcome
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.CONFLICT


def test_an_upload_is_read_analysed_and_kept(
    store: SqlStore, intake: Intake, example: Path, tmp_path: Path
) -> None:
    upload = intake.upload("lab")
    upload.write(example.read_bytes())
    job = upload.finish().job
    a_worker(store).run_once()
    receipt = job_of(store, job.id).outcome
    other = SqlStore(f"sqlite:///{tmp_path}/direct.db")
    assert receipt == Pipeline(PipelineSpec(), other).accept_capture(example, "lab")
    assert isinstance(receipt, CaptureReceipt)
    assert kept(store) == kept(other)
    other.close()


def test_an_upload_whose_window_is_known_otherwise_leaves_nothing(
    store: SqlStore, intake: Intake, tmp_path: Path
) -> None:
    def log(last: int) -> bytes:
        times = [START // 10**9, last]
        rows = [f"{time},192.0.2.9,10.0.0.{i},tcp/23,false" for time in times for i in range(1, 41)]
        return "\n".join(["time,src_ip,dst_ip,service,answered", *rows, ""]).encode()

    later = START // 10**9 + 7200
    for content, offset in (
        (log(later), 0),
        (log(later) + f"{later},192.0.2.10,10.0.0.1,tcp/1,false\n".encode(), 1),
    ):
        upload = intake.upload("lab")
        upload.write(content)
        job = upload.finish().job
        before = kept(store)
        a_worker(store).run_once()
        outcome = job_of(store, job.id).outcome
        if offset:
            assert isinstance(outcome, Refusal)
            assert outcome.reason is Reason.CONFLICT
            assert kept(store) == before
        else:
            assert isinstance(outcome, CaptureReceipt)


def test_what_is_no_capture_is_refused_without_naming_files_of_ours(store: SqlStore, intake: Intake) -> None:
    upload = intake.upload("lab")
    upload.write(b"GIF89a \xff")
    job = upload.finish().job
    a_worker(store).run_once()
    refusal = job_of(store, job.id).outcome
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.CAPTURE
    assert refusal.message.startswith("body: no capture or log")
    assert "yocho-" not in refusal.message


def test_it_lets_go_of_what_is_too_old_between_its_work(store: SqlStore, intake: Intake) -> None:
    windows = minutes("edge", 3)
    for counts in windows:
        intake.add_window(counts)
    stop = threading.Event()
    worker = a_worker(store, keeping=KeeperSpec(RetentionSpec(counts=1), interval=1e-9))
    worker.run_once()
    # Whoever sent them did so a week ago; they are older themselves.
    with store._backend.writing(None) as connection:
        connection.execute(update(tables.sensors).values(last_ns=time.time_ns() - 7 * DAY))
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while any(kept_counts(store)) or len(kept_counts(store)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()


def kept_counts(store: SqlStore) -> list[bool]:
    with store.read() as reader:
        windows = [reader.window(counts.id) for counts in minutes("edge", 3)]
    return [window.kept for window in windows if window is not None]
