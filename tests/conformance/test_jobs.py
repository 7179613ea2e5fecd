"""What `unit.jobs` promises, held against every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.errors import WindowConflictError
from service.receipts import CaptureReceipt, Reason, Receipt, Refusal
from service.store.jobs import PART_BYTES, Backlog, JobKind, JobState, NewJob
from tests.builders import START, a_record

if TYPE_CHECKING:
    from service.store.sql import SqlStore


def a_job(number: int = 1, **details: Any) -> NewJob:
    given: dict[str, Any] = {
        "id": f"j{number}",
        "sensor": "edge",
        "kind": JobKind.WINDOW,
        "digest": f"d{number}",
        "size": 3,
        "received": START,
        "window": f"w{number}",
    }
    return NewJob(**(given | details))


def an_upload(number: int = 1, **details: Any) -> NewJob:
    return a_job(number, **({"kind": JobKind.UPLOAD, "window": None} | details))


RECEIPT = Receipt("w1", repeated=False, patterns=("p1",), alerts=("a1", "a2"))


def test_a_job_waits_until_it_is_done(database: SqlStore) -> None:
    with database.begin() as unit:
        added = unit.jobs.add(a_job(), b"abc")
    with database.read() as reader:
        assert reader.jobs.job("j1") == added
        assert (added.state, added.outcome, added.tries) == (JobState.WAITING, None, 0)
        assert reader.jobs.waiting("edge", 9) == [added]
        assert reader.jobs.payload("j1") == b"abc"
        assert reader.jobs.backlog() == Backlog(1, 3)
    with database.begin() as unit:
        unit.jobs.finish("j1", START + 1, RECEIPT)
    with database.read() as reader:
        done = reader.jobs.job("j1")
        assert done is not None
        assert (done.state, done.outcome) == (JobState.DONE, RECEIPT)
        assert reader.jobs.waiting("edge", 9) == []
        assert reader.jobs.payload("j1") == b""
        assert reader.jobs.backlog() == Backlog(0, 0)
        assert not reader.jobs.all_wait(["j1"])
        assert [reader.jobs.done_since(START + after) for after in (1, 2)] == [1, 0]


def test_several_jobs_are_read_and_finished_together(database: SqlStore) -> None:
    refusal = Refusal(Reason.CRASHED, "broke down")
    with database.begin() as unit:
        for number in (1, 2, 3):
            unit.jobs.add(a_job(number), bytes(number))
        unit.jobs.put_part("j3", 1, START, b"more")
        unit.jobs.finish_all([], START)
        assert unit.jobs.payloads(["j3", "j1", "none"]) == {"j3": bytes(3) + b"more", "j1": bytes(1), "none": b""}
        unit.jobs.finish_all([("j1", RECEIPT), ("j3", refusal)], START + 1)
    with database.read() as reader:
        jobs = [reader.jobs.job(f"j{number}") for number in (1, 2, 3)]
        assert [(job.state, job.outcome) for job in jobs if job is not None] == [
            (JobState.DONE, RECEIPT),
            (JobState.WAITING, None),
            (JobState.FAILED, refusal),
        ]
        assert reader.jobs.payloads(["j1", "j2", "j3"]) == {"j1": b"", "j2": bytes(2), "j3": b""}


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (RECEIPT, JobState.DONE),
        (CaptureReceipt((RECEIPT,), 7, 5, {"ether type 0x88cc": 2}, "byte 7: cut off"), JobState.DONE),
        (Refusal(Reason.CONFLICT, "came before"), JobState.FAILED),
        (Refusal(Reason.INPUT, "is no number", "rows[3].targets"), JobState.FAILED),
    ],
)
def test_every_outcome_comes_back(database: SqlStore, outcome: Any, state: JobState) -> None:
    with database.begin() as unit:
        unit.jobs.add(a_job())
        unit.jobs.finish("j1", START, outcome)
        job = unit.jobs.job("j1")
    assert job is not None
    assert (job.outcome, job.state) == (outcome, state)


def test_jobs_of_a_sensor_wait_in_the_order_in_which_they_came(database: SqlStore) -> None:
    with database.begin() as unit:
        for number, sensor in enumerate(("edge", "core", "edge", "edge")):
            unit.jobs.add(a_job(number, sensor=sensor))
        assert [job.id for job in unit.jobs.waiting("edge", 9)] == ["j0", "j2", "j3"]
        assert [job.id for job in unit.jobs.waiting("edge", 2)] == ["j0", "j2"]
        assert unit.jobs.all_wait(["j0", "j1"])


def test_the_same_window_again_is_the_first_job(database: SqlStore) -> None:
    with database.begin() as unit:
        first = unit.jobs.add(a_job())
    with database.begin() as unit:
        assert unit.jobs.earlier(a_job(2, window="w1", digest="d1")) == first
        with pytest.raises(WindowConflictError, match="other content"):
            unit.jobs.earlier(a_job(2, window="w1"))
        assert unit.jobs.earlier(a_job(2)) is None


def test_a_stored_window_again_is_the_job_that_stored_it(database: SqlStore) -> None:
    record = a_record()
    mine = {"window": record.counts.id, "digest": record.digest}
    with database.begin() as unit:
        unit.jobs.add(a_job(1, **mine))
        unit.add_window(record)
        unit.jobs.finish("j1", START, RECEIPT)
    with database.begin() as unit:
        again = unit.jobs.earlier(a_job(2, **mine))
        assert again is not None
        assert (again.id, again.outcome) == ("j1", RECEIPT)
        with pytest.raises(WindowConflictError):
            unit.jobs.earlier(a_job(2, window=record.counts.id))


def test_a_stored_window_whose_receipt_is_gone_gets_a_new_one(database: SqlStore) -> None:
    record = a_record()
    with database.begin() as unit:
        unit.add_window(record)
        again = unit.jobs.earlier(a_job(2, window=record.counts.id, digest=record.digest))
    assert again is not None
    assert (again.id, again.state) == ("j2", JobState.DONE)
    assert again.outcome == Receipt(record.counts.id, repeated=True, patterns=("p1",), alerts=("a1", "a2"))


def test_what_failed_may_be_tried_again(database: SqlStore) -> None:
    with database.begin() as unit:
        for job in (a_job(), an_upload(2)):
            unit.jobs.add(job)
            unit.jobs.finish(job.id, START, Refusal(Reason.CRASHED, "too long"))
        assert unit.jobs.earlier(a_job(3, window="w1")) is None
        assert unit.jobs.earlier(an_upload(4, digest="d2")) is None


def test_the_same_upload_of_a_sensor_is_the_first_job(database: SqlStore) -> None:
    with database.begin() as unit:
        first = unit.jobs.add(an_upload())
        again = an_upload(2, digest="d1")
        assert unit.jobs.earlier(again) == first
        unit.jobs.finish("j1", START, CaptureReceipt((), 0, 0, {}, None))
        done = unit.jobs.earlier(again)
        assert done is not None
        assert done.id == "j1"
        assert unit.jobs.earlier(an_upload(2)) is None
        assert unit.jobs.earlier(an_upload(2, digest="d1", sensor="core")) is None


def test_a_newer_look_takes_the_place_of_those_that_wait(database: SqlStore) -> None:
    with database.begin() as unit:
        for number in (1, 2):
            look = a_job(number, kind=JobKind.LOOK, window="w1")
            assert unit.jobs.earlier(look) is None
            unit.jobs.add(look, b"abc")
        unit.jobs.add(a_job(3, kind=JobKind.LOOK, window="w2"), b"abc")
        assert [job.id for job in unit.jobs.waiting("edge", 9)] == ["j2", "j3"]
        assert unit.jobs.payload("j1") == b""
        assert unit.jobs.earlier(a_job(4, window="w1")) is None


def test_a_long_payload_has_several_parts(database: SqlStore) -> None:
    payload = bytes(range(256)) * 9000
    with database.begin() as unit:
        unit.jobs.add(a_job(size=len(payload)), payload)
        assert [len(part) for part in unit.jobs.parts("j1")] == [
            PART_BYTES,
            PART_BYTES,
            len(payload) - 2 * PART_BYTES,
        ]
        assert unit.jobs.payload("j1") == payload
        with pytest.raises(ValueError, match="more than"):
            unit.jobs.put_part("j2", 0, START, bytes(PART_BYTES + 1))


def test_breakdowns_are_counted(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.jobs.add(a_job())
        assert [unit.jobs.broke_down("j1") for _ in range(3)] == [1, 2, 3]


def test_parts_whose_job_never_came_are_forgotten_in_steps(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.jobs.add(a_job(), b"abc")
        for name in ("lost", "gone"):
            unit.jobs.put_part(name, 0, START, b"abc")
            unit.jobs.put_part(name, 1, START, b"abc")
        unit.jobs.put_part("coming", 0, START + 2, b"abc")
        assert [unit.jobs.drop_lost_parts(START + 2, 1) for _ in range(3)] == [1, 1, 0]
        payloads = {name: unit.jobs.payload(name) for name in ("lost", "gone", "coming", "j1")}
        assert payloads == {"lost": b"", "gone": b"", "coming": b"abc", "j1": b"abc"}


def test_a_job_of_a_window_names_it() -> None:
    with pytest.raises(ValueError, match="window"):
        a_job(window=None)
    with pytest.raises(ValueError, match="size"):
        a_job(size=-1)
