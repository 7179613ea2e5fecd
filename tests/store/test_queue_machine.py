"""Any order of adds, leases, crashes and expiries: each job is done once, and in order within its sensor."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from service.receipts import Receipt
from service.store.jobs import JobState
from service.store.sql import SqlStore
from tests.builders import START
from tests.conformance.test_jobs import a_job

if TYPE_CHECKING:
    from service.store.jobs import Job
    from service.store.sensors import Lease

LEASE = 10
SENSORS = st.sampled_from(["a", "b", "c"])
WORKERS = st.sampled_from(["x", "y", "z"])


@dataclass(frozen=True)
class Begun:
    """What a worker has read: it may end it whenever, or never."""

    lease: Lease
    revision: int
    jobs: tuple[Job, ...]


class Queue(RuleBasedStateMachine):
    """Workers that follow the protocol of `service.work.worker`, and are as slow, or as dead, as can be."""

    begun = Bundle("begun")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.store = SqlStore(f"sqlite:///{Path(self._folder.name)}/queue.db")
        self.now = START
        self.added: dict[str, list[str]] = {}
        self.done: dict[str, list[str]] = {}

    def teardown(self) -> None:
        with self.store.begin() as unit:
            while (lease := unit.sensors.lease("last", 1 << 61, 1 << 62)) is not None:
                for job in unit.jobs.waiting(lease.sensor, 100):
                    unit.jobs.finish(job.id, self.now, Receipt("w", repeated=False, patterns=(), alerts=()))
                    self.done.setdefault(lease.sensor, []).append(job.id)
                unit.sensors.release(lease)
        assert self.done == self.added
        self.store.close()
        self._folder.cleanup()

    @rule(sensor=SENSORS)
    def add(self, sensor: str) -> None:
        number = sum(map(len, self.added.values()))
        with self.store.begin() as unit:
            unit.sensors.heard(sensor, self.now)
            unit.jobs.add(a_job(number, sensor=sensor), b"abc")
        self.added.setdefault(sensor, []).append(f"j{number}")

    @rule(seconds=st.integers(1, 2 * LEASE))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(target=begun, worker=WORKERS, most=st.integers(1, 3))
    def begin(self, worker: str, most: int) -> object:
        with self.store.begin() as unit:
            lease = unit.sensors.lease(worker, self.now, self.now + LEASE)
        if lease is None:
            return multiple()
        with self.store.read() as reader:
            jobs = tuple(reader.jobs.waiting(lease.sensor, most))
            return Begun(lease, reader.sensors.revision(lease.sensor), jobs)

    @rule(work=begun)
    def renew(self, work: Begun) -> None:
        with self.store.begin() as unit:
            unit.sensors.renew(work.lease, self.now + LEASE)

    @rule(work=consumes(begun), releases=st.booleans())
    def end(self, work: Begun, releases: bool) -> None:
        """Write what was found, whoever has the sensor by now."""
        ids = [job.id for job in work.jobs]
        with self.store.begin() as unit:
            if unit.sensors.unchanged(work.lease.sensor, work.revision) and unit.jobs.all_wait(ids):
                unit.sensors.touch(work.lease.sensor)
                for job in ids:
                    unit.jobs.finish(job, self.now, Receipt("w", repeated=False, patterns=(), alerts=()))
                self.done.setdefault(work.lease.sensor, []).extend(ids)
            if releases:
                unit.sensors.release(work.lease)

    @rule(work=consumes(begun))
    def crash(self, work: Begun) -> None:
        """Nothing more is heard of it; someone who knows gives back what it had."""
        with self.store.begin() as unit:
            unit.sensors.release_all(work.lease.worker)

    @invariant()
    def each_job_is_done_once_and_in_order(self) -> None:
        for sensor, done in self.done.items():
            assert done == self.added[sensor][: len(done)]

    @invariant()
    def what_waits_has_its_payload(self) -> None:
        with self.store.read() as reader:
            for sensor, added in self.added.items():
                for job_id in added:
                    job = reader.jobs.job(job_id)
                    assert job is not None
                    waits = job_id not in self.done.get(sensor, [])
                    assert (job.state is JobState.WAITING) is waits
                    assert reader.jobs.payload(job_id) == (b"abc" if waits else b"")


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
