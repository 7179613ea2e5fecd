"""Hosts as 32-bit numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.address import Addresses
from service.capture.kernels.interning import addresses_of, number_hosts

_INTERNED = 0xF0000000


class HostTable:
    """Numbers hosts: an IPv4 address below 240.0.0.0 is its own number, all others are looked up.

    Holds at most `capacity` of the latter; packets of more are counted as not followed.
    """

    def __init__(self, capacity: int = 1 << 20) -> None:
        if not 0 < capacity < 1 << 28:
            raise ValueError(f"capacity: {capacity} is not between 1 and 2^28 - 1")
        self.words: NDArray[np.int64] = np.zeros((capacity + 1, 2), dtype=np.int64)
        self.slots: NDArray[np.int32] = np.zeros(1 << (2 * capacity).bit_length(), dtype=np.int32)

    def addresses(self, hosts: NDArray[np.uint32]) -> Addresses:
        """Return the addresses of hosts, shape (n,), as words, shape (n, 2)."""
        found = np.empty((len(hosts), 2), dtype=np.int64)
        addresses_of(hosts, self.words, found)
        return found.view(np.uint64)

    def number(self, addresses: Addresses) -> NDArray[np.int64]:
        """Return the numbers of addresses, shape (n, 2), as shape (n,): -1 for those that find no room."""
        numbers = np.empty(len(addresses), dtype=np.int64)
        number_hosts(addresses.view(np.int64), self.words, self.slots, numbers)
        return numbers
