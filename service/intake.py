"""Takes traffic in: what is accepted is stored, and waits for a worker."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import BusyError, StoreError
from service.observe import SILENT, Observer
from service.store.batch import Post, add_posts
from service.store.group import GroupCommit, in_turn
from service.store.jobs import PART_BYTES, Added, Backlog, JobKind, NewJob
from service.windows.wire import write_window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from service.store.group import Queues

    Writes = GroupCommit[Callable[[Queues], Any], Any]
    from service.store.jobs import Job
    from service.store.sql import SqlStore
    from service.windows.counts import WindowCounts

_SECOND = 1_000_000_000
_RECOUNTED = _SECOND // 4
"""The backlog is counted anew after so long, ns; in between, what is added here is added to it."""
_RATED = 60 * _SECOND
"""The rate of work is that of so long, ns."""
_LONGEST_RETRY = 300
_UNKNOWN_RETRY = 30
_ROOM = 0.05
"""Share of the queue that should be free before someone tries again."""


@dataclass(frozen=True, slots=True)
class IntakeSpec:
    """How much may wait; raises ValueError unless both are positive."""

    jobs: int = 20_000
    bytes: int = 1 << 30
    """Of payload."""
    looks: float = 0.5
    """Looks at open windows are refused from this share on: they are of use only if they are timely."""

    def __post_init__(self) -> None:
        if min(self.jobs, self.bytes) < 1:
            raise ValueError(f"queue: {self.jobs} jobs of {self.bytes} bytes are not both positive")


class Intake:
    """Accepts windows and uploads; called from several threads at once.

    What it returns is on the disk. `clock` gives ns since the epoch.
    """

    def __init__(
        self,
        spec: IntakeSpec,
        store: SqlStore,
        clock: Callable[[], int] = time.time_ns,
        observer: Observer = SILENT,
    ) -> None:
        self._store = store
        self._observer = observer
        self._clock = clock
        self._room = room = _Room(spec, store, clock)
        self._windows = GroupCommit[Post, "Sequence[Added]"](
            store, lambda unit, posts: add_posts(unit, posts, lambda size: room.check(JobKind.WINDOW, size))
        )
        self._others: Writes = GroupCommit(store, in_turn)
        """Of uploads and looks."""
        self._left: list[str] = []
        """Uploads that broke off while nothing could be written: their parts are still there."""

    def add_window(self, counts: WindowCounts) -> Added:
        """Accept a window, or a look at one that is still open.

        One that came before, with the same content, is answered with its first job. Raises WindowConflictError
        if other content came before, BusyError if too much waits, and StoreError.
        """
        if counts.whole:
            return self.add_windows([counts])[0]
        payload = write_window(counts)
        return self._add(_window_job(counts, payload, self._clock()), payload)

    def add_windows(self, windows: Sequence[WindowCounts]) -> Sequence[Added]:
        """Accept windows that come together, all or none, in their order; raises as `add_window` does.

        A WindowConflictError says which of them it was, and may be of two of them.
        """
        now, payloads = self._clock(), [write_window(counts) for counts in windows]
        jobs = [_window_job(counts, payload, now) for counts, payload in zip(windows, payloads, strict=True)]
        added = self._windows.write(Post(jobs, payloads))
        for each in added:
            self._note(each)
        return added

    def seems_full(self) -> bool:
        """Tell whether `check_room` has anything to refuse, by what was last counted, or to tidy up: quickly."""
        return bool(self._left) or self._room.seems_full()

    def check_room(self) -> None:
        """Raise BusyError if nothing would be accepted now: a refusal should cost less than reading a request."""
        self._room.check(JobKind.UPLOAD, 0)
        left, self._left = self._left, []
        try:
            while left:
                self._drop(left.pop())
        finally:
            self._left += left

    def upload(self, sensor: str) -> Upload:
        """Begin to accept a capture or a log; raises BusyError if too much waits."""
        self.check_room()
        return Upload(sensor, self._others, self._clock, self._room.hold(), self._add, self._drop)

    def job(self, job_id: str) -> Job | None:
        """Return a job that was accepted, or None; raises StoreError."""
        with self._store.read() as reader:
            return reader.jobs.job(job_id)

    def _drop(self, job_id: str) -> None:
        """Forget the parts of an upload: later, if that can't be done now."""
        try:
            self._others.write(lambda unit: unit.jobs.drop_parts(job_id))
        except StoreError:
            self._left.append(job_id)
            raise

    def _add(self, job: NewJob, payload: bytes | None = None, held: Held | None = None) -> Added:
        asked = False

        def write(unit: Queues) -> Added:
            nonlocal asked
            # It is asked again after a commit that failed, and may have reached the disk all the same.
            mine = unit.jobs.job(job.id) if asked else None
            if mine is not None:
                return Added(mine, repeated=False)
            asked = True
            first = unit.jobs.earlier(job)
            if first is not None:
                unit.jobs.drop_parts(job.id)
                return Added(first, repeated=True)
            self._room.check(job.kind, job.size, held)
            unit.sensors.heard(job.sensor, job.received)
            return Added(unit.jobs.add(job, payload), repeated=False)

        added: Added = self._others.write(write)
        self._note(added)
        return added

    def _note(self, added: Added) -> None:
        if not added.repeated:
            self._room.take(added.job.size)
            self._observer.taken(added.job.kind.value)


