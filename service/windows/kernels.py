"""The compiled loops over times and attempts: a steady clock, and counts by (source, target, service).

A table is an array of shape (slots, 4): source and target; service, tries and marks; first and last attempt.
A free place has marks 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled

ENDS, COUNTS, FIRST, LAST = 0, 1, 2, 3

# COUNTS: 20 bits of service, 32 bits of tries, 12 bits of marks; of those 6 are `service.capture.tools.Marks`.
SERVICE_SHIFT, TRIES_SHIFT, TOOLS_SHIFT = 44, 12, 4
TRIES_MASK = (1 << 32) - 1
USED, ANSWERED, EXPIRED, REFUSED = 1, 2, 4, 8
TOOLS_MASK = 63

_ATTEMPT, _ANSWERED, _REFUSED, _EXPIRED = 0, 1, 2, 3  # service.capture.batch.Outcome
_SHOWN = 32  # service.capture.tools.Marks
_TCP, _ARP = 0, 4  # service.capture.services.Protocol


@compiled
def steady(
    time: NDArray[np.int64], latest: int, jump: int, witnesses: int, end: int, out: NDArray[np.int64]
) -> tuple[int, int]:
    """Copy times, replacing absurd ones; see `service.windows.clock`. `latest` is negative before the first.

    Returns the latest time and the number of times that were replaced.
    """
    mended = 0
    in_a_row = 0
    previous = np.int64(-1)
    for i in range(len(time)):
        now = time[i]
        absurd = now < 0 or now > end
        after = min(len(time), i + 1 + witnesses)
        if not absurd and now > latest + jump and in_a_row < witnesses:
            for j in range(i + 1, after):
                if latest - jump <= time[j] < now - jump and time[j] >= 0:
                    absurd = True
                    break
        if not absurd:
            latest = max(latest, now)
            previous = now
            in_a_row = 0
        else:
            mended += 1
            in_a_row += 1
            if previous < 0:  # nothing good before it: take the time of what follows
                previous = max(latest, 0)
                for j in range(i + 1, after):
                    if 0 <= time[j] < now - jump or (now < 0 <= time[j] <= end):
                        previous = time[j]
                        break
        out[i] = previous
    return latest, mended


@compiled
def _find(table: NDArray[np.int64], ends: int, service: int) -> int:
    mask = len(table) - 1
    at = np.int64(mix64(np.int64(mix64(ends)) + service)) & mask
    while table[at, COUNTS] & USED:
        if table[at, ENDS] == ends and table[at, COUNTS] >> SERVICE_SHIFT == service:
            return at
        at = (at + 1) & mask
    return at


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
def _halvings(heavy: NDArray[np.int64], source: int) -> int:
    mask = len(heavy) - 1
    at = np.int64(mix64(source)) & mask
    while heavy[at, 0]:
        if heavy[at, 0] == source + 1:
            return heavy[at, 1]
        at = (at + 1) & mask
    return 0


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
    table: NDArray[np.int64],
    used: int,
    most: int,
    heavy: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Count rows of attempts from `begin` on into a table that may hold `most` pairs.

    A pair has the tools' marks that all of its attempts have: one of many tries looks like anything by chance.
    `heavy` tells of which sources only a sample is kept, see `remember`; of length 1 it is empty. Returns the
    row to go on with (it is the end, or the table should grow, or it is full), the places used, the attempts
    that a sample stands for, and the outcomes whose attempt isn't in the table.
    """
    sampled = 0
    strayed = 0
    for i in range(begin, len(time)):
        if used * 2 > len(table) and used < most:
            return i, used, sampled, strayed
        ends = np.int64(source[i]) << 32 | np.int64(target[i])
        at = _find(table, ends, np.int64(service[i]))
        held = table[at, COUNTS]
        if outcome[i] == _ATTEMPT:
            if held & USED == 0:
                if len(heavy) > 1:
                    halvings = _halvings(heavy, np.int64(source[i]))
                    if halvings and _zeros(np.int64(target[i]), np.int64(service[i])) < halvings:
                        sampled += 1
                        continue
                if used == most:
                    return i, used, sampled, strayed
                used += 1
                table[at, ENDS] = ends
                held = np.int64(service[i]) << SERVICE_SHIFT | TOOLS_MASK << TOOLS_SHIFT | USED
                table[at, FIRST] = time[i]
                table[at, LAST] = time[i]
            if held >> TRIES_SHIFT & TRIES_MASK < TRIES_MASK:
                held += 1 << TRIES_SHIFT
            held &= ~((TOOLS_MASK & ~np.int64(tools[i])) << TOOLS_SHIFT)
            table[at, FIRST] = min(table[at, FIRST], time[i])
            table[at, LAST] = max(table[at, LAST], time[i])
            table[at, COUNTS] = held
        elif held & USED == 0:
            strayed += 1
        elif outcome[i] == _ANSWERED:
            table[at, COUNTS] = held | ANSWERED
        elif outcome[i] == _REFUSED:
            table[at, COUNTS] = held | REFUSED
        elif outcome[i] == _EXPIRED:
            table[at, COUNTS] = held | EXPIRED
    return len(time), used, sampled, strayed


