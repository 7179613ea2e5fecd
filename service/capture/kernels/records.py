"""Finding the packet records in a chunk of a capture file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.compiled import compiled

MORE = 0
"""The chunk ends inside a record."""
FULL = 1
"""The output arrays are full."""
CORRUPT = 2
"""What stands here can't be a record."""
CONTROL = 3
"""A pcapng block that describes the file stands here."""

SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
PACKET_HEADER = 16
"""Bytes before a packet in a classic file, at least."""


@compiled
def _u32(data: NDArray[np.uint8], at: int, big: bool) -> int:
    if big:
        return (
            (np.int64(data[at]) << 24)
            | (np.int64(data[at + 1]) << 16)
            | (np.int64(data[at + 2]) << 8)
            | np.int64(data[at + 3])
        )
    return (
        (np.int64(data[at + 3]) << 24)
        | (np.int64(data[at + 2]) << 16)
        | (np.int64(data[at + 1]) << 8)
        | np.int64(data[at])
    )


@compiled
def pcap_records(
    data: NDArray[np.uint8],
    at: int,
    end: int,
    big: bool,
    ns_per_tick: int,
    header: int,
    longest: int,
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
    time: NDArray[np.int64],
) -> tuple[int, int, int]:
    """List the records of a classic capture file in ``data[at:end]``.

    Each has a header of `header` bytes. Returns their number, where the first record that is not listed begins,
    and why the list ends there.
    """
    count = 0
    while at + header <= end:
        if count == len(offset):
            return count, at, FULL
        captured = _u32(data, at + 8, big)
        if captured > longest:
            return count, at, CORRUPT
        if at + header + captured > end:
            break
        time[count] = _u32(data, at, big) * 1_000_000_000 + _u32(data, at + 4, big) * ns_per_tick
        offset[count] = at + header
        length[count] = captured
        count += 1
        at += header + captured
    return count, at, MORE


@compiled
def pcapng_records(
    data: NDArray[np.uint8],
    at: int,
    end: int,
    big: bool,
    longest: int,
    interfaces: NDArray[np.int64],
    latest: int,
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
    time: NDArray[np.int64],
    link: NDArray[np.int64],
) -> tuple[int, int, int]:
    """List the packets of a pcapng section in ``data[at:end]``, up to a block that describes the file.

    `interfaces` has a row for each interface: link type, snap length, ticks a second, offset in ns.
    A simple packet has no time: it gets that of the packet before, at first `latest`.
    """
    count = 0
    while at + 12 <= end:
        if count == len(offset):
            return count, at, FULL
        kind = _u32(data, at, big)
        if kind in (SECTION, INTERFACE):
            return count, at, CONTROL
        size = _u32(data, at + 4, big)
        if size < 12 or size % 4 or size > longest:
            return count, at, CORRUPT
        if at + size > end:
            break
        if _u32(data, at + size - 4, big) != size:  # it is told twice
            return count, at, CORRUPT
        if kind in (ENHANCED_PACKET, OBSOLETE_PACKET):
            which = _u32(data, at + 8, big) if size >= 32 else len(interfaces)
            if kind == OBSOLETE_PACKET and size >= 32:  # 16 bits of interface, 16 of drops
                which = which >> 16 if big else which & 0xFFFF
            captured = _u32(data, at + 20, big) if size >= 32 else 0
            if which >= len(interfaces) or captured > size - 32:
                return count, at, CORRUPT
            ticks = _u32(data, at + 12, big) << 32 | _u32(data, at + 16, big)
            rate = interfaces[which, 2]
            part = ticks % rate
            if rate <= 1_000_000_000:
                part = part * 1_000_000_000 // rate
            else:  # the product would overflow
                part = np.int64(part * (1e9 / rate))
            latest = ticks // rate * 1_000_000_000 + part + interfaces[which, 3]
            offset[count] = at + 28
        elif kind == SIMPLE_PACKET:
            if len(interfaces) == 0 or size < 16:
                return count, at, CORRUPT
            which = 0
            captured = min(_u32(data, at + 8, big), size - 16)
            if interfaces[0, 1] > 0:
                captured = min(captured, interfaces[0, 1])
            offset[count] = at + 12
        else:
            at += size
            continue
        length[count] = captured
        time[count] = latest
        link[count] = interfaces[which, 0]
        count += 1
        at += size
    return count, at, MORE
