"""The compiled loops over attempts: counts by (source, target, service).

A table is two arrays. `rows`, of shape (room, 4), has one row for each pair, in the order in which they came:
source and target; service, tries and marks; first attempt; last attempt. `places`, a power of two of them, tells by
the hash of a pair which row is its own, counted from 1, in the lower half of a word; 0 is free. The upper half are
the lower 32 bits of the hash: so rows of other pairs are hardly ever read, and a larger table is filled without
any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled

ENDS, COUNTS, FIRST, LAST = 0, 1, 2, 3

# COUNTS: 20 bits of service, 31 bits of tries, 13 bits of marks; of those the middle 7 are
# `service.capture.tools.Marks`.
SERVICE_SHIFT, TRIES_SHIFT, TOOLS_SHIFT = 44, 13, 4
TRIES_MASK = (1 << 31) - 1
USED, ANSWERED, EXPIRED, REFUSED, HUNG_UP, EMPTY = 1, 2, 4, 8, 1 << 11, 1 << 12
TOOLS_MASK = 127

ROW = (1 << 32) - 1
"""The half of a place that tells its row."""
_TAG = ~ROW

_AHEAD = 128

_ATTEMPT, _ANSWERED, _REFUSED, _EXPIRED, _HUNG_UP, _EMPTY = 0, 1, 2, 3, 4, 5  # service.capture.batch.Outcome
_ALONE = 64  # service.capture.tools.Marks
_INTERNED = 0xF0000000  # service.capture.hosts: IPv6 from here on
_HTTP, _HTTPS = 80, 443  # over TCP


@compiled
def _hash(ends: int, service: int) -> int:
    return np.int64(mix64(np.int64(mix64(ends)) + service))


@compiled
def _find(places: NDArray[np.int64], rows: NDArray[np.int64], hashed: int, ends: int, service: int) -> int:
    """Return the place of a pair, or the free one where it belongs."""
    mask = len(places) - 1
    tag = hashed << 32
    at = hashed & mask
    while places[at]:
        if places[at] & _TAG == tag:
            row = (places[at] & ROW) - 1
            if rows[row, ENDS] == ends and rows[row, COUNTS] >> SERVICE_SHIFT == service:
                return at
        at = (at + 1) & mask
    return at


@compiled
def _touch(places: NDArray[np.int64], hashes: NDArray[np.int64], count: int) -> None:
    """Have the places of some pairs at hand: what is asked for together arrives together.

    The last hash is no pair's. It is written since nothing would be read if nobody cared.
    """
    mask = len(places) - 1
    touched = np.int64(0)
    for i in range(count):
        touched ^= places[hashes[i] & mask]
    hashes[-1] = touched


@compiled
def _zeros(target: int, service: int) -> int:
    """Return how many trailing zeros the hash of a target's service has, at most 63."""
    rank = np.uint64(mix64(np.int64(mix64(target)) ^ service)) | np.uint64(1 << 63)
    zeros = 0
    while rank & np.uint64(1) == 0:
        rank >>= np.uint64(1)
        zeros += 1
    return zeros


@compiled
def trailing_zeros(target: NDArray[np.uint32], service: NDArray[np.int32], out: NDArray[np.int64]) -> None:
    """Write how many trailing zeros the hash of each (target, service) has."""
    for i in range(len(target)):
        out[i] = _zeros(np.int64(target[i]), np.int64(service[i]))


@compiled
def count_zeros(
    owner: NDArray[np.int64], zeros: NDArray[np.int64], place: NDArray[np.int64], counts: NDArray[np.int64]
) -> None:
    """Count the pairs of each owner that has a place (not -1) by trailing zeros; the last column is for more."""
    most = counts.shape[1] - 1
    for i in range(len(owner)):
        at = place[owner[i]]
        if at >= 0:
            counts[at, min(zeros[i], most)] += 1


@compiled
def count_kept(
    owner: NDArray[np.int64],
    zeros: NDArray[np.int64],
    halvings: NDArray[np.int64],
    kept: NDArray[np.bool_],
    left: NDArray[np.int64],
) -> None:
    """Write which pairs a sample that was halved so often has, and count them by owner; `left` is zeros."""
    for i in range(len(owner)):
        kept[i] = zeros[i] >= halvings[owner[i]]
        left[owner[i]] += kept[i]


@compiled
def _halvings(heavy: NDArray[np.int64], source: int) -> int:
    mask = len(heavy) - 1
    at = np.int64(mix64(source)) & mask
    while heavy[at, 0]:
        if heavy[at, 0] == source + 1:
            return heavy[at, 1]
        at = (at + 1) & mask
    return 0


