"""The compiled loops at a window's end: p pairs become counts by source and service, and by source and target.

Pairs are taken as they come where that does; those that have to be sorted are words that hold all that is asked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled
from service.windows.kernels.sorting import (
    MEANS_SHIFT,
    NOTE,
    NUMBER_SHIFT,
    PLACE,
    by_target,
    grouped,
    means_of,
    sort,
)

BUILT_ON = "33626783bc7210de"

ATTEMPTS, TARGETS, ANSWERED, PROBED, DARK, FIRST, LAST = 0, 1, 2, 3, 4, 5, 6
"""Rows of the sums of `sum_services`."""

TRACEROUTE_FIRST, TRACEROUTE_LAST = 1 << 16 | 33434, 1 << 16 | 33534
"""Traceroute's classic port range, of UDP: 33434 and the 100 after it, together one service."""

_SILENT, _TRACED = 1, 2  # notes of pairs
_MEANS = 3  # service.capture.services.Means
_PORTS = 0
_SHOWN, _TOOLS = 32, 31  # service.capture.tools.Marks
_TCP, _ARP = 0, 4  # service.capture.services.Protocol
_HTTPS, _QUIC = 443, 1 << 16 | 443
_V4 = 0xFFFF << 32  # service.capture.address.V4_PREFIX
_INTERNED = 0xF0000000  # service.capture.hosts


