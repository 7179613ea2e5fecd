"""Ingests and stores that behave as a test needs it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from service.errors import CaptureError, StoreError
from service.intake import Intake, IntakeSpec
from service.receipts import CaptureReceipt, Reason, Receipt, Refusal
from service.store.jobs import Added, JobKind
from service.store.repository import WindowRecord
from service.store.sql import SqlStore
from service.windows.wire import read_window
from tests.builders import MINUTE, START, a_pattern, a_window, an_alert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from service.api.ingest import Receiving
    from service.receipts import Outcome
    from service.store.jobs import Job
    from service.store.repository import Unit
    from service.windows.counts import WindowCounts


class FakeIngest:
    """An intake whose work is done when someone asks for it: unless it is `idle`.

    Finds pattern p1 in every window, and alert a1 in the first one it meets.
    """

    def __init__(self, store: SqlStore, spec: IntakeSpec | None = None) -> None:
        self.store = store
        self.idle = False
        self.captures: list[tuple[str, int]] = []
        """Sensor and size of every capture that came."""
        self._intake = Intake(IntakeSpec() if spec is None else spec, store)

    def seems_full(self) -> bool:
        return self._intake.seems_full()

    def check_room(self) -> None:
        self._intake.check_room()

    def add_window(self, counts: WindowCounts) -> Added:
        return self._intake.add_window(counts)

    def add_windows(self, windows: Sequence[WindowCounts]) -> Sequence[Added]:
        return self._intake.add_windows(windows)

    def upload(self, sensor: str) -> Receiving:
        return self._intake.upload(sensor)

    def job(self, job_id: str) -> Job | None:
        while not self.idle and self._work():
            pass
        return self._intake.job(job_id)

    def _work(self) -> bool:
        with self.store.begin() as unit:
            lease = unit.sensors.lease("fake", time.time_ns(), time.time_ns() + MINUTE)
            if lease is None:
                return False
            for job in unit.jobs.waiting(lease.sensor, 1):
                payload = unit.jobs.payload(job.id)
                unit.jobs.finish(job.id, time.time_ns(), self._outcome(unit, job, payload))
            unit.sensors.release(lease)
        return True

    def _outcome(self, unit: Unit, job: Job, payload: bytes) -> Outcome:
        if job.kind is JobKind.WINDOW:
            return _found(unit, read_window(payload))
        self.captures.append((job.sensor, len(payload)))
        if not payload.startswith(b"capture:"):
            return Refusal(Reason.CAPTURE, "body: is no pcap, pcapng or gzip file; send a capture")
        # A letter w for each window, the rest is padding.
        windows = [a_window(job.sensor, START + number * MINUTE) for number in range(payload.count(b"w"))]
        receipts = tuple(_found(unit, counts) for counts in windows)
        return CaptureReceipt(receipts, len(payload), len(receipts), {"ether type 0x88cc": 1}, None)


def _found(unit: Unit, counts: WindowCounts) -> Receipt:
    stored = unit.window(counts.id)
    if stored is not None:
        return Receipt(counts.id, repeated=True, patterns=stored.patterns, alerts=stored.alerts)
    alerts = ("a1",) if unit.alert("a1") is None else ()
    unit.save_patterns([a_pattern(sensor=counts.sensor)])
    unit.save_alerts([an_alert(sensor=counts.sensor)])
    unit.add_window(WindowRecord(counts, counts.digest(), ("p1",), alerts))
    return Receipt(counts.id, repeated=False, patterns=("p1",), alerts=alerts)


class BrokenIngest:
    """Has a defect."""

    def seems_full(self) -> bool:
        return True

    def check_room(self) -> None:
        pass

    def add_window(self, counts: WindowCounts) -> Added:
        raise LookupError("the secret of line 17")

    def add_windows(self, windows: Sequence[WindowCounts]) -> Sequence[Added]:
        raise LookupError("the secret of line 19")

    def upload(self, sensor: str) -> Receiving:
        raise LookupError("the secret of line 23")

    def job(self, job_id: str) -> Job | None:
        raise LookupError("the secret of line 31")


class UnprintableIngest(BrokenIngest):
    """Quotes bytes that are no text, as Python decodes names of files."""

    def upload(self, sensor: str) -> Receiving:
        raise CaptureError("\udcff is no capture")


class AwayIngest(BrokenIngest):
    """Its disk is gone."""

    def check_room(self) -> None:
        raise StoreError("database /var/secret.db: disk I/O error")


class BrokenStore(SqlStore):
    """Its disk is gone."""

    def __init__(self) -> None:
        """Open nothing."""

    def begin(self, sensor: str | None = None) -> AbstractContextManager[Any]:  # type: ignore[override]
        raise StoreError("database /var/secret.db: disk I/O error")

    def read(self) -> AbstractContextManager[Any]:  # type: ignore[override]
        raise StoreError("database /var/secret.db: disk I/O error")
