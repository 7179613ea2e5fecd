"""A steady clock of packets, see `service.windows.clock`, and where one window ends and the next begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.compiled import compiled


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
def runs(time: NDArray[np.int64], length: int, window: NDArray[np.int64], begin: NDArray[np.int64]) -> int:
    """Write which windows of `length` ns follow one another, and where each begins; return how many there are.

    Or -1 if times go back into a window before, or there are more windows than room.
    """
    count = 0
    low = high = np.int64(0)
    for i in range(len(time)):
        if low <= time[i] < high:
            continue
        index = time[i] // length
        if count == len(window) or (count and index < window[count - 1]):
            return -1
        window[count], begin[count] = index, i
        count += 1
        low, high = index * length, (index + 1) * length
    return count
