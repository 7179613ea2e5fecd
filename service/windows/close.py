"""A window's end: pairs become counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from service.capture.services import Means
from service.windows.budget import scaled_up
from service.windows.counts import (
    DARK_SERVICES,
    DARK_SOURCES,
    EMPTY_PAIRS,
    EMPTY_TIME,
    PROBE_TRIES,
    SAMPLE_SIZE,
    STREAM_TRIES,
    ServiceCounts,
    Shed,
    SourceTotals,
    TargetSamples,
    ToolCounts,
    WindowCounts,
)
from service.windows.kernels import closing as kernels
from service.windows.kernels.sorting import numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.capture.hosts import HostTable
    from service.windows.counts import Ints
    from service.windows.pairs import Pairs


@dataclass(frozen=True, slots=True)
class WindowName:
    """Which window of which sensor: [start, end), ns since the epoch."""

    sensor: str
    start: int
    end: int


def close_window(
    name: WindowName, pairs: Pairs, hosts: HostTable, shed: Shed, seen_until: int | None = None
) -> WindowCounts:
    """Aggregate the pairs of a window into counts; the cost is that of a sort of the pairs.

    Of sources of whose pairs only a sample is kept, the counts are estimates: what a pair in 2ʰ shows, times 2ʰ.
    A window that shed something knows of no dark targets: answers may have been among what it dropped. Neither does
    a look at what was `seen_until` a time.
    """
    sources, source = numbered(pairs.source)
    answered = kernels.over_tcp(source, pairs.target, pairs.service, pairs.answered)
    if seen_until is None and pairs.empty.any():
        answered = _without_empty(len(sources), source, pairs, answered)
    dark = np.zeros(len(source), np.bool_)
    if seen_until is None and shed == Shed():
        kernels.mark_dark(sources, source, pairs.target, pairs.service, answered, DARK_SOURCES, DARK_SERVICES, dark)
    totals, samples = _by_target(len(sources), source, pairs, answered, hosts)
    rows = _by_service(source, pairs, answered, dark, totals.most_targets)
    halvings = np.zeros(len(sources), np.int8)
    if pairs.halvings.any():
        halvings[source] = pairs.halvings
        rows, totals = scaled_up(rows, totals, halvings)
    return WindowCounts(
        sensor=name.sensor,
        start=name.start,
        end=name.end,
        sources=hosts.addresses(sources),
        rows=rows,
        totals=totals,
        samples=samples,
        shed=shed,
        halvings=halvings,
        tools=_tool_counts(len(sources), source, pairs),
        seen_until=seen_until,
    )


def _without_empty(n: int, source: Ints, pairs: Pairs, answered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pairs are answered; empty ones of sources that have many are not, see `EMPTY_PAIRS`."""
    if pairs.last.max() - pairs.first.min() < EMPTY_TIME:
        return answered
    many = np.bincount(source[pairs.empty], minlength=n) >= EMPTY_PAIRS
    return answered & ~(pairs.empty & many[source])


def _tool_counts(n: int, source: Ints, pairs: Pairs) -> ToolCounts:
    counts = np.zeros((len(fields(ToolCounts)), n), np.int64)
    kernels.count_tools(source, pairs.service, pairs.tools, counts)
    return ToolCounts(*counts)


def _by_service(
    source: Ints, pairs: Pairs, answered: NDArray[np.bool_], dark: NDArray[np.bool_], most_targets: Ints
) -> ServiceCounts:
    """Aggregate by (source, service), and fill in `SourceTotals.most_targets`."""
    sources, services, sums = kernels.sum_services(
        source,
        pairs.service,
        pairs.tries,
        answered,
        pairs.expired,
        dark,
        pairs.first,
        pairs.last,
        PROBE_TRIES,
        most_targets,
    )
    return ServiceCounts(
        source=sources,
        service=services,
        attempts=sums[kernels.ATTEMPTS],
        targets=sums[kernels.TARGETS],
        answered=sums[kernels.ANSWERED],
        probed=sums[kernels.PROBED],
        dark=sums[kernels.DARK],
        hours=np.zeros(len(sources), np.int64),
        first=sums[kernels.FIRST],
        last=sums[kernels.LAST],
    )


def _by_target(
    n: int, source: Ints, pairs: Pairs, answered: NDArray[np.bool_], hosts: HostTable
) -> tuple[SourceTotals, TargetSamples]:
    """Aggregate by (source and means, target); `SourceTotals.most_targets` is left at 0."""
    targets = np.zeros(len(Means) * n, np.int64)
    most_services, most_unanswered, most_targets = np.zeros((3, n), np.int64)
    distinct = kernels.sum_targets(
        source,
        pairs.target,
        pairs.service,
        pairs.tries,
        answered,
        pairs.expired,
        STREAM_TRIES,
        targets,
        most_services,
        most_unanswered,
    )
    totals = SourceTotals(targets[:: len(Means)], most_services, most_unanswered, most_targets)
    start = np.zeros(len(targets) + 1, np.int64)
    np.cumsum(np.minimum(targets, SAMPLE_SIZE), out=start[1:])
    kept = kernels.sample(distinct, targets, SAMPLE_SIZE, hosts.words)
    return totals, TargetSamples(start=start, targets=hosts.addresses(kept))


def hash_addresses(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each address of an array of shape (n, 2); it is the same in every window."""
    return _mix(_mix(words[:, 0]) + words[:, 1])


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """`service.capture.kernels.hashing.mix64` for arrays."""
    x = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
