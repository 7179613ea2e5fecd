"""A window's end: pairs become counts."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.capture.services import Means, Protocol, means, service_code
from service.windows import kernels
from service.windows.budget import scaled_up
from service.windows.counts import (
    DARK_SERVICES,
    DARK_SOURCES,
    PROBE_TRIES,
    SAMPLE_SIZE,
    Indices,
    Ints,
    ServiceCounts,
    Shed,
    SourceTotals,
    TargetSamples,
    ToolCounts,
    WindowCounts,
)
from service.windows.sorting import argsort, lengths, numbered, starts

if TYPE_CHECKING:
    from service.capture.hosts import HostTable
    from service.windows.pairs import Pairs

# Traceroute's classic port range: 33434 and the 100 after it, together one service.
TRACEROUTE_FIRST = service_code(Protocol.UDP, 33434)
TRACEROUTE_LAST = service_code(Protocol.UDP, 33534)
_HTTPS, _QUIC = service_code(Protocol.TCP, 443), service_code(Protocol.UDP, 443)


@dataclass(frozen=True, slots=True)
class WindowName:
    """Which window of which sensor: [start, end), ns since the epoch."""

    sensor: str
    start: int
    end: int


def close_window(
    name: WindowName, pairs: Pairs, hosts: HostTable, shed: Shed, seen_until: int | None = None
) -> WindowCounts:
    """Aggregate the pairs of a window into counts; the cost is that of two sorts of the pairs.

    Of sources of whose pairs only a sample is kept, the counts are estimates: what a pair in 2ʰ shows, times 2ʰ.
    A window that shed something knows of no dark targets: answers may have been among what it dropped. Neither does
    a look at what was `seen_until` a time.
    """
    pairs = _over_tcp(pairs)
    sources, source = numbered(pairs.source)
    known = seen_until is None and shed == Shed()
    dark = _to_dark_targets(pairs, sources) if known else np.zeros(len(source), np.bool_)
    rows = _service_counts(source, pairs, dark)
    totals, samples = _per_source(len(sources), source, pairs, rows, hosts)
    halvings = np.zeros(len(sources), np.int8)
    halvings[source] = pairs.halvings
    if halvings.any():
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


def _tool_counts(n: int, source: Ints, pairs: Pairs) -> ToolCounts:
    counts = np.zeros((len(fields(ToolCounts)), n), np.int64)
    kernels.count_tools(source, pairs.service, pairs.tools, counts)
    return ToolCounts(*counts)


def _service_counts(source: Ints, pairs: Pairs, dark: NDArray[np.bool_]) -> ServiceCounts:
    key = source << 24 | pairs.service
    order = argsort(key)
    key = key[order]
    start = starts(key)
    silent = ~pairs.answered & ~pairs.expired

    def total(column: NDArray[np.bool_] | Ints) -> Ints:
        return np.add.reduceat(column[order], start, dtype=np.int64) if len(start) else np.empty(0, np.int64)

    return ServiceCounts(
        source=(key[start] >> 24).astype(np.int32),
        service=(key[start] & 0xFFFFFF).astype(np.int32),
        attempts=total(pairs.tries),
        targets=lengths(start, len(key)),
        answered=total(pairs.answered),
        probed=total(silent & (pairs.tries <= PROBE_TRIES)),
        dark=total(dark),
        hours=np.zeros(len(start), np.int64),
        first=np.minimum.reduceat(pairs.first[order], start) if len(start) else np.empty(0, np.int64),
        last=np.maximum.reduceat(pairs.last[order], start) if len(start) else np.empty(0, np.int64),
    )


def _over_tcp(pairs: Pairs) -> Pairs:
    """Take QUIC for answered where the target took part over TCP instead.

    Browsers try HTTP/3 first; where UDP is filtered, they go on over TCP with the same server (RFC 9114, 3.1).
    """
    quic = np.flatnonzero(~pairs.answered & (pairs.service == _QUIC))
    if not len(quic):
        return pairs
    ends = pairs.source.astype(np.int64) << 32 | pairs.target
    answered = pairs.answered.copy()
    answered[quic[np.isin(ends[quic], ends[pairs.answered & (pairs.service == _HTTPS)])]] = True
    return replace(pairs, answered=answered)


def _to_dark_targets(pairs: Pairs, sources: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return which pairs go to dark targets, length p."""
    dark = np.zeros(len(pairs.target), np.bool_)
    often = _often(pairs.target, max(DARK_SOURCES, DARK_SERVICES))
    targets, target = numbered(pairs.target[often])
    tried = np.bincount(target, minlength=len(targets)) >= max(DARK_SOURCES, DARK_SERVICES)
    tried[target[pairs.answered[often]]] = False
    asked = np.flatnonzero(tried)
    tried[asked[np.isin(targets[asked], sources)]] = False
    if not tried.any():
        return dark
    mine = np.flatnonzero(tried[target])
    for column, least in ((pairs.source, DARK_SOURCES), (pairs.service, DARK_SERVICES)):
        distinct = np.unique(target[mine] << 32 | column[often[mine]].astype(np.int64))
        tried &= np.bincount(distinct >> 32, minlength=len(targets)) >= least
    dark[often[tried[target]]] = True
    return dark


