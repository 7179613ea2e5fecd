"""The table of hosts that have no number of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled


@compiled
def intern(high: int, low: int, words: NDArray[np.int64], slots: NDArray[np.int32]) -> int:
    """Return the number of an address, or -1 if the table is full.

    An IPv4-mapped address below 240.0.0.0 is the IPv4 host. ``words[0, 0]`` counts the addresses held; address i
    stands in row i + 1.
    """
    if high == 0 and low >> 32 == 0xFFFF and low & 0xFFFFFFFF < 0xF0000000:
        return low & 0xFFFFFFFF
    mask = len(slots) - 1
    at = np.int64(mix64(np.int64(mix64(high)) + low) & np.uint64(mask))
    while slots[at]:
        held = slots[at]
        if words[held, 0] == high and words[held, 1] == low:
            return 0xF0000000 | (held - 1)
        at = (at + 1) & mask
    used = words[0, 0] + 1
    if used == len(words):
        return -1
    words[0, 0] = used
    words[used, 0] = high
    words[used, 1] = low
    slots[at] = used
    return 0xF0000000 | (used - 1)


@compiled
def number_hosts(
    addresses: NDArray[np.int64], words: NDArray[np.int64], slots: NDArray[np.int32], numbers: NDArray[np.int64]
) -> None:
    """Write the number of each address, shape (n, 2), or -1 where the table is full."""
    for i in range(len(addresses)):
        numbers[i] = intern(addresses[i, 0], addresses[i, 1], words, slots)


@compiled
def addresses_of(hosts: NDArray[np.uint32], words: NDArray[np.int64], found: NDArray[np.int64]) -> None:
    """Write the address of each host, shape (n, 2)."""
    for i in range(len(hosts)):
        host = np.int64(hosts[i])
        if host < 0xF0000000:
            found[i, 0], found[i, 1] = 0, host | 0xFFFF00000000
        else:
            found[i, 0], found[i, 1] = words[host - 0xEFFFFFFF, 0], words[host - 0xEFFFFFFF, 1]
