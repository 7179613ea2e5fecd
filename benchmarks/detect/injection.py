"""A campaign's attempts become sources of a window, as if they had been there."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detect.background import HOUR
from service.capture.address import V4_PREFIX
from service.windows.counts import ServiceCounts, SourceTotals, TargetSamples, ToolCounts, WindowCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.detect.campaigns import Attempts

    Ints = NDArray[np.int64]

FIRST_ADDRESS = V4_PREFIX | 0x64400000
"""100.64.0.0: shared address space (RFC 6598), which no source of the Internet has."""


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """A window with a campaign in it."""

    window: WindowCounts
    hours: Ints
    """Active hours of each row."""
    sources: Ints
    """Indices of the campaign's sources that made an attempt in the window."""
    alone: WindowCounts
    """The campaign without the background."""


def inject(window: WindowCounts, hours: Ints, attempts: Attempts) -> Injected:
    """Return the window with the attempts that fall into it."""
    inside = (attempts.time >= window.start) & (attempts.time < window.end)
    alone, own_hours = _counted(window, attempts, inside)
    n = len(window.sources)
    rows = {
        part.name: np.concatenate([getattr(window.rows, part.name), getattr(alone.rows, part.name)])
        for part in fields(ServiceCounts)
    }
    rows["source"] = np.concatenate([window.rows.source, alone.rows.source + np.int32(n)])
    totals = SourceTotals(
        **{
            part.name: np.concatenate([getattr(window.totals, part.name), getattr(alone.totals, part.name)])
            for part in fields(SourceTotals)
        }
    )
    joined = replace(
        window,
        sources=np.concatenate([window.sources, alone.sources]),
        rows=ServiceCounts(**rows),
        totals=totals,
        samples=_no_samples(n + len(alone.sources)),
        halvings=np.zeros(n + len(alone.sources), np.int8),
        tools=ToolCounts.none(n + len(alone.sources)),
    )
    return Injected(joined, np.concatenate([hours, own_hours]), n + np.arange(len(alone.sources)), alone)


def _counted(window: WindowCounts, attempts: Attempts, inside: NDArray[np.bool_]) -> tuple[WindowCounts, Ints]:
    present, source = np.unique(attempts.source[inside], return_inverse=True)
    service, time = attempts.service[inside], attempts.time[inside]
    target = attempts.target[inside].astype(np.int64)
    key, row = np.unique(source << 24 | service, return_inverse=True)
    r, n = len(key), len(present)
    targets = _distinct(row, target, r)
    owner = (key >> 24).astype(np.int32)
    on_target, one = np.unique(source << 32 | target, return_inverse=True)
    services = _distinct(one, service, len(on_target))
    most_services, most_targets = np.zeros(n, np.int64), np.zeros(n, np.int64)
    np.maximum.at(most_services, on_target >> 32, services)
    np.maximum.at(most_targets, owner, targets)
    first, last = np.full(r, np.iinfo(np.int64).max), np.zeros(r, np.int64)
    np.minimum.at(first, row, time)
    np.maximum.at(last, row, time)
    addresses = np.zeros((n, 2), np.uint64)
    addresses[:, 1] = FIRST_ADDRESS + present
    rows = ServiceCounts(
        source=owner,
        service=(key & 0xFFFFFF).astype(np.int32),
        attempts=np.bincount(row, minlength=r),
        targets=targets,
        answered=np.zeros(r, np.int64),
        probed=targets,
        # Too few for the service to name the source by them: see `SOURCE_TARGETS`.
        dark=np.zeros(r, np.int64),
        hours=_distinct(row, time // HOUR, r),
        first=first,
        last=last,
    )
    totals = SourceTotals(_distinct(source, target, n), most_services, most_services, most_targets)
    counts = replace(
        window,
        sources=addresses,
        rows=rows,
        totals=totals,
        samples=_no_samples(n),
        halvings=np.zeros(n, np.int8),
        tools=ToolCounts.none(n),
    )
    return counts, _distinct(row, time // HOUR, r)


def _distinct(group: Ints, values: Ints, groups: int) -> Ints:
    """Return how many distinct values each group has."""
    pairs = np.unique(np.stack([group, values]), axis=1)
    return np.bincount(pairs[0], minlength=groups)


def _no_samples(n: int) -> TargetSamples:
    return TargetSamples(np.zeros(3 * n + 1, np.int64), np.empty((0, 2), np.uint64))
