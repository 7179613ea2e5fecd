"""Work that was accepted: it waits in the order in which it came, is done once, and stays a while as a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, select, union_all, update

from service.errors import WindowConflictError
from service.receipts import Outcome, Receipt, Refusal
from service.store import tables
from service.store.outcomes import read_outcome, write_outcome
from service.store.statements import add_new

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection, Row, Select

PART_BYTES = 1 << 20
"""The longest part of a payload."""

_TABLE = tables.jobs
_PAYLOADS = tables.payloads
_SHOWN = (
    _TABLE.c.sequence,
    _TABLE.c.id,
    _TABLE.c.sensor,
    _TABLE.c.kind,
    _TABLE.c.window,
    _TABLE.c.digest,
    _TABLE.c.state,
    _TABLE.c.received_ns,
    _TABLE.c.size,
    _TABLE.c.tries,
    _TABLE.c.outcome,
)


_FINISHED = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("named"))
    .values({name: bindparam(name) for name in ("state", "done_ns", "outcome")})
)


class JobKind(StrEnum):
    """What is to be done."""

    WINDOW = "window"
    """Analyse and store a window."""
    LOOK = "look"
    """See what shows already in a window that is still open."""
    UPLOAD = "upload"
    """Read a capture or a log, and analyse and store its windows."""


class JobState(StrEnum):
    """How far it is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work that comes in; raises ValueError if a window's job names none, or the size is negative."""

    id: str
    sensor: str
    kind: JobKind
    digest: str
    """Of what it works on: tells a repetition from a contradiction."""
    size: int
    """Bytes of its payload."""
    received: int
    """When it came, ns since the epoch."""
    window: str | None = None
    """Id of the window, if it is of one."""

    def __post_init__(self) -> None:
        if (self.window is None) != (self.kind is JobKind.UPLOAD):
            raise ValueError(f"window: a job of kind {self.kind} has {self.window!r}")
        if self.size < 0:
            raise ValueError(f"size: {self.size} is negative")


@dataclass(frozen=True, slots=True)
class Job:
    """Work that was accepted."""

    sequence: int
    """Its place: a sensor's jobs are done in the order of these."""
    id: str
    sensor: str
    kind: JobKind
    window: str | None
    digest: str
    state: JobState
    received: int
    size: int
    tries: int
    """How often it broke down."""
    outcome: Outcome | None
    """None while it waits."""


@dataclass(frozen=True, slots=True)
class Added:
    """What was said to whoever brought work."""

    job: Job
    repeated: bool
    """It had come before: this is the first job."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits."""

    jobs: int
    bytes: int


# Asked for each group of windows: to put them together takes longer than they do.
_NAMED = select(*_SHOWN).where(_TABLE.c.id.in_(bindparam("named", expanding=True)))
_MET = union_all(
    select(tables.windows.c.id).where(tables.windows.c.id.in_(bindparam("named", expanding=True))),
    select(_TABLE.c.window).where(
        _TABLE.c.window.in_(bindparam("named", expanding=True)), _TABLE.c.state == JobState.WAITING.value
    ),
)