@compiled
def halvings_of(heavy: NDArray[np.int64], source: NDArray[np.uint32], out: NDArray[np.int8]) -> None:
    """Write how often the sample of each source was halved; 0: there is none. See `remember`."""
    for i in range(len(source)):
        out[i] = out[i - 1] if i and source[i] == source[i - 1] else _halvings(heavy, np.int64(source[i]))


@compiled
def remember(sources: NDArray[np.uint32], halvings: NDArray[np.int64], heavy: NDArray[np.int64]) -> None:
    """Fill an empty table: a power of two of rows (source + 1, halvings), more than there are sources."""
    mask = len(heavy) - 1
    for i in range(len(sources)):
        at = np.int64(mix64(np.int64(sources[i]))) & mask
        while heavy[at, 0]:
            at = (at + 1) & mask
        heavy[at, 0] = np.int64(sources[i]) + 1
        heavy[at, 1] = halvings[i]


@compiled
def count(
    begin: int,
    time: NDArray[np.int64],
    source: NDArray[np.uint32],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    outcome: NDArray[np.uint8],
    tools: NDArray[np.uint8],
    places: NDArray[np.int64],
    rows: NDArray[np.int64],
    used: int,
    most: int,
    heavy: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Count attempts from `begin` on into a table that may hold `most` pairs.

    A pair has the tools' marks that all of its attempts have: one of many tries looks like anything by chance.
    `heavy` tells of which sources only a sample is kept, see `remember`; of length 1 it is empty. Returns the
    attempt to go on with (it is the end, or the table should grow, or it is full), the rows used, the attempts
    that a sample stands for, and the outcomes whose attempt isn't in the table.
    """
    sampled = 0
    strayed = 0
    hashes = np.empty(_AHEAD + 1, np.int64)
    for i in range(begin, len(time)):
        ahead = (i - begin) % _AHEAD
        if ahead == 0:
            last = min(i + _AHEAD, len(time))
            for j in range(i, last):
                hashes[j - i] = _hash(np.int64(source[j]) << 32 | np.int64(target[j]), np.int64(service[j]))
            _touch(places, hashes, last - i)
        if used * 2 > len(places) and used < most:
            return i, used, sampled, strayed
        ends = np.int64(source[i]) << 32 | np.int64(target[i])
        at = _find(places, rows, hashes[ahead], ends, np.int64(service[i]))
        row = (places[at] & ROW) - 1
        if outcome[i] == _ATTEMPT:
            if row < 0:
                if len(heavy) > 1:
                    halvings = _halvings(heavy, np.int64(source[i]))
                    if halvings and _zeros(np.int64(target[i]), np.int64(service[i])) < halvings:
                        sampled += 1
                        continue
                if used == most:
                    return i, used, sampled, strayed
                row = used
                used += 1
                places[at] = hashes[ahead] << 32 | used
                rows[row, ENDS] = ends
                rows[row, COUNTS] = np.int64(service[i]) << SERVICE_SHIFT | TOOLS_MASK << TOOLS_SHIFT | USED
                rows[row, FIRST] = time[i]
                rows[row, LAST] = time[i]
            held = rows[row, COUNTS]
            if held >> TRIES_SHIFT & TRIES_MASK < TRIES_MASK:
                held += 1 << TRIES_SHIFT
            held &= ~((TOOLS_MASK & ~np.int64(tools[i])) << TOOLS_SHIFT)
            rows[row, FIRST] = min(rows[row, FIRST], time[i])
            rows[row, LAST] = max(rows[row, LAST], time[i])
            rows[row, COUNTS] = held
        elif row < 0:
            strayed += 1
        elif outcome[i] == _ANSWERED:
            rows[row, COUNTS] |= ANSWERED
        elif outcome[i] == _REFUSED:
            rows[row, COUNTS] |= REFUSED
        elif outcome[i] == _EXPIRED:
            rows[row, COUNTS] |= EXPIRED
        elif outcome[i] == _HUNG_UP:
            rows[row, COUNTS] |= HUNG_UP
        elif outcome[i] == _EMPTY:
            rows[row, COUNTS] |= ANSWERED | EMPTY
    return len(time), used, sampled, strayed


@compiled
def merge(
    begin: int,
    others: NDArray[np.int64],
    places: NDArray[np.int64],
    rows: NDArray[np.int64],
    used: int,
    most: int,
    heavy: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Add the rows of another table to a table, from one of them on; see `count` for the other arguments.

    They are taken in their order, not in that of their places: what full tables have left lies together there, and
    many of them added up would crowd the same places. Returns the row to go on with, the rows used, and the
    attempts that a sample stands for.
    """
    sampled = 0
    hashes = np.empty(_AHEAD + 1, np.int64)
    for other in range(begin, len(others)):
        ahead = (other - begin) % _AHEAD
        if ahead == 0:
            count = min(_AHEAD, len(others) - other)
            for i in range(count):
                hashes[i] = _hash(others[other + i, ENDS], others[other + i, COUNTS] >> SERVICE_SHIFT)
            _touch(places, hashes, count)
        if used * 2 > len(places) and used < most:
            return other, used, sampled
        ends, counts = others[other, ENDS], others[other, COUNTS]
        service, tries = counts >> SERVICE_SHIFT, counts >> TRIES_SHIFT & TRIES_MASK
        if len(heavy) > 1:
            halvings = _halvings(heavy, ends >> 32 & 0xFFFFFFFF)
            if halvings and _zeros(ends & 0xFFFFFFFF, service) < halvings:
                sampled += tries
                continue
        at = _find(places, rows, hashes[ahead], ends, service)
        if places[at] == 0:
            if used == most:
                return other, used, sampled
            rows[used, ENDS] = ends
            rows[used, COUNTS] = counts
            rows[used, FIRST] = others[other, FIRST]
            rows[used, LAST] = others[other, LAST]
            used += 1
            places[at] = hashes[ahead] << 32 | used
            continue
        row = (places[at] & ROW) - 1
        held = rows[row, COUNTS]
        tries = min(tries + (held >> TRIES_SHIFT & TRIES_MASK), TRIES_MASK)
        marks = (held | counts) & (USED | ANSWERED | EXPIRED | REFUSED | HUNG_UP | EMPTY)
        marks |= held & counts & TOOLS_MASK << TOOLS_SHIFT
        rows[row, COUNTS] = service << SERVICE_SHIFT | tries << TRIES_SHIFT | marks
        rows[row, FIRST] = min(rows[row, FIRST], others[other, FIRST])
        rows[row, LAST] = max(rows[row, LAST], others[other, LAST])
    return len(others), used, sampled


@compiled
def move(small: NDArray[np.int64], large: NDArray[np.int64]) -> None:
    """Fill free places of a table with those of another one, in their order; they have different pairs."""
    mask = len(large) - 1
    for place in small:
        if place:
            at = place >> 32 & mask
            while large[at]:
                at = (at + 1) & mask
            large[at] = place


@compiled
def listed(rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
    """Write the place of each row, in the order of the rows."""
    for row in range(len(places)):
        places[row] = _hash(rows[row, ENDS], rows[row, COUNTS] >> SERVICE_SHIFT) << 32 | (row + 1)


@compiled
def _answers(held: int) -> bool:
    """Tell whether a pair came to an answer: not if its only try was agreed to and then reset.

    Who checks half-open connections comes again.
    """
    return held & ANSWERED != 0 and (held & HUNG_UP == 0 or held >> TRIES_SHIFT & TRIES_MASK > 1)


@compiled
def _given_up(held: int, target: int) -> bool:
    """Tell whether connections to a web server over IPv6 were given up before a second SYN.

    Where IPv6 is broken, browsers go over to IPv4 within a quarter of a second (RFC 8305, section 5).
    """
    service = held >> SERVICE_SHIFT
    web = service == _HTTP or service == _HTTPS
    return web and target >= _INTERNED and held >> TOOLS_SHIFT & _ALONE != 0 and held & (ANSWERED | REFUSED) == 0


@compiled
def columns(
    rows: NDArray[np.int64],
    source: NDArray[np.uint32],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    tries: NDArray[np.int64],
    answered: NDArray[np.bool_],
    expired: NDArray[np.bool_],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    tools: NDArray[np.uint8],
    empty: NDArray[np.bool_],
) -> None:
    """Write rows as the columns of `service.windows.pairs.Pairs`."""
    for i in range(len(rows)):
        ends, held = rows[i, ENDS], rows[i, COUNTS]
        source[i] = ends >> 32 & 0xFFFFFFFF
        target[i] = ends & 0xFFFFFFFF
        service[i] = held >> SERVICE_SHIFT
        tries[i] = held >> TRIES_SHIFT & TRIES_MASK
        answered[i] = _answers(held) or _given_up(held, np.int64(target[i]))
        expired[i] = held & EXPIRED != 0
        first[i] = rows[i, FIRST]
        last[i] = rows[i, LAST]
        tools[i] = held >> TOOLS_SHIFT & TOOLS_MASK
        empty[i] = held & EMPTY != 0 and held >> TRIES_SHIFT & TRIES_MASK == 1
