"""The compiled loops at a window's end: p pairs become counts by source and service, and by source and target.

`order` holds places of pairs in the lower half of each word, see `service.windows.kernels.sorting`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled
from service.windows.kernels.sorting import PLACE, by_service, numbered, sort

BUILT_ON = "84e5137b71b1c86e"

ATTEMPTS, TARGETS, ANSWERED, PROBED, DARK, FIRST, LAST = 0, 1, 2, 3, 4, 5, 6
"""Rows of the sums of `sum_services`."""

TRACEROUTE_FIRST, TRACEROUTE_LAST = 1 << 16 | 33434, 1 << 16 | 33534
"""Traceroute's classic port range, of UDP: 33434 and the 100 after it, together one service."""

_MEANS = 3  # service.capture.services.Means
_PORTS = 0
_SHOWN = 32  # service.capture.tools.Marks
_TCP, _ARP = 0, 4  # service.capture.services.Protocol
_HTTPS, _QUIC = 443, 1 << 16 | 443
_V4 = 0xFFFF << 32  # service.capture.address.V4_PREFIX
_INTERNED = 0xF0000000  # service.capture.hosts


@compiled
def over_tcp(
    order: NDArray[np.int64],
    number: NDArray[np.int64],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    answered: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which pairs are answered, QUIC also where the target took part over TCP; `order` is by target.

    Browsers try HTTP/3 first; where UDP is filtered, they go on over TCP with the same server (RFC 9114, 3.1).
    """
    tried = False
    for i in range(len(service)):
        tried |= service[i] == _QUIC and not answered[i]
    if not tried:
        return answered
    out = answered.copy()
    quic = np.int64(-1)  # the pair of QUIC and that of HTTPS, if answered, that were met last
    https = np.int64(-1)
    for i in range(len(order)):
        at = order[i] & PLACE
        if service[at] == _QUIC:
            quic = at
        elif service[at] == _HTTPS and answered[at]:
            https = at
        else:
            continue
        if quic >= 0 and https >= 0 and number[quic] == number[https] and target[quic] == target[https]:
            out[quic] = True
    return out


@compiled
def sum_targets(
    order: NDArray[np.int64],
    number: NDArray[np.int64],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    answered: NDArray[np.bool_],
    expired: NDArray[np.bool_],
    targets: NDArray[np.int64],
    most_services: NDArray[np.int64],
    most_unanswered: NDArray[np.int64],
) -> NDArray[np.uint32]:
    """Count what sources do by target; `order` is by target, and the last three arrays are zeros.

    `targets`, of each source and means, the others of each source. Traceroute's ports are one service. Returns the
    targets of all sources and means.
    """
    distinct = np.empty(len(order), np.uint32)
    count = 0
    i = 0
    while i < len(order):
        at = order[i] & PLACE
        source, host, means = number[at], target[at], service[at] >> 17
        services = unanswered = 0
        traced = False
        while True:
            services += 1
            if not answered[at] and not expired[at]:
                if TRACEROUTE_FIRST <= service[at] <= TRACEROUTE_LAST:
                    traced = True
                else:
                    unanswered += 1
            i += 1
            if i == len(order):
                break
            at = order[i] & PLACE
            if number[at] != source or target[at] != host or service[at] >> 17 != means:
                break
        distinct[count] = host
        count += 1
        targets[_MEANS * source + means] += 1
        if means == _PORTS:
            most_services[source] = max(most_services[source], services)
            most_unanswered[source] = max(most_unanswered[source], unanswered + traced)
    return distinct[:count].copy()


@compiled
def sum_services(
    order: NDArray[np.int64],
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
    """Add up pairs by source and service; `order` is by service, and `most_targets` is zeros.

    Pairs of at most `few` tries are probed. Returns the source and the service of r rows, and sums, shape (7, r).
    """
    count = 0
    for i in range(len(order)):
        at, before = order[i] & PLACE, order[i - 1] & PLACE
        count += i == 0 or number[at] != number[before] or service[at] != service[before]
    sources, services = np.empty(count, np.int32), np.empty(count, np.int32)
    sums = np.zeros((7, count), np.int64)
    row = -1
    for i in range(len(order)):
        at = order[i] & PLACE
        if row < 0 or number[at] != sources[row] or service[at] != services[row]:
            row += 1
            sources[row], services[row] = number[at], service[at]
            sums[FIRST, row], sums[LAST, row] = first[at], last[at]
        sums[ATTEMPTS, row] += tries[at]
        sums[TARGETS, row] += 1
        sums[ANSWERED, row] += answered[at]
        sums[PROBED, row] += not answered[at] and not expired[at] and tries[at] <= few
        sums[DARK, row] += dark[at]
        sums[FIRST, row] = min(sums[FIRST, row], first[at])
        sums[LAST, row] = max(sums[LAST, row], last[at])
        if service[at] >> 17 == _PORTS:
            most_targets[sources[row]] = max(most_targets[sources[row]], sums[TARGETS, row])
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
    words = sort(words[:count], np.empty(count, np.int64), 32)[0]
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
        last = np.partition(ranks, most - 1)[most - 1]
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
    sources, number = numbered(source)
    bits = 0
    while len(sources) >> bits:
        bits += 1
    order = by_service(number, service, bits)
    row = 0
    before = np.int64(-1)
    for word in order:
        at = word & PLACE
        key = np.int64(source[at]) << 24 | service[at]
        if key == before:
            continue
        before = key
        while row < len(rows) and rows[row] < key:
            row += 1
        if row < len(rows) and rows[row] == key:
            hours[row] += 1


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
        if shown != _SHOWN:
            for mark in range(5):
                out[2 + mark, source[i]] += shown >> mark & 1