@compiled
def over_tcp(
    number: NDArray[np.int64],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    answered: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which pairs are answered, QUIC also where the target took part over TCP.

    Browsers try HTTP/3 first; where UDP is filtered, they go on over TCP with the same server (RFC 9114, 3.1).
    """
    count = 0
    tried = False
    for i in range(len(service)):
        tried |= service[i] == _QUIC and not answered[i]
        count += service[i] == _QUIC or (service[i] == _HTTPS and answered[i])
    if not tried:
        return answered
    words = np.empty(count, np.int64)
    count = 0
    for i in range(len(service)):
        if service[i] == _QUIC or (service[i] == _HTTPS and answered[i]):
            words[count] = np.int64(target[i]) << 32 | i
            count += 1
    words, spare = sort(words, np.empty(count, np.int64), 32, 32)
    for i in range(count):
        place = words[i] & PLACE
        words[i] = number[place] << 32 | place
    words = sort(words, spare, 32, 31)[0]
    out = answered.copy()
    for i in range(1, count):
        one, other = words[i - 1] & PLACE, words[i] & PLACE
        if number[one] == number[other] and target[one] == target[other]:  # a pair of each, then
            out[one] = out[other] = True
    return out


@compiled
def _notes(
    service: NDArray[np.int32],
    tries: NDArray[np.int64],
    answered: NDArray[np.bool_],
    expired: NDArray[np.bool_],
    many: int,
) -> NDArray[np.uint8]:
    """Tell of each pair whether it was in vain, not `many` times, and whether that was one of traceroute's."""
    note = np.empty(len(service), np.uint8)
    for i in range(len(service)):
        if answered[i] or expired[i] or tries[i] >= many:
            note[i] = 0
        else:
            note[i] = _TRACED if TRACEROUTE_FIRST <= service[i] <= TRACEROUTE_LAST else _SILENT
    return note


@compiled
def sum_targets(
    number: NDArray[np.int64],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    tries: NDArray[np.int64],
    answered: NDArray[np.bool_],
    expired: NDArray[np.bool_],
    many: int,
    targets: NDArray[np.int64],
    most_services: NDArray[np.int64],
    most_unanswered: NDArray[np.int64],
) -> NDArray[np.uint32]:
    """Count what sources do by target; the last three arrays are zeros.

    `targets`, of each source and means, the others of each source. Traceroute's ports are one service, and what was
    tried `many` times or more is a stream, not tried in vain. Returns the targets of all sources and means.
    """
    words = by_target(number, target, service, _notes(service, tries, answered, expired, many))
    distinct = np.empty(len(words), np.uint32)
    count = 0
    i = 0
    while i < len(words):
        key = words[i] >> 2
        source, means = words[i] >> NUMBER_SHIFT, words[i] >> MEANS_SHIFT & 3
        services = unanswered = 0
        traced = False
        while i < len(words) and words[i] >> 2 == key:
            services += 1
            unanswered += words[i] & NOTE == _SILENT
            traced |= words[i] & NOTE == _TRACED
            i += 1
        distinct[count] = key & PLACE
        count += 1
        targets[_MEANS * source + means] += 1
        if means == _PORTS:
            most_services[source] = max(most_services[source], services)
            most_unanswered[source] = max(most_unanswered[source], unanswered + traced)
    return distinct[:count].copy()


@compiled
def sum_services(
    number: NDArray[np.int64],
    service: NDArray[np.int32],
    tries: NDArray[np.int64],
    answered: NDArray[np.bool_],
    expired: NDArray[np.bool_],
    dark: NDArray[np.bool_],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    few: int,
    most_targets: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Add up pairs by source and service; `most_targets`, of each source, is zeros.

    Pairs of at most `few` tries are probed. Returns the source and the service of r rows, and sums, shape (7, r).
    """
    sources, services, group = grouped(number, service, len(most_targets))
    added = np.zeros((len(sources), 8), np.int64)  # a row is a line of the cache
    for i in range(len(group)):
        row = group[i]
        if added[row, TARGETS] == 0:
            added[row, FIRST], added[row, LAST] = first[i], last[i]
        added[row, ATTEMPTS] += tries[i]
        added[row, TARGETS] += 1
        added[row, ANSWERED] += answered[i]
        added[row, PROBED] += not answered[i] and not expired[i] and tries[i] <= few
        added[row, DARK] += dark[i]
        added[row, FIRST] = min(added[row, FIRST], first[i])
        added[row, LAST] = max(added[row, LAST], last[i])
    sums = np.empty((7, len(sources)), np.int64)
    for row in range(len(sources)):
        for column in range(7):
            sums[column, row] = added[row, column]
        if means_of(np.int64(services[row])) == _PORTS:
            most_targets[sources[row]] = max(most_targets[sources[row]], added[row, TARGETS])
    return sources, services, sums


@compiled
def _reaches(order: NDArray[np.int64], values: NDArray[np.int64], least: int) -> bool:
    """Tell whether there are so many distinct values at some places."""
    seen = np.empty(least, np.int64)
    count = 0
    for i in range(len(order)):
        value = values[order[i] & PLACE]
        known = False
        for j in range(count):
            known |= seen[j] == value
        if not known:
            seen[count] = value
            count += 1
            if count == least:
                return True
    return False


@compiled
def mark_dark(
    sources: NDArray[np.uint32],
    number: NDArray[np.int64],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    answered: NDArray[np.bool_],
    least_sources: int,
    least_services: int,
    dark: NDArray[np.bool_],
) -> None:
    """Mark the pairs that go to dark targets; `dark` has none marked.

    Those that few pairs go to are left out by a hash, without sorting.
    """
    n = len(target)
    if len(sources) < least_sources:
        return
    least = max(least_sources, least_services)
    bits = 10
    while bits < 16 and n >> bits:
        bits += 1
    tried = np.zeros(1 << bits, np.int32)
    for i in range(n):
        tried[mix64(target[i]) >> np.uint64(64 - bits)] += 1
    words = np.empty(n, np.int64)
    count = 0
    for i in range(n):
        if tried[mix64(target[i]) >> np.uint64(64 - bits)] >= least:
            words[count] = np.int64(target[i]) << 32 | i
            count += 1
    words = sort(words[:count], np.empty(count, np.int64), 32, 32)[0]
    end = 0
    while end < count:
        begin = end
        host = words[begin] >> 32 & PLACE
        silent = True
        while end < count and words[end] >> 32 & PLACE == host:
            silent = silent and not answered[words[end] & PLACE]
            end += 1
        if not silent or end - begin < least:
            continue
        at = np.searchsorted(sources, np.uint32(host))
        if at < len(sources) and sources[at] == host:
            continue
        mine = words[begin:end]
        if _reaches(mine, service, least_services) and _reaches(mine, number, least_sources):
            for word in mine:
                dark[word & PLACE] = True


@compiled
def _hash(host: int, words: NDArray[np.int64]) -> np.uint64:
    """Return the hash of a host's address, see `service.windows.close.hash_addresses`."""
    if host >= _INTERNED:
        high, low = words[host - (_INTERNED - 1), 0], words[host - (_INTERNED - 1), 1]
        return mix64(np.int64(mix64(high) + np.uint64(low)))
    return mix64(host | _V4)


@compiled
def _smallest(ranks: NDArray[np.uint64], wanted: int) -> np.uint64:
    """Return which rank so many are not larger than; in steps of 11 bits, for hashes may be chosen by others."""
    left = ranks.view(np.int64).copy()
    counts = np.empty(1 << 11, np.int64)
    n = len(left)
    shift = 53
    while True:
        counts[:] = 0
        for i in range(n):
            counts[left[i] >> shift & 2047] += 1
        here = 0
        while counts[here] < wanted:
            wanted -= counts[here]
            here += 1
        same = 0
        for i in range(n):
            if left[i] >> shift & 2047 == here:
                left[same] = left[i]
                same += 1
        if same == 1 or shift == 0:
            return np.uint64(left[0])
        n = same
        shift = max(shift - 11, 0)


@compiled
def sample(
    target: NDArray[np.uint32], targets: NDArray[np.int64], most: int, words: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Return the targets with the smallest hashes, at most so many of each group, in the order that they have.

    `target` lists those of one group after another, `targets` says how many each has; `words` are the addresses of
    `service.capture.hosts.HostTable`.
    """
    kept = np.empty(np.minimum(targets, most).sum(), np.uint32)
    count = 0
    begin = 0
    for many in targets:
        mine = target[begin : begin + many]
        begin += many
        if many <= most:
            kept[count : count + many] = mine
            count += many
            continue
        ranks = np.empty(many, np.uint64)
        for i in range(many):
            ranks[i] = _hash(np.int64(mine[i]), words)
        last = _smallest(ranks, most)
        ties = most - (ranks < last).sum()
        for i in range(many):
            if ranks[i] == last:
                ties -= 1
            if ranks[i] < last or (ranks[i] == last and ties >= 0):
                kept[count] = mine[i]
                count += 1
    return kept


@compiled
def count_hours(
    rows: NDArray[np.int64],
    source: NDArray[np.uint32],
    service: NDArray[np.int32],
    hours: NDArray[np.int64],
) -> None:
    """Add one to each row, given as source << 24 | service, ascending, which occurs in the pairs of a pane."""
    seen = np.zeros(len(rows), np.bool_)
    before = np.int64(-1)
    for i in range(len(source)):
        key = np.int64(source[i]) << 24 | service[i]
        if key == before:
            continue
        before = key
        low, high = 0, len(rows)
        while low < high:
            middle = (low + high) >> 1
            if rows[middle] < key:
                low = middle + 1
            else:
                high = middle
        if low < len(rows) and rows[low] == key and not seen[low]:
            seen[low] = True
            hours[low] += 1


@compiled
def count_tools(
    source: NDArray[np.int64], service: NDArray[np.int32], tools: NDArray[np.uint8], out: NDArray[np.int64]
) -> None:
    """Count pairs by source and by what they show, into an array of shape (7, sources) of zeros.

    The rows are the columns of `service.windows.counts.ToolCounts`.
    """
    for i in range(len(source)):
        shown = np.int64(tools[i])
        if shown == 0:
            continue
        protocol = service[i] >> 16
        if shown & _SHOWN and protocol < _ARP:
            out[0 if protocol == _TCP else 1, source[i]] += 1
        if shown & _TOOLS:
            for mark in range(5):
                out[2 + mark, source[i]] += shown >> mark & 1
