"""Windows that come together: all are taken in, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import WindowConflictError
from service.store.jobs import Added

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.store.jobs import Job, NewJob, SqlJobs


def earlier_jobs(jobs: SqlJobs, new: Sequence[NewJob]) -> dict[int, Job]:
    """Return the jobs that make some of these repetitions, by place; see `SqlJobs.earlier`.

    Raises WindowConflictError, with the place, for a window whose content contradicts one that came before, also
    among these; up to then it has written no more than receipts of windows that are stored.
    """
    digests: dict[str | None, str] = {}
    found: dict[int, Job] = {}
    for place, job in enumerate(new):
        if digests.setdefault(job.window, job.digest) != job.digest:
            raise WindowConflictError(f"window {job.window}: comes twice here, with different content", place)
        try:
            first = jobs.earlier(job)
        except WindowConflictError as error:
            raise WindowConflictError(str(error), place) from error
        if first is not None:
            found[place] = first
    return found


def add_together(
    jobs: SqlJobs, new: Sequence[NewJob], payloads: Sequence[bytes], earlier: Mapping[int, Job]
) -> Sequence[Added]:
    """Let jobs wait in their order, but for repetitions: of `earlier` ones, by place, or of one another."""
    kept: dict[str | None, Job] = {}
    added = []
    for place, (job, payload) in enumerate(zip(new, payloads, strict=True)):
        first = earlier.get(place) or kept.get(job.window)
        if first is None:
            kept[job.window] = jobs.add(job, payload)
        added.append(Added(first or kept[job.window], repeated=first is not None))
    return added
