"""Work on disks without room: it waits, and goes on by itself."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from service.analysis import Analyst
from service.disk import unwritten
from service.errors import FullError
from service.intake import Intake, IntakeSpec
from service.patterns.factorize import PatternFinder
from service.pipeline import PipelineSpec
from service.store.jobs import JobState
from service.store.sql import SqlStore
from service.work.parser import Parsed, Parser, RefusedError
from service.work.parsing import Limits
from service.work.scratch import Scratch
from service.work.worker import Worker, WorkSpec
from tests.disks import no_room
from tests.work import readers
from tests.work.traffic import a_worker, minutes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.store.jobs import Job


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000 * 10**9

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path / 'a.db'}")
    yield opened
    opened.close()


@pytest.fixture
def intake(store: SqlStore) -> Intake:
    return Intake(IntakeSpec(), store)


@contextmanager
def full_scratch(kind: type, method: str) -> Iterator[None]:
    """Let the disk of temporary files be full during the block, when a method is called."""

    def full(*_: object) -> None:
        raise unwritten("the folder for temporary files", OSError(errno.ENOSPC, "No space left on device"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, method, full)
        yield


def posted(intake: Intake, content: bytes, sensor: str) -> Job:
    upload = intake.upload(sensor)
    upload.write(content)
    return upload.finish().job


def state(store: SqlStore, job: Job) -> tuple[JobState, int]:
    with store.read() as reader:
        found = reader.jobs.job(job.id)
    assert found is not None
    return found.state, found.tries


def test_an_upload_without_room_waits_and_others_go_on(
    store: SqlStore, intake: Intake, example: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upload = posted(intake, example.read_bytes(), "lab")
    window = intake.add_window(minutes("edge", 1)[0]).job
    clock, spec = Clock(), PipelineSpec()
    worker = Worker(WorkSpec(), store, Analyst(spec), Parser(spec, Limits()), clock=clock)
    with full_scratch(Scratch, "write"):
        while worker.step():
            pass
        assert state(store, upload) == (JobState.WAITING, 0)
        assert state(store, window) == (JobState.DONE, 0)
        # It is tried again, less and less often.
        for seconds in (1, 2, 4):
            clock.now += seconds * 10**9
            assert worker.step()
            assert not worker.step()
        with pytest.raises(FullError, match="uploads of lab"):
            worker.run_once()
    assert state(store, upload) == (JobState.WAITING, 0)
    assert [record.__dict__["seconds"] for record in caplog.records] == [1, 2, 4, 8]
    clock.now += 8 * 10**9
    worker.run_once()
    assert state(store, upload) == (JobState.DONE, 0)


def test_windows_of_an_upload_without_room_wait_too(store: SqlStore, intake: Intake, example: Path) -> None:
    upload = posted(intake, example.read_bytes(), "lab")
    spec = PipelineSpec()
    worker = Worker(WorkSpec(), store, Analyst(spec), Parser(spec, Limits()))
    with full_scratch(Parsed, "keep"):
        while worker.step():
            pass
    assert state(store, upload) == (JobState.WAITING, 0)


def test_a_reader_without_room_counts_no_try() -> None:
    """What it compiles, it keeps on a disk as well."""
    parser = Parser(PipelineSpec(), Limits(), read=readers.find_no_room)
    with pytest.raises(FullError, match="No space left"), parser.parsed([b"whatever"], "lab"):
        pytest.fail("it was read")
    parser = Parser(PipelineSpec(), Limits(), read=readers.find_nothing)
    with pytest.raises(RefusedError), parser.parsed([b"whatever"], "lab"):
        pytest.fail("it was read")


def test_an_analysis_without_room_counts_no_try(
    store: SqlStore, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = intake.add_window(minutes("edge", 1)[0]).job

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(PatternFinder, "find", full)
        with pytest.raises(FullError):
            a_worker(store).run_once()
    assert state(store, job) == (JobState.WAITING, 0)
    a_worker(store).run_once()
    assert state(store, job) == (JobState.DONE, 0)


def test_a_database_without_room_loses_nothing(store: SqlStore, intake: Intake) -> None:
    jobs = [intake.add_window(counts).job for counts in minutes("edge", 3)]
    stop = threading.Event()
    worker = a_worker(store, longest_rest=0.01)
    thread = threading.Thread(target=worker.run, args=(stop,))
    with no_room(store):
        with pytest.raises(FullError, match="no room is left on its disk"):
            # What rewrites a row takes none; a megabyte does.
            posted(intake, bytes(2 << 20), "core")
        assert store.was_full()
        thread.start()
        stop.wait(0.5)
        assert thread.is_alive()
        assert {state(store, job)[1] for job in jobs} == {0}
    while any(state(store, job)[0] is JobState.WAITING for job in jobs):
        assert thread.is_alive()
        stop.wait(0.01)
    stop.set()
    thread.join()
    assert {state(store, job)[0] for job in jobs} == {JobState.DONE}
    assert not store.was_full()


def test_what_is_left_of_an_upload_goes_when_there_is_room(store: SqlStore, intake: Intake) -> None:
    upload = intake.upload("core")
    upload.write(bytes(1 << 20))
    with no_room(store):
        with pytest.raises(FullError):
            upload.write(bytes(2 << 20))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "begin", lambda: (_ for _ in ()).throw(FullError("full")))
            with pytest.raises(FullError):
                upload.drop()
            with pytest.raises(FullError):
                intake.check_room()
    intake.check_room()
    with store.begin() as unit:
        assert unit.jobs.drop_lost_parts(1 << 62, 100) == 0