class Upload:
    """A capture or a log on its way in; in memory is one part of it. `finish` accepts it, `drop` forgets it.

    What has come of it counts as bytes that wait: many uploads at once fill the store no further than others do.
    """

    def __init__(
        self,
        sensor: str,
        commit: Writes,
        clock: Callable[[], int],
        room: Held,
        add: Callable[[NewJob, bytes | None, Held], Added],
        drop: Callable[[str], None],
    ) -> None:
        self._sensor = sensor
        self._commit = commit
        self._clock = clock
        self._room = room
        self._add = add
        self._drop = drop
        self._id = _new_id()
        self._digest = hashlib.sha256()
        self._held = bytearray()
        self._parts = self._size = 0

    def write(self, data: bytes) -> None:
        """Take what follows; raises BusyError if there is no room for it, and StoreError."""
        self._room.more(len(data))
        self._digest.update(data)
        self._size += len(data)
        self._held += data
        while len(self._held) >= PART_BYTES:
            self._keep(bytes(self._held[:PART_BYTES]))
            del self._held[:PART_BYTES]

    def finish(self) -> Added:
        """Accept what was written; raises as `Intake.add_window` does."""
        if self._held:
            self._keep(bytes(self._held))
        digest = self._digest.hexdigest()
        job = NewJob(self._id, self._sensor, JobKind.UPLOAD, digest, self._size, self._clock())
        added = self._add(job, None, self._room)
        self._room.give_back()
        return added

    def drop(self) -> None:
        """Forget what was written; raises StoreError."""
        self._room.give_back()
        if self._parts:
            self._drop(self._id)

    def _keep(self, part: bytes) -> None:
        number, at = self._parts, self._clock()
        self._commit.write(lambda unit: unit.jobs.put_part(self._id, number, at, part))
        self._parts += 1


class Held:
    """Bytes of one upload that is on its way: they take room before its job waits."""

    def __init__(self, room: _Room) -> None:
        self._room = room
        self.bytes = 0

    def more(self, size: int) -> None:
        """Take room for so many bytes more; raises BusyError if there is none."""
        self._room.check(JobKind.UPLOAD, self.bytes + size, self)
        self._room.hold_more(size)
        self.bytes += size

    def give_back(self) -> None:
        """Let others have the room; it may be called again."""
        self._room.hold_more(-self.bytes)
        self.bytes = 0


class _Room:
    """How much may still come. Counted now and then: a refusal costs nothing, and a bound need not be exact."""

    def __init__(self, spec: IntakeSpec, store: SqlStore, clock: Callable[[], int]) -> None:
        self._spec = spec
        self._store = store
        self._clock = clock
        self._guard = threading.Lock()
        self._counted = Backlog(0, 0)
        self._done = 0
        self._counted_at: int | None = None
        self._held = 0
        """Bytes of uploads on their way through this process."""

    def hold(self) -> Held:
        """Return what a new upload takes of the room: nothing yet."""
        return Held(self)

    def hold_more(self, size: int) -> None:
        """Count bytes, or fewer of them, of an upload that is on its way."""
        with self._guard:
            self._held += size

    def seems_full(self) -> bool:
        """Tell whether there was no room when it was last counted."""
        waiting = self._counted
        return waiting.jobs >= self._spec.jobs or waiting.bytes + self._held >= self._spec.bytes

    def check(self, kind: JobKind, size: int, held: Held | None = None) -> None:
        """Raise BusyError if there is no room for a job of this kind and size, bytes, some of which are `held`."""
        share = self._spec.looks if kind is JobKind.LOOK else 1.0
        with self._guard:
            self._count()
            waiting = self._counted
            if waiting.jobs >= share * self._spec.jobs:
                raise BusyError(self._retry_after(), f"{waiting.jobs} jobs wait, and no more are taken")
            # One that is larger than all that may wait is taken when it is alone.
            others = waiting.bytes + self._held - (held.bytes if held else 0)
            if others + size > share * self._spec.bytes and others:
                raise BusyError(self._retry_after(), f"{others} bytes wait or are coming, and no more are taken")

    def take(self, size: int) -> None:
        """Count what was added here."""
        with self._guard:
            self._counted = Backlog(self._counted.jobs + 1, self._counted.bytes + size)

    def _count(self) -> None:
        now = self._clock()
        if self._counted_at is not None and 0 <= now - self._counted_at < _RECOUNTED:
            return
        with self._store.read() as reader:
            self._counted = reader.jobs.backlog()
            self._done = reader.jobs.done_since(now - _RATED)
        self._counted_at = now

    def _retry_after(self) -> int:
        """Return in how many seconds there should be room, by the rate of the last minute."""
        wanted = max(_ROOM * self._counted.jobs, 1.0)
        seconds = wanted * _RATED / _SECOND / self._done if self._done else _UNKNOWN_RETRY
        return max(1, min(_LONGEST_RETRY, round(seconds)))


def _window_job(counts: WindowCounts, payload: bytes, now: int) -> NewJob:
    kind = JobKind.WINDOW if counts.whole else JobKind.LOOK
    return NewJob(_new_id(), counts.sensor, kind, counts.digest(), len(payload), now, window=counts.id)


def _new_id() -> str:
    return "j" + secrets.token_hex(10)