@compiled
def merge(
    begin: int, rows: NDArray[np.int64], table: NDArray[np.int64], used: int, most: int, heavy: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Add pairs to a table, from row `begin` on; see `count` for the arguments.

    Returns the row to go on with, the places used, and the attempts that a sample stands for.
    """
    sampled = 0
    for i in range(begin, len(rows)):
        if used * 2 > len(table) and used < most:
            return i, used, sampled
        ends, counts = rows[i, ENDS], rows[i, COUNTS]
        service, tries = counts >> SERVICE_SHIFT, counts >> TRIES_SHIFT & TRIES_MASK
        if len(heavy) > 1:
            halvings = _halvings(heavy, ends >> 32 & 0xFFFFFFFF)
            if halvings and _zeros(ends & 0xFFFFFFFF, service) < halvings:
                sampled += tries
                continue
        at = _find(table, ends, service)
        held = table[at, COUNTS]
        if held & USED == 0:
            if used == most:
                return i, used, sampled
            used += 1
            table[at] = rows[i]
            continue
        tries = min(tries + (held >> TRIES_SHIFT & TRIES_MASK), TRIES_MASK)
        marks = (held | counts) & (USED | ANSWERED | EXPIRED | REFUSED)
        marks |= held & counts & TOOLS_MASK << TOOLS_SHIFT
        table[at, COUNTS] = service << SERVICE_SHIFT | tries << TRIES_SHIFT | marks
        table[at, FIRST] = min(table[at, FIRST], rows[i, FIRST])
        table[at, LAST] = max(table[at, LAST], rows[i, LAST])
    return len(rows), used, sampled


@compiled
def move(small: NDArray[np.int64], large: NDArray[np.int64]) -> None:
    """Copy all pairs of a table into a larger, empty one."""
    for i in range(len(small)):
        if small[i, COUNTS] & USED:
            large[_find(large, small[i, ENDS], small[i, COUNTS] >> SERVICE_SHIFT)] = small[i]


@compiled
def gather(table: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    """Write all pairs of a table, in the order of their places."""
    count = 0
    for i in range(len(table)):
        if table[i, COUNTS] & USED:
            rows[count] = table[i]
            count += 1


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


@compiled
def argsort(keys: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write the places of nonnegative keys in ascending order, equal ones in theirs: a radix sort, 11 bits a pass.

    It takes a few ns a key and pass, and as many passes as the largest key needs; numpy's sort compares.
    """
    n = len(keys)
    most = np.int64(0)
    for i in range(n):
        most |= keys[i]
        out[i] = i
    other = np.empty_like(out)
    counts = np.empty(2048, np.int64)
    shift = 0
    while most >> shift:
        counts[:] = 0
        for i in range(n):
            counts[(keys[i] >> shift) & 2047] += 1
        total = np.int64(0)
        for digit in range(2048):
            count = counts[digit]
            counts[digit] = total
            total += count
        for i in range(n):
            digit = (keys[out[i]] >> shift) & 2047
            other[counts[digit]] = out[i]
            counts[digit] += 1
        out[:] = other
        shift += 11


@compiled
def fill(rows: NDArray[np.int64], table: NDArray[np.int64]) -> None:
    """Copy pairs into an empty table that has more places."""
    for i in range(len(rows)):
        table[_find(table, rows[i, ENDS], rows[i, COUNTS] >> SERVICE_SHIFT)] = rows[i]
