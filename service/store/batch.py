"""Windows that come at the same moment: asked after together, judged request by request, written together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import BusyError, WindowConflictError
from service.store.jobs import Added, NewJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from service.store.group import Queues, Refusal
    from service.store.jobs import Job, SqlJobs

    _Firsts = Sequence[tuple[NewJob, Job | NewJob]]
    """Jobs, each with the first one of its window: itself, if it is not a repetition."""


@dataclass(frozen=True, slots=True)
class Post:
    """Windows of one request: all are taken in, or none. Raises ValueError unless each has its payload."""

    jobs: Sequence[NewJob]
    payloads: Sequence[bytes]

    def __post_init__(self) -> None:
        if len(self.jobs) != len(self.payloads):
            raise ValueError(f"post: {len(self.jobs)} jobs have {len(self.payloads)} payloads")


def add_posts(
    unit: Queues, posts: Sequence[Post], check_room: Callable[[int], None]
) -> Sequence[Sequence[Added] | Refusal]:
    """Let windows of several requests wait, in their order; return what is said of each, or why one is refused.

    A window that came before, or comes twice here, is a repetition; with other content it refuses its request, and
    the error has its place there. `check_room` may refuse bytes with a BusyError. Of a request that is refused no
    more is written than receipts of windows that are stored.
    """
    batch = _Batch(unit.jobs, posts)
    found = [batch.judged(post, check_room) for post in posts]
    unit.sensors.heard_all({job.sensor: job.received for job, _ in batch.kept.values()})
    added = unit.jobs.add_all(*zip(*batch.kept.values(), strict=True)) if batch.kept else []
    new = {job.id: job for job in added}
    return [each if isinstance(each, Exception) else _said(each, new) for each in found]


class _Batch:
    """What is decided of the requests of one transaction."""

    def __init__(self, jobs: SqlJobs, posts: Sequence[Post]) -> None:
        self._jobs = jobs
        self._met = jobs.met({job.window for post in posts for job in post.jobs if job.window is not None})
        self.kept: dict[str | None, tuple[NewJob, bytes]] = {}
        """What is new, by window, with its payload."""

    def judged(self, post: Post, check_room: Callable[[int], None]) -> _Firsts | Refusal:
        """Return the first job of each of a request's windows, or why it is refused; what is new is kept."""
        new: dict[str | None, tuple[NewJob, bytes]] = {}
        firsts = []
        try:
            for place, (job, payload) in enumerate(zip(post.jobs, post.payloads, strict=True)):
                first = self._first(job, place, new)
                firsts.append((job, first))
                if first is job:
                    new[job.window] = job, payload
            if new:
                check_room(sum(job.size for job, _ in new.values()))
        except (WindowConflictError, BusyError) as refusal:
            return refusal
        self.kept |= new
        return firsts

    def _first(self, job: NewJob, place: int, new: Mapping[str | None, tuple[NewJob, bytes]]) -> Job | NewJob:
        together = self.kept.get(job.window) or new.get(job.window)
        if together is not None:
            if together[0].digest != job.digest:
                raise WindowConflictError(f"window {job.window}: comes twice here, with different content", place)
            return together[0]
        if job.window not in self._met:
            return job
        try:
            return self._jobs.earlier(job) or job
        except WindowConflictError as error:
            raise WindowConflictError(str(error), place) from error


def _said(firsts: _Firsts, new: Mapping[str, Job]) -> Sequence[Added]:
    # A job may be its own first one: if it is asked for again after a commit whose answer was lost.
    return [
        Added(new[first.id] if isinstance(first, NewJob) else first, repeated=first.id != job.id)
        for job, first in firsts
    ]
