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

# COUNTS: 24 bits of service, 32 bits of tries, 8 bits of marks.
SERVICE_SHIFT, TRIES_SHIFT = 40, 8
TRIES_MASK = (1 << 32) - 1
USED, ANSWERED, EXPIRED = 1, 2, 4

_ATTEMPT, _ANSWERED, _EXPIRED = 0, 1, 3  # service.capture.batch.Outcome


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
def count(
    begin: int,
    time: NDArray[np.int64],
    source: NDArray[np.uint32],
    target: NDArray[np.uint32],
    service: NDArray[np.int32],
    outcome: NDArray[np.uint8],
    table: NDArray[np.int64],
    used: int,
    most: int,
) -> tuple[int, int, int, int]:
    """Count rows of attempts from `begin` on into a table that may hold `most` pairs.

    Returns the row to go on with (it is the end, or the table is more than half full and should grow), the
    places used, the attempts whose pair found no place, and the outcomes whose attempt isn't in the table.
    """
    shed = 0
    strayed = 0
    for i in range(begin, len(time)):
        if used * 2 > len(table) and used < most:
            return i, used, shed, strayed
        ends = np.int64(source[i]) << 32 | np.int64(target[i])
        at = _find(table, ends, np.int64(service[i]))
        held = table[at, COUNTS]
        if outcome[i] == _ATTEMPT:
            if held & USED == 0:
                if used == most:
                    shed += 1
                    continue
                used += 1
                table[at, ENDS] = ends
                held = np.int64(service[i]) << SERVICE_SHIFT | USED
                table[at, FIRST] = time[i]
                table[at, LAST] = time[i]
            if held >> TRIES_SHIFT & TRIES_MASK < TRIES_MASK:
                held += 1 << TRIES_SHIFT
            table[at, FIRST] = min(table[at, FIRST], time[i])
            table[at, LAST] = max(table[at, LAST], time[i])
            table[at, COUNTS] = held
        elif held & USED == 0:
            strayed += 1
        elif outcome[i] == _ANSWERED:
            table[at, COUNTS] = held | ANSWERED
        elif outcome[i] == _EXPIRED:
            table[at, COUNTS] = held | EXPIRED
    return len(time), used, shed, strayed


@compiled
def move(small: NDArray[np.int64], large: NDArray[np.int64]) -> None:
    """Copy all pairs of a table into a larger, empty one."""
    for i in range(len(small)):
        if small[i, COUNTS] & USED:
            at = _find(large, small[i, ENDS], small[i, COUNTS] >> SERVICE_SHIFT)
            large[at] = small[i]
