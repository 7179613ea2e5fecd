"""Finding the packets in a block of the kernel's ring (linux/if_packet.h, TPACKET_V3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.compiled import compiled

_PACKETS, _FIRST = 12, 16  # struct tpacket_block_desc: num_pkts, offset_to_first_pkt
_NEXT, _SECONDS, _NANOSECONDS, _CAPTURED, _START = 0, 4, 8, 12, 24  # struct tpacket3_hdr
_DIRECTION = 48 + 10  # struct sockaddr_ll follows: sll_pkttype
_OUTGOING = 4
SECOND = 1_000_000_000


@compiled
def _u32(data: NDArray[np.uint8], at: int) -> int:
    return (
        np.int64(data[at])
        | (np.int64(data[at + 1]) << 8)
        | (np.int64(data[at + 2]) << 16)
        | (np.int64(data[at + 3]) << 24)
    )


@compiled
def ring_records(
    ring: NDArray[np.uint8],
    block: int,
    size: int,
    skip_outgoing: bool,
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
    time: NDArray[np.int64],
) -> int:
    """List the packets of the block of `size` bytes that begins at ``ring[block]``; return their number.

    `skip_outgoing` leaves out what the host sent: on the loopback interface it is received a second time.
    """
    count = 0
    at = block + _u32(ring, block + _FIRST)
    for _ in range(_u32(ring, block + _PACKETS)):
        captured = _u32(ring, at + _CAPTURED)
        start = at + (np.int64(ring[at + _START]) | np.int64(ring[at + _START + 1]) << 8)
        if count == len(offset) or start + captured > block + size:
            break
        if not (skip_outgoing and ring[at + _DIRECTION] == _OUTGOING):
            offset[count] = start
            length[count] = captured
            time[count] = _u32(ring, at + _SECONDS) * SECOND + _u32(ring, at + _NANOSECONDS)
            count += 1
        at += _u32(ring, at + _NEXT)
    return count