def _often(values: NDArray[np.uint32], times: int) -> NDArray[np.intp]:
    """Return the places of all values that occur so many times, and of a few others: by a hash, without sorting."""
    bits = min(max(10, len(values).bit_length()), 16)
    place = (values * np.uint32(0x9E3779B1)) >> np.uint32(32 - bits)
    return np.flatnonzero((np.bincount(place, minlength=1 << bits) >= times)[place])


def _per_source(
    n: int, source: Ints, pairs: Pairs, rows: ServiceCounts, hosts: HostTable
) -> tuple[SourceTotals, TargetSamples]:
    """Aggregate by (source and means, target)."""
    group = source * len(Means) + means(pairs.service)
    key = group << 32 | pairs.target
    order = argsort(key)
    key = key[order]
    start = starts(key)
    owner = key[start] >> 32
    targets = np.bincount(owner, minlength=len(Means) * n)
    ports = owner % len(Means) == Means.PORTS
    services, unanswered = _services_by_target(pairs, order, start)
    totals = SourceTotals(
        targets=targets[:: len(Means)],
        most_services=_most(n, owner[ports] // len(Means), services[ports]),
        most_unanswered=_most(n, owner[ports] // len(Means), unanswered[ports]),
        most_targets=_most(n, rows.source, np.where(means(rows.service) == Means.PORTS, rows.targets, 0)),
    )
    return totals, _samples((key[start] & 0xFFFFFFFF).astype(np.uint32), targets, hosts)


def _most(n: int, source: Ints | Indices, values: Ints) -> Ints:
    """Return the largest value of each of n sources, or 0."""
    found = np.zeros(n, dtype=np.int64)
    np.maximum.at(found, source, values)
    return found


def _services_by_target(pairs: Pairs, order: NDArray[np.intp], start: NDArray[np.intp]) -> tuple[Ints, Ints]:
    """Return the services tried on each target, and how many of them in vain."""
    if not len(start):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    service = pairs.service[order]
    silent = (~pairs.answered & ~pairs.expired)[order]
    route = (service >= TRACEROUTE_FIRST) & (service <= TRACEROUTE_LAST)
    unanswered = np.add.reduceat(silent & ~route, start, dtype=np.int64)
    unanswered += np.logical_or.reduceat(silent & route, start)
    return lengths(start, len(service)), unanswered


def _samples(target: NDArray[np.uint32], targets: Ints, hosts: HostTable) -> TargetSamples:
    """Keep the targets with the smallest hash of each group; `target` is sorted by group."""
    kept = np.ones(len(target), dtype=np.bool_)
    ends = np.cumsum(targets)
    for heavy in np.flatnonzero(targets > SAMPLE_SIZE):
        mine = slice(int(ends[heavy] - targets[heavy]), int(ends[heavy]))
        ranks = hash_addresses(hosts.addresses(target[mine]))
        kept[mine] = False
        kept[mine][np.argpartition(ranks, SAMPLE_SIZE - 1)[:SAMPLE_SIZE]] = True
    start = np.concatenate(([0], np.cumsum(np.minimum(targets, SAMPLE_SIZE))))
    return TargetSamples(start=start, targets=hosts.addresses(target[kept]))


def hash_addresses(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each address of an array of shape (n, 2); it is the same in every window."""
    return _mix(_mix(words[:, 0]) + words[:, 1])


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """`service.capture.kernels.hashing.mix64` for arrays."""
    x = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
