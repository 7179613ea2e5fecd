"""Numbers in headers, and how the kernels hand a packet to one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.compiled import compiled

# A layer: what stands where in a packet, and what it is. An array of int64, twice this long: whoever looks for
# what is inside notes it in the second half first.
AT, END, FORM, PADDED = 0, 1, 2, 3
LAYER_SIZE = 4

# What a layer is: below ETHER a frame of that link type (LINKTYPE_*), from there on what an ethertype says.
ETHER = 1 << 16
LLC_FRAME = 2 << 16

IPV4, IPV6, ARP = ETHER + 0x0800, ETHER + 0x86DD, ETHER + 0x0806
MPLS, MPLS_MULTICAST, PPPOE = ETHER + 0x8847, ETHER + 0x8848, ETHER + 0x8864


@compiled
def u16(data: NDArray[np.uint8], at: int) -> int:
    """Return the 16 bits that begin at `at`, big-endian."""
    return (np.int64(data[at]) << 8) | np.int64(data[at + 1])


@compiled
def u32(data: NDArray[np.uint8], at: int) -> int:
    """Return the 32 bits that begin at `at`, big-endian."""
    return (
        (np.int64(data[at]) << 24)
        | (np.int64(data[at + 1]) << 16)
        | (np.int64(data[at + 2]) << 8)
        | np.int64(data[at + 3])
    )


@compiled
def u32_little(data: NDArray[np.uint8], at: int) -> int:
    """Return the 32 bits that begin at `at`, little-endian."""
    return (
        (np.int64(data[at + 3]) << 24)
        | (np.int64(data[at + 2]) << 16)
        | (np.int64(data[at + 1]) << 8)
        | np.int64(data[at])
    )


@compiled
def u16_little(data: NDArray[np.uint8], at: int) -> int:
    """Return the 16 bits that begin at `at`, little-endian."""
    return (np.int64(data[at + 1]) << 8) | np.int64(data[at])


@compiled
def ip_form(data: NDArray[np.uint8], at: int, end: int) -> int:
    """Return `IPV4` or `IPV6` by the version that stands at `at`, or -1 for any other."""
    version = np.int64(data[at]) >> 4 if at < end else np.int64(0)
    if version == 4:
        return IPV4
    return IPV6 if version == 6 else -1


@compiled
def is_ethernet(data: NDArray[np.uint8], at: int, end: int) -> bool:
    """Tell whether an Ethernet frame stands at `at`, by what is inside of it: nobody else says so."""
    if at + 15 > end:
        return False
    ether = u16(data, at + 12)
    if ether == 0x0800 or ether == 0x86DD:
        return ip_form(data, at + 14, end) == ETHER + ether
    return ether == 0x0806 or ether == 0x8100 or ether == 0x88A8
