"""The loop that does what was accepted: each job once, and in order within a sensor.

A worker leases a sensor, reads its oldest jobs and what is known of it as of one moment, and analyses them without
any lock. What it found is written in one short transaction, which also sets the jobs done, but only if nothing was
written of the sensor since, and the jobs still wait. Otherwise all of it is done again. A worker that is killed
has therefore done all of a job, or nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from service.disk import is_full, unwritten
from service.errors import FullError, InputError, StoreError, WindowConflictError
from service.keeper import Keeper, KeeperSpec
from service.observe import SILENT, Observer, Work, identified
from service.receipts import CaptureReceipt, Reason, Receipt, Refusal
from service.store.at_hand import CataloguesAtHand
from service.store.buffer import Buffer
from service.store.jobs import JobKind
from service.store.repository import Reader
from service.windows.wire import read_window
from service.work.parser import RefusedError
from service.work.resting import Delay, Resting

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from service.analysis import Analyst
    from service.receipts import Outcome
    from service.store.jobs import Job, SqlJobs
    from service.store.sensors import Lease, SqlSensors
    from service.store.sql import SqlStore
    from service.windows.counts import WindowCounts
    from service.work.parser import Parsed, Parser

_log = logging.getLogger(__name__)

_SECOND = 1_000_000_000
_PURGED = 500
"""Payloads that are forgotten in one transaction."""


@dataclass(frozen=True, slots=True)
class WorkSpec:
    """How work is done; raises ValueError for what is not positive."""

    lease: float = 10.0
    """Seconds for which a sensor is leased; renewed when half of it is over."""
    together: int = 8
    """Windows that are written in one transaction, at most, ..."""
    together_bytes: int = 1 << 20
    """... and bytes of their payloads, unless one alone has more."""
    turn: float = 2.0
    """Seconds after which another sensor may be more urgent."""
    pause: float = 0.05
    """Seconds between two looks at an empty queue."""
    tries: int = 3
    """A job that breaks down so often has failed."""
    await_rest: float = 86_400.0
    """Seconds for which parts of an upload are kept whose job has not come."""
    longest_rest: float = 30.0
    """Seconds until it is tried again whether a full disk has room: one at first, doubled each time."""
    tidy: float = 60.0
    """Seconds between two times of putting things in order."""
    keeping: KeeperSpec | None = None
    """How long what is stored is kept; nobody looks after it here if it is None."""

    def __post_init__(self) -> None:
        seconds = self.lease, self.turn, self.pause, self.await_rest, self.longest_rest
        if min(self.together, self.together_bytes, self.tries, *seconds) <= 0:
            raise ValueError(f"work: {self} is not all positive")


def worker_name() -> str:
    """Return what this process is called in leases."""
    return f"{socket.gethostname()}:{os.getpid()}"


class _Reads(Reader, Protocol):
    """One moment of the store, with what waits."""

    jobs: SqlJobs
    sensors: SqlSensors


@dataclass(slots=True)
class _Done:
    """What is to be written of some jobs."""

    buffer: Buffer
    outcomes: list[tuple[Job, Outcome]] = field(default_factory=list)
    broken: Job | None = None
    """The one at which work broke down."""
    why: str = ""


class Worker:
    """Does the work of one process. `clock` gives ns since the epoch."""

    def __init__(
        self,
        spec: WorkSpec,
        store: SqlStore,
        analyst: Analyst,
        parser: Parser,
        observer: Observer = SILENT,
        name: str = "",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._spec = spec
        self._store = store
        self._analyst = analyst
        self._parser = parser
        self._observer = observer
        self._name = name or worker_name()
        self._clock = clock
        self._tidied = 0
        self._keeper = Keeper(spec.keeping, store, clock) if spec.keeping else None
        self._lease: Lease | None = None
        self._resting = Resting(spec.longest_rest)
        self._at_hand = CataloguesAtHand()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; while the database is away, or its disk full, wait for it."""
        full = Delay(self._spec.longest_rest)
        while not stop.is_set():
            try:
                self._tidy()
                busy = self.step(stop.is_set)
                if self._keeper is not None:
                    # A step at a time: what waits to be analysed goes on in between.
                    busy |= self._keeper.turn()
                full = Delay(self._spec.longest_rest)
            except StoreError as error:
                # One that is away comes back; a disk that is full stays so until somebody makes room.
                seconds = full.next() if isinstance(error, FullError) else 1.0
                told = {"reason": str(error), "seconds": seconds}
                _log.warning("the store can't be used; trying again", extra=told)
                self._analyst.forget()
                busy = False
                stop.wait(seconds)
            if not busy:
                stop.wait(self._spec.pause)

    def run_once(self) -> None:
        """Work until nothing waits that no other worker has; raises StoreError."""
        self._tidy()
        while self.step():
            pass
        if resting := self._resting.now(self._clock()):
            raise FullError(f"there is no room to read uploads of {', '.join(sorted(resting))}; make room")

    def step(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Work for one sensor for a while; return False if none has anything to do. Raises StoreError."""
        resting = self._resting.now(self._clock())
        with self._store.read() as reader:
            if not reader.sensors.awaited(self._name, self._clock(), resting):
                return False
        with self._store.begin() as unit:
            now = self._clock()
            self._lease = unit.sensors.lease(self._name, now, now + self._lease_ns(), resting)
        if self._lease is None:
            return False
        end = self._clock() + int(self._spec.turn * _SECOND)
        try:
            sensor = self._lease.sensor
            while self._work(sensor) and self._clock() < end and not stopped():
                pass
        finally:
            self._give_back()
        return True

    def _work(self, sensor: str) -> bool:
        """Do the oldest jobs of a sensor; return False if there are none, or the sensor is another's now."""
        with self._store.read() as reader:
            first = next(iter(reader.jobs.waiting(sensor, 1)), None)
        if first is None:
            return False
        if first.kind is not JobKind.UPLOAD:
            self._settle(sensor, lambda reader, buffer: self._windows(reader, buffer, sensor))
            return self._beat()
        work = Work(first.kind.value)
        with identified(job=first.id), self._observer.work(work):
            try:
                with self._parser.parsed(self._parts(first), first.sensor, self._beat) as parsed:
                    self._settle(sensor, lambda reader, buffer: self._upload(reader, buffer, first, parsed))
                work.outcome = "done"
            except RefusedError as error:
                refused, final = error.refusal, error.final
                self._settle(sensor, lambda reader, _: _refused(reader, first, refused, final=final))
            except FullError as error:
                # The job waits, and with it its sensor; those whose work takes no room go on.
                work.outcome = "waits"
                seconds = self._resting.rest(sensor, self._clock())
                _log.warning("an upload has to wait", extra={"reason": str(error), "seconds": seconds})
                self._analyst.forget()
                return False
        self._resting.wake(sensor)
        return self._beat()

    def _settle(self, sensor: str, analyse: Callable[[_Reads, Buffer], _Done]) -> None:
        """Analyse, and write what is found: once more whenever something else was written meanwhile."""
        while True:
            with self._store.read() as reader:
                revision = reader.sensors.revision(sensor)
                done = analyse(reader, Buffer(reader, self._at_hand.take(sensor, revision)))
            if self._write(sensor, revision, done):
                return

    def _write(self, sensor: str, revision: int, done: _Done) -> bool:
        """Write what was found, unless the jobs are done already; return False if it rests on what has changed."""
        jobs = [job.id for job, _ in done.outcomes]
        with self._store.begin(sensor) as unit:
            unchanged = unit.sensors.unchanged(sensor, revision)
            if not unchanged or not unit.jobs.all_wait(jobs):
                self._analyst.forget()
                return unchanged
            with self._observer.stage("save"):
                done.buffer.flush(unit)
            revision = unit.sensors.revision(sensor)
            now = self._clock()
            unit.jobs.finish_all([(job.id, outcome) for job, outcome in done.outcomes], now)
            if done.broken is not None and unit.jobs.broke_down(done.broken.id) >= self._spec.tries:
                unit.jobs.finish(done.broken.id, now, Refusal(Reason.CRASHED, done.why))
        self._at_hand.put(sensor, revision, done.buffer.catalogues)
        done.buffer.tell(self._observer)
        for job, outcome in done.outcomes:
            _tell(job, outcome)
        return True

    def _windows(self, reader: _Reads, buffer: Buffer, sensor: str, most: int | None = None) -> _Done:
        """Analyse the windows that wait, at most so many, and looks at open ones, up to the first upload."""
        done = _Done(buffer)
        jobs = self._together(reader.jobs.waiting(sensor, most or self._spec.together))
        payloads = reader.jobs.payloads([job.id for job in jobs])
        for job in jobs:
            work = Work(job.kind.value)
            try:
                # What the database raises is not the window's fault.
                with identified(job=job.id), self._observer.work(work), self._store.failures("reading failed"):
                    outcome = self._window(payloads[job.id], done.buffer)
                    work.outcome = _named(outcome)
                done.outcomes.append((job, outcome))
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  (what nobody can do must not stop all that follows)
                why = self._broke_down(job, error)
                if done.outcomes:
                    # What is remembered may be half changed: those before it are analysed once more, without it.
                    return self._windows(reader, Buffer(reader), sensor, len(done.outcomes))
                done.broken, done.why = job, why
                break
        return done

    def _broke_down(self, job: Job, error: Exception) -> str:
        """Log that the analysis of a job broke down; return what its sender may know of it.

        Raises FullError if a full disk is the reason, such as that of the compiled loops.
        """
        if isinstance(error, OSError) and is_full(error):
            raise unwritten("the disk", error) from error
        _log.error("the analysis broke down", exc_info=error, extra={"job": job.id, "sensor": job.sensor})
        self._analyst.forget()
        return f"the analysis broke down ({type(error).__name__}); it is logged"

    def _together(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those of a sensor's first jobs that are done together: all before an upload, and few bytes."""
        few: list[Job] = []
        room = self._spec.together_bytes
        for job in jobs:
            room -= job.size
            if job.kind is JobKind.UPLOAD or (room < 0 and few):
                break
            few.append(job)
        return few

    def _window(self, payload: bytes, buffer: Buffer) -> Outcome:
        try:
            counts = read_window(payload)
        except InputError as error:
            return Refusal(Reason.INPUT, error.message, error.field)
        if not counts.whole and buffer.window_digest(counts.id) is not None:
            return Receipt(counts.id, repeated=True, patterns=(), alerts=())
        try:
            return self._taken(counts, buffer, payload)
        except WindowConflictError as error:
            return Refusal(Reason.CONFLICT, str(error))

    def _taken(self, counts: WindowCounts, buffer: Buffer, document: bytes | None = None) -> Receipt:
        receipt, findings = (self._analyst.take if counts.whole else self._analyst.look)(buffer, counts)
        if findings is not None:
            buffer.add(findings, document)
        return receipt

    def _parts(self, job: Job) -> Iterator[bytes]:
        with self._store.read() as reader:
            yield from reader.jobs.parts(job.id)

    def _upload(self, reader: _Reads, buffer: Buffer, job: Job, parsed: Parsed) -> _Done:
        """Analyse all windows of an upload: they are written together, or none of them."""
        done, receipts = _Done(buffer), []
        try:
            with self._store.failures("reading failed"):
                for counts in parsed.windows():
                    receipts.append(self._taken(counts, done.buffer))
                    self._beat()
        except WindowConflictError as error:
            self._analyst.forget()
            return _refused(reader, job, Refusal(Reason.CONFLICT, str(error)))
        except InputError as error:
            self._analyst.forget()
            return _refused(reader, job, Refusal(Reason.CRASHED, f"its windows make no sense ({error})"))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  (the same upload would end the next worker, too)
            return _refused(reader, job, Refusal(Reason.CRASHED, self._broke_down(job, error)))
        read = parsed.figures
        receipt = CaptureReceipt(
            tuple(receipts), read.packets, read.attempts, read.unparsed, read.damage, read.flows, read.tunnelled
        )
        done.outcomes.append((job, receipt))
        return done

    def _beat(self) -> bool:
        """Renew the lease if half of it is over; return False if another worker has taken the sensor."""
        lease, now = self._lease, self._clock()
        if lease is None or now + self._lease_ns() // 2 < lease.until:
            return lease is not None
        with self._store.begin(lease.sensor) as unit:
            self._lease = unit.sensors.renew(lease, now + self._lease_ns())
        return self._lease is not None

    def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            with self._store.begin(lease.sensor) as unit:
                unit.sensors.release(lease)

    def _lease_ns(self) -> int:
        return int(self._spec.lease * _SECOND)

    def _tidy(self) -> None:
        """Now and then, take back what workers held that are gone, and forget uploads that broke off."""
        now = self._clock()
        if 0 <= now - self._tidied < self._spec.tidy * _SECOND:
            return
        with self._store.read() as reader:
            gone = [holder for holder in reader.sensors.holders() if holder != self._name and _is_gone(holder)]
        with self._store.begin() as unit:
            for holder in gone:
                unit.sensors.release_all(holder)
            removed = unit.jobs.drop_lost_parts(now - int(self._spec.await_rest * _SECOND), _PURGED)
        # If there was as much as one step takes, there is more.
        self._tidied = now if removed < _PURGED else 0


def _refused(reader: _Reads, job: Job, refusal: Refusal, *, final: bool = False) -> _Done:
    if refusal.reason is Reason.CRASHED and not final:
        return _Done(Buffer(reader), broken=job, why=refusal.message)
    return _Done(Buffer(reader), [(job, refusal)])


def _is_gone(holder: str) -> bool:
    """Return whether a worker is a process of this machine that has ended; of other machines nobody knows."""
    host, _, number = holder.rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _named(outcome: Outcome) -> str:
    return "failed" if isinstance(outcome, Refusal) else "done"


def _tell(job: Job, outcome: Outcome) -> None:
    told = {"job": job.id, "sensor": job.sensor, "kind": job.kind.value, "window": job.window}
    if isinstance(outcome, Refusal):
        _log.warning("job failed", extra={**told, "reason": outcome.message})
    elif job.kind is not JobKind.LOOK:
        _log.debug("job done", extra=told)
