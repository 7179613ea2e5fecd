from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from service.errors import BusyError, StoreError, WindowConflictError
from service.intake import Intake, IntakeSpec
from service.store.group import GroupCommit, in_turn
from service.store.jobs import Added, JobKind
from service.store.repository import WindowRecord
from service.store.sql import SqlStore
from service.windows.wire import write_window
from tests.builders import MINUTE, START, a_window
from tests.conformance.test_jobs import RECEIPT, a_job
from tests.databases import lose_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from service.intake import Writes
    from service.store.group import Queues
    from service.windows.counts import WindowCounts


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


def test_uploads_on_their_way_count_as_bytes_that_wait(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(bytes=1000), store)
    first, second = intake.upload("edge"), intake.upload("core")
    first.write(bytes(600))
    second.write(bytes(400))
    with pytest.raises(BusyError, match="600 bytes wait or are coming") as refusal:
        second.write(bytes(1))
    assert refusal.value.retry_after >= 1
    with pytest.raises(BusyError, match="1000 bytes"):
        intake.add_window(a_window())
    second.drop()
    second.drop()
    intake.upload("core").write(bytes(400))
    with pytest.raises(BusyError, match="1000 bytes"):
        intake.add_window(a_window())


def test_an_upload_that_is_accepted_is_counted_once(store: SqlStore) -> None:
    clock = Clock()
    intake = Intake(IntakeSpec(bytes=1200), store, clock)
    for _ in range(2):
        upload = intake.upload("edge")
        upload.write(bytes(600))
        upload.finish()  # the second one is a repetition, which takes room only while it comes
        clock.now += 10**9
    other = intake.upload("core")
    other.write(bytes(600))
    with pytest.raises(BusyError):
        other.write(bytes(1))


def test_an_upload_larger_than_all_that_may_wait_is_taken_alone(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(bytes=1000), store)
    upload = intake.upload("edge")
    for _ in range(3):
        upload.write(bytes(600))
    assert upload.finish().job.size == 1800
    with pytest.raises(BusyError):
        intake.upload("core").write(bytes(1))


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
    # Of the one the last part is stored with the look, of the other the job.
    upload.write(bytes(size))
    held = threading.Event()
    added: list[Added] = []
    commits = lose_answer(store, 1)

    def accept(send: Callable[[], Added]) -> threading.Thread:
        thread = threading.Thread(target=lambda: added.append(send()))
        thread.start()
        return thread

    look = replace(a_window(), seen_until=START + 5)
    threads = [threading.Thread(target=intake._others.write, args=(lambda _: held.wait(5),))]
    threads[0].start()
    # These two wait for the first, and share a transaction.
    threads += [accept(lambda: intake.add_window(look)), accept(upload.finish)]
    while len(intake._others._waiting) < 2:
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


def test_a_commit_whose_answer_is_lost_makes_its_windows_no_repetitions(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(), store)
    added: dict[int, Sequence[Added]] = {}
    commits = lose_answer(store, 2)

    def accept(request: int, *numbers: int) -> threading.Thread:
        thread = threading.Thread(target=lambda: added.update({request: intake.add_windows(windows(*numbers))}))
        thread.start()
        while len(intake._windows._waiting) < request:
            threading.Event().wait(0.001)
        return thread

    with store.begin():
        threads = [accept(0, 0)]
        while not intake._windows._turn.locked() or intake._windows._waiting:
            threading.Event().wait(0.001)
        # These wait for the first, and share a transaction, whose answer is lost.
        threads += [accept(1, 1), accept(2, 2, 3), accept(3, 3, 1)]
    for thread in threads:
        thread.join()
    assert len(commits) > 3
    assert [[each.repeated for each in added[request]] for request in range(4)] == [
        [False],
        [False],
        [False, False],
        [True, True],
    ]
    assert added[3][0].job == added[2][1].job
    with store.read() as reader:
        assert len(reader.jobs.waiting("edge", 9)) == 4


