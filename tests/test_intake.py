from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from service.errors import BusyError, StoreError, WindowConflictError
from service.intake import Intake, IntakeSpec
from service.store.group import GroupCommit
from service.store.jobs import Added, JobKind
from service.store.sql import SqlStore
from tests.builders import MINUTE, START, a_window
from tests.conformance.test_jobs import RECEIPT, a_job
from tests.databases import lose_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.store.group import Queues


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path}/intake.db")
    yield opened
    opened.close()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def test_what_is_accepted_is_stored(store: SqlStore, tmp_path: Path) -> None:
    added = Intake(IntakeSpec(), store, Clock()).add_window(a_window())
    other = SqlStore(f"sqlite:///{tmp_path}/intake.db")
    with other.read() as reader:
        assert reader.jobs.job(added.job.id) == added.job
    other.close()
    assert (added.repeated, added.job.sensor, added.job.received) == (False, "edge", START)


def test_the_same_window_of_several_senders_at_once_is_one_job(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(), store)
    added: list[Added] = []
    threads = [threading.Thread(target=lambda: added.append(intake.add_window(a_window()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.job.id for each in added}) == 1
    assert sorted(each.repeated for each in added) == [False] + [True] * 7


def test_no_more_waits_than_may(store: SqlStore) -> None:
    clock = Clock()
    intake = Intake(IntakeSpec(jobs=4), store, clock)
    for number in range(2):
        intake.add_window(a_window(start=START + number * MINUTE))
    with pytest.raises(BusyError, match="2 jobs wait") as refusal:
        intake.add_window(replace(a_window(start=START + 9 * MINUTE), seen_until=START + 9 * MINUTE + 5))
    assert refusal.value.retry_after == 30
    for number in (2, 3):
        intake.add_window(a_window(start=START + number * MINUTE))
    with pytest.raises(BusyError):
        intake.upload("edge")
    assert intake.add_window(a_window()).repeated
    with store.begin() as unit:
        for job in unit.jobs.waiting("edge", 3):
            unit.jobs.finish(job.id, clock.now, RECEIPT)
    clock.now += 10**9
    intake.check_room()
    with store.read() as reader:
        assert reader.jobs.backlog().jobs == 1


def test_no_more_bytes_wait_than_may(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(bytes=100), store)
    intake.add_window(a_window())
    with pytest.raises(BusyError, match="bytes wait"):
        intake.add_window(a_window(start=START + MINUTE))


def test_an_upload_that_came_before_leaves_no_parts(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(), store)
    added = []
    for _ in range(2):
        upload = intake.upload("edge")
        for _piece in range(5):
            upload.write(bytes(300_000))
        added.append(upload.finish())
    assert [each.repeated for each in added] == [False, True]
    assert added[0].job.kind is JobKind.UPLOAD
    dropped = intake.upload("edge")
    dropped.write(bytes(2_000_000))
    dropped.drop()
    with store.begin() as unit:
        assert unit.jobs.payload(added[0].job.id) == bytes(1_500_000)
        assert unit.jobs.drop_lost_parts(1 << 62, 100) == 0


@pytest.mark.parametrize("size", [2_000_000, 2 << 20])
def test_a_commit_whose_answer_is_lost_keeps_what_it_stored(store: SqlStore, size: int) -> None:
    intake = Intake(IntakeSpec(), store)
    upload = intake.upload("core")
    # Of the one the last part is stored with the window, of the other the job.
    upload.write(bytes(size))
    held = threading.Event()
    added: list[Added] = []
    commits = lose_answer(store, 1)

    def accept(send: Callable[[], Added]) -> threading.Thread:
        thread = threading.Thread(target=lambda: added.append(send()))
        thread.start()
        return thread

    threads = [threading.Thread(target=intake._commit.write, args=(lambda _: held.wait(5),))]
    threads[0].start()
    # These two wait for the first, and share a transaction.
    threads += [accept(lambda: intake.add_window(a_window())), accept(upload.finish)]
    while len(intake._commit._waiting) < 2:
        threading.Event().wait(0.001)
    held.set()
    for thread in threads:
        thread.join()
    assert len(commits) > 2
    assert [each.repeated for each in added] == [False, False]
    with store.read() as reader:
        assert reader.jobs.backlog().jobs == 2
        sizes = {each.job.kind: len(reader.jobs.payload(each.job.id)) for each in added}
    assert sizes == {each.job.kind: each.job.size for each in added}


def test_writes_of_many_threads_are_few_transactions(store: SqlStore) -> None:
    commits: list[None] = []
    event.listen(store._backend.engine, "commit", lambda _: commits.append(None))
    group, results, held = GroupCommit(store), [], threading.Event()

    def write(number: int) -> None:
        def action(unit: Queues) -> int:
            held.wait(5)
            unit.jobs.add(a_job(number))
            return number

        results.append(group.write(action))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    while len(group._waiting) < 19:
        threading.Event().wait(0.001)
    held.set()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(20))
    assert len(commits) == 2


def test_of_writes_in_one_transaction_only_the_refused_fail(store: SqlStore) -> None:
    group, refused, held = GroupCommit(store), [], threading.Event()

    def write(number: int) -> None:
        def action(unit: Queues) -> None:
            held.wait(5)
            if number == 3:
                raise WindowConflictError("other content")
            # The fifth has the id of the fourth: the database refuses the whole transaction.
            unit.jobs.add(a_job(4 if number == 5 else number))

        try:
            group.write(action)
        except (WindowConflictError, StoreError) as error:
            refused.append((number, type(error)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while len(group._waiting) < 7:
        threading.Event().wait(0.001)
    held.set()
    for thread in threads:
        thread.join()
    with store.read() as reader:
        assert reader.jobs.backlog().jobs == 6
    kinds = sorted(kind.__name__ for _, kind in refused)
    assert kinds == ["StoreError", "WindowConflictError"]
    assert {number for number, kind in refused if kind is StoreError} <= {4, 5}