class SqlJobs:
    """Jobs as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def earlier(self, job: NewJob) -> Job | None:
        """Return the job that makes this one a repetition, or None.

        One that failed does not count: it may be tried again. Raises WindowConflictError if a window of other
        content is stored or waits under the same id.
        """
        if job.kind is JobKind.UPLOAD:
            return self._same_upload(job)
        if job.kind is JobKind.LOOK:
            return None
        stored = self._stored(job)
        return self._waiting_window(job) if stored is None else stored

    def met(self, windows: Collection[str]) -> set[str]:
        """Return those of some windows that are stored or wait: jobs of no others can be repetitions."""
        return set(self._connection.scalars(_MET, {"named": list(windows)}))

    def add(self, job: NewJob, payload: bytes | None = None) -> Job:
        """Let a job wait; its payload is given here, or was put before, part by part.

        A look takes the place of those at the same window that still wait: nobody needs them any more.
        """
        if job.kind is JobKind.LOOK:
            self._replace_looks(job)
        return self.add_all([job], [payload or b""])[0]

    def add_all(self, jobs: Sequence[NewJob], payloads: Sequence[bytes]) -> Sequence[Job]:
        """Let jobs wait, none of them a look, in their order; as `add` does with each."""
        if not jobs:
            return []
        self._connection.execute(insert(_TABLE), [_row(job) for job in jobs])
        self._put([row for job, payload in zip(jobs, payloads, strict=True) for row in _part_rows(job, payload)])
        added = self._connection.execute(_NAMED, {"named": [job.id for job in jobs]})
        by_id = {row.id: _job(row) for row in added}
        return [by_id[job.id] for job in jobs]

    def put_part(self, job_id: str, part: int, at: int, data: bytes) -> None:
        """Keep a part of a payload, numbered from 0, unless it is there already; its job may come later.

        Raises ValueError if it is too long.
        """
        if len(data) > PART_BYTES:
            raise ValueError(f"part {part}: {len(data)} bytes are more than {PART_BYTES}")
        self._put([{"job": job_id, "part": part, "at_ns": at, "bytes": data}])

    def drop_parts(self, job_id: str) -> None:
        """Forget the payload of a job."""
        self._connection.execute(delete(_PAYLOADS).where(_PAYLOADS.c.job == job_id))

    def parts(self, job_id: str) -> Iterator[bytes]:
        """Yield the parts of a payload, one at a time in memory."""
        numbers = select(_PAYLOADS.c.part).where(_PAYLOADS.c.job == job_id).order_by(_PAYLOADS.c.part)
        for number in self._connection.scalars(numbers).all():
            one = select(_PAYLOADS.c.bytes).where(_PAYLOADS.c.job == job_id, _PAYLOADS.c.part == number)
            yield self._connection.execute(one).scalar_one()

    def payload(self, job_id: str) -> bytes:
        """Return the whole payload of a job."""
        return self.payloads([job_id])[job_id]

    def payloads(self, job_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the whole payloads of some jobs, by job."""
        rows = select(_PAYLOADS.c.job, _PAYLOADS.c.bytes).where(_PAYLOADS.c.job.in_(job_ids))
        found: dict[str, list[bytes]] = {name: [] for name in job_ids}
        for row in self._connection.execute(rows.order_by(_PAYLOADS.c.job, _PAYLOADS.c.part)):
            found[row.job].append(row.bytes)
        return {name: b"".join(parts) for name, parts in found.items()}

    def job(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        return self._first(select(*_SHOWN).where(_TABLE.c.id == job_id))

    def waiting(self, sensor: str, limit: int) -> Sequence[Job]:
        """Return the jobs of a sensor that wait, in the order in which they are to be done."""
        rows = _waiting().where(_TABLE.c.sensor == sensor).order_by(_TABLE.c.sequence).limit(limit)
        return [_job(row) for row in self._connection.execute(rows)]

    def all_wait(self, job_ids: Sequence[str]) -> bool:
        """Return whether all of these jobs still wait."""
        count = select(func.count()).where(_TABLE.c.id.in_(job_ids), _TABLE.c.state == JobState.WAITING.value)
        return self._connection.execute(count).scalar_one() == len(job_ids)

    def backlog(self) -> Backlog:
        """Return how much waits."""
        query = select(func.count(), func.coalesce(func.sum(_TABLE.c.size), 0))
        jobs, size = self._connection.execute(query.where(_TABLE.c.state == JobState.WAITING.value)).one()
        return Backlog(jobs, int(size))

    def done_since(self, time: int) -> int:
        """Return how many jobs were done at or after a time, ns since the epoch."""
        query = select(func.count()).where(_TABLE.c.state == JobState.DONE.value, _TABLE.c.done_ns >= time)
        return self._connection.execute(query).scalar_one()

    def finish(self, job_id: str, at: int, outcome: Outcome) -> None:
        """Write down what became of a job; its payload goes."""
        self.finish_all([(job_id, outcome)], at)

    def finish_all(self, outcomes: Sequence[tuple[str, Outcome]], at: int) -> None:
        """Write down what became of jobs; their payloads go."""
        if not outcomes:
            return
        rows = [
            {
                "named": job_id,
                "state": (JobState.FAILED if isinstance(outcome, Refusal) else JobState.DONE).value,
                "done_ns": at,
                "outcome": write_outcome(outcome),
            }
            for job_id, outcome in outcomes
        ]
        self._connection.execute(_FINISHED, rows)
        self._connection.execute(delete(_PAYLOADS).where(_PAYLOADS.c.job.in_([job_id for job_id, _ in outcomes])))

    def broke_down(self, job_id: str) -> int:
        """Note that whoever worked on a job broke down; return how often that was."""
        self._connection.execute(update(_TABLE).where(_TABLE.c.id == job_id).values(tries=_TABLE.c.tries + 1))
        return int(self._connection.execute(select(_TABLE.c.tries).where(_TABLE.c.id == job_id)).scalar_one())

    def drop_lost_parts(self, before: int, limit: int) -> int:
        """Forget up to `limit` payloads that were put before a time and whose jobs never came; return how many.

        Receipts go by `service.store.retention`.
        """
        known = select(_TABLE.c.id).where(_TABLE.c.id == _PAYLOADS.c.job)
        lost = select(_PAYLOADS.c.job).where(_PAYLOADS.c.at_ns < before, ~known.exists()).distinct().limit(limit)
        orphans = self._connection.scalars(lost).all()
        self._connection.execute(delete(_PAYLOADS).where(_PAYLOADS.c.job.in_(orphans)))
        return len(orphans)

    def _put(self, parts: list[dict[str, object]]) -> None:
        if parts:
            # They come again if nobody knows whether the commit reached the disk.
            self._connection.execute(add_new(_PAYLOADS, "job", "part"), parts)

    def _stored(self, job: NewJob) -> Job | None:
        """Return the job of a window that is stored; if its receipt is gone, it gets a new one."""
        table = tables.windows
        query = select(table.c.digest, table.c.patterns, table.c.alerts).where(table.c.id == job.window)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        _check_same(job, row.digest)
        of_window = select(*_SHOWN).where(_TABLE.c.window == job.window, _TABLE.c.state == JobState.DONE.value)
        of_window = of_window.where(_TABLE.c.kind == JobKind.WINDOW.value).order_by(_TABLE.c.sequence)
        done = self._first(of_window.limit(1))
        if done is None:
            self.add(job)
            receipt = Receipt(
                str(job.window), repeated=True, patterns=tuple(row.patterns), alerts=tuple(row.alerts)
            )
            self.finish(job.id, job.received, receipt)
        return done or self.job(job.id)

    def _waiting_window(self, job: NewJob) -> Job | None:
        rows = _waiting().where(_TABLE.c.window == job.window, _TABLE.c.kind == JobKind.WINDOW.value)
        found = self._first(rows.order_by(_TABLE.c.sequence).limit(1))
        if found is not None:
            _check_same(job, found.digest)
        return found

    def _same_upload(self, job: NewJob) -> Job | None:
        # By state: that is how the sensor's jobs are found without looking at all there are.
        for state in (JobState.WAITING, JobState.DONE):
            rows = select(*_SHOWN).where(
                _TABLE.c.state == state.value,
                _TABLE.c.sensor == job.sensor,
                _TABLE.c.kind == JobKind.UPLOAD.value,
                _TABLE.c.digest == job.digest,
            )
            found = self._first(rows.order_by(_TABLE.c.sequence).limit(1))
            if found is not None:
                return found
        return None

    def _replace_looks(self, job: NewJob) -> None:
        older = _waiting().where(_TABLE.c.window == job.window, _TABLE.c.kind == JobKind.LOOK.value)
        for row in self._connection.execute(older).all():
            self.finish(row.id, job.received, Receipt(row.window, repeated=True, patterns=(), alerts=()))

    def _first(self, query: Select[*tuple[object, ...]]) -> Job | None:
        row = self._connection.execute(query).first()
        return None if row is None else _job(row)

    def _one(self, query: Select[*tuple[object, ...]]) -> Job:
        return _job(self._connection.execute(query).one())


def _waiting() -> Select[*tuple[object, ...]]:
    return select(*_SHOWN).where(_TABLE.c.state == JobState.WAITING.value)


def _row(job: NewJob) -> dict[str, object]:
    return {
        "id": job.id,
        "sensor": job.sensor,
        "kind": job.kind.value,
        "window": job.window,
        "digest": job.digest,
        "state": JobState.WAITING.value,
        "received_ns": job.received,
        "size": job.size,
        "tries": 0,
    }


def _part_rows(job: NewJob, payload: bytes) -> Iterator[dict[str, object]]:
    for part, start in enumerate(range(0, len(payload), PART_BYTES)):
        yield {
            "job": job.id,
            "part": part,
            "at_ns": job.received,
            "bytes": payload[start : start + PART_BYTES],
        }


def _check_same(job: NewJob, digest: str) -> None:
    if digest != job.digest:
        raise WindowConflictError(
            f"window {job.window}: sensor {job.sensor!r} has sent it before with other content; "
            "send a correction under another sensor name"
        )


def _job(row: Row[*tuple[object, ...]]) -> Job:
    return Job(
        sequence=row.sequence,
        id=row.id,
        sensor=row.sensor,
        kind=JobKind(row.kind),
        window=row.window,
        digest=row.digest,
        state=JobState(row.state),
        received=row.received_ns,
        size=row.size,
        tries=row.tries,
        outcome=None if row.outcome is None else read_outcome(row.outcome),
    )