def test_of_requests_in_one_transaction_only_those_that_contradict_are_refused(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(), store)
    found: dict[int, object] = {}
    intake.add_windows(windows(7))

    def accept(request: int, *counts: WindowCounts) -> threading.Thread:
        def add() -> None:
            try:
                found[request] = [each.repeated for each in intake.add_windows(counts)]
            except WindowConflictError as refusal:
                found[request] = refusal.place

        thread = threading.Thread(target=add)
        thread.start()
        while len(intake._windows._waiting) < request:
            threading.Event().wait(0.001)
        return thread

    with store.begin():
        threads = [accept(0, *windows(0))]
        while not intake._windows._turn.locked() or intake._windows._waiting:
            threading.Event().wait(0.001)
        threads += [
            accept(1, *windows(1)),
            accept(2, *windows(2), *windows(1, attempts=9)),
            accept(3, *windows(2, 7)),
            accept(4, *windows(4), *windows(7, attempts=9)),
        ]
    for thread in threads:
        thread.join()
    assert found == {0: [False], 1: [False], 2: 1, 3: [False, True], 4: 1}
    with store.read() as reader:
        assert len(reader.jobs.waiting("edge", 9)) == 4


def test_writes_of_many_threads_are_few_transactions(store: SqlStore) -> None:
    commits: list[None] = []
    event.listen(store._backend.engine, "commit", lambda _: commits.append(None))
    group: Writes = GroupCommit(store, in_turn)
    results, held = [], threading.Event()

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
    group: Writes = GroupCommit(store, in_turn)
    refused, held = [], threading.Event()

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


def windows(*numbers: int, attempts: int = 4) -> list[WindowCounts]:
    return [a_window(start=START + number * MINUTE, attempts=attempts) for number in numbers]


def test_windows_that_come_together_are_taken_in_in_one_step(store: SqlStore) -> None:
    commits: list[None] = []
    intake = Intake(IntakeSpec(), store, Clock())
    event.listen(store._backend.engine, "commit", lambda _: commits.append(None))
    added = intake.add_windows(windows(0, 1, 0))
    assert len(commits) == 1
    assert [each.repeated for each in added] == [False, False, True]
    assert added[2].job == added[0].job
    with store.read() as reader:
        assert [job.id for job in reader.jobs.waiting("edge", 9)] == [added[0].job.id, added[1].job.id]
        assert reader.jobs.payload(added[1].job.id) == write_window(windows(1)[0])
        assert reader.overview.names() == ["edge"]
    again = intake.add_windows(windows(0, 2))
    assert [each.repeated for each in again] == [True, False]
    assert again[0].job.id == added[0].job.id


@pytest.mark.parametrize("stored", [True, False])
def test_a_contradiction_among_windows_that_come_together_refuses_all(store: SqlStore, *, stored: bool) -> None:
    intake = Intake(IntakeSpec(), store)
    wrong = windows(1, attempts=9)
    if stored:
        intake.add_windows(windows(1))
    with pytest.raises(WindowConflictError) as refusal:
        intake.add_windows([*windows(0), *([] if stored else windows(1)), *wrong])
    assert refusal.value.place == (1 if stored else 2)
    with store.read() as reader:
        assert reader.jobs.backlog().jobs == int(stored)


def test_windows_that_come_together_need_room(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(jobs=2), store, Clock())
    intake.add_windows(windows(0, 1))
    with pytest.raises(BusyError, match="2 jobs wait"):
        intake.add_windows(windows(1, 2))
    assert [each.repeated for each in intake.add_windows(windows(1, 0))] == [True, True]


def test_a_window_that_was_done_is_not_done_again_with_others(store: SqlStore) -> None:
    intake = Intake(IntakeSpec(), store)
    (first,) = intake.add_windows(windows(0))
    with store.begin() as unit:
        unit.jobs.finish(first.job.id, 1, RECEIPT)
        unit.add_window(WindowRecord(windows(0)[0], windows(0)[0].digest(), (), ()))
    again = intake.add_windows(windows(0, 1))
    assert [(each.repeated, each.job.outcome is None) for each in again] == [(True, False), (False, True)]
