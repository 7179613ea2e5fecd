"""What a window counts of its sources: how many tried a service, and how broadly.

A surge is more sources of a service than its own past explains; a breadth counter asks the same of the sources that
tried a service on several targets or in several hours, or that tried several services. Each counter is a number of
distinct sources, so that one test fits all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.tails import surprise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.alerts.tails import CountFit
    from service.windows.counts import WindowCounts

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

LEVELS = (2, 3, 4, 6, 8)
"""Targets, hours or services from which on a source is broad."""

ATTEMPTS = 16
"""Of one source at one service that count, at most: retries are no interest of their own."""


class Counter(IntEnum):
    """What makes a source count."""

    SOURCES = 0
    """It tried the service."""
    TARGETS = 1
    """It tried the service on at least `level` targets."""
    HOURS = 2
    """It tried the service in at least `level` hours."""
    SERVICES = 3
    """It tried at least `level` services."""
    STRANGE = 4
    """It tried a service that hardly anybody had tried before: one attempt of each of many sources may be all that
    a list of ports leaves behind."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """The counters of a window that are not zero, ascending by `ids`; both of shape (n,)."""

    ids: Ints
    """See `counter_id`."""
    counts: Ints
    """Distinct sources."""


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """The rows of a window that are judged together: those of sources that are not loud by themselves."""

    source: Ints
    """Index in `WindowCounts.sources`, ascending; shape (r,)."""
    service: Ints
    targets: Ints
    attempts: Ints
    """At most `ATTEMPTS`."""
    hours: Ints
    """Hours in which the source tried the service; 0 where nobody counted them."""
    services: Ints
    """How many services the row's source tried."""

    def __len__(self) -> int:
        return len(self.source)


def counter_id(counter: Counter, level: int, service: int) -> int:
    """Return the number of a counter; `service` is 0 for `Counter.SERVICES`."""
    return counter << 32 | level << 24 | service


def counter_parts(number: int) -> tuple[Counter, int, int]:
    """Return what `counter_id` was given."""
    return Counter(number >> 32), number >> 24 & 0xFF, number & 0xFFFFFF


def activity(window: WindowCounts, loud: Bools, hours: Ints | None = None) -> Activity:
    """Return the rows of the sources that are not `loud`, a mark for each source; `hours` has one for each row."""
    rows = window.rows
    kept = np.flatnonzero(~loud[rows.source])
    source = rows.source[kept].astype(np.int64)
    services = np.bincount(source, minlength=len(window.sources))
    return Activity(
        source=source,
        service=rows.service[kept].astype(np.int64),
        targets=rows.targets[kept],
        attempts=np.minimum(rows.attempts[kept], ATTEMPTS),
        hours=hours[kept] if hours is not None else np.zeros(len(kept), np.int64),
        services=services[source],
    )


def count(rows: Activity) -> Counted:
    """Count the sources of each service, and the broad ones."""
    parts = [_by_service(rows, Counter.SOURCES, 1, np.ones(len(rows), dtype=np.bool_))]
    for level in LEVELS:
        parts.append(_by_service(rows, Counter.TARGETS, level, rows.targets >= level))
        parts.append(_by_service(rows, Counter.HOURS, level, rows.hours >= level))
    first = np.flatnonzero(np.diff(rows.source, prepend=-1))
    for level in LEVELS:
        broad = int((rows.services[first] >= level).sum())
        if broad:
            parts.append((np.array([counter_id(Counter.SERVICES, level, 0)]), np.array([broad])))
    return Counted(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def _by_service(rows: Activity, counter: Counter, level: int, which: Bools) -> tuple[Ints, Ints]:
    if not which.any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    services, counts = np.unique(rows.service[which], return_counts=True)
    return services + counter_id(counter, level, 0), counts


def members(rows: Activity, number: int) -> Ints:
    """Return the sources that a counter counts, ascending."""
    counter, level, service = counter_parts(number)
    if counter is Counter.STRANGE:
        raise ValueError("what is strange depends on the past: ask `strangers`")
    if counter is Counter.SERVICES:
        return np.unique(rows.source[rows.services >= level])
    by = {Counter.SOURCES: rows.targets, Counter.TARGETS: rows.targets, Counter.HOURS: rows.hours}[counter]
    return np.asarray(rows.source[(rows.service == service) & (by >= level)])


def strangers(rows: Activity, strange: Ints) -> Ints:
    """Return the sources that tried one of the services `strange`, ascending."""
    return np.unique(rows.source[np.isin(rows.service, strange)])


def scores(counted: Counted, fit: CountFit, least: int) -> NDArray[np.float64]:
    """Return −log₁₀ of the probability of each count; 0 where fewer than `least` sources are no group."""
    return np.where(counted.counts >= least, surprise(counted.counts, fit), 0.0)
