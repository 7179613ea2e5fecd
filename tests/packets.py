"""Capture files made byte by byte, so that every oddity of the formats can be written down."""

from __future__ import annotations

import gzip
import struct
import sys
from dataclasses import dataclass

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ETHERNET = 1
"""LINKTYPE_ETHERNET"""
SECOND = 1_000_000_000
START = 1_700_000_040 * SECOND
"""A whole minute in November 2023, ns since the epoch."""


@dataclass(frozen=True)
class Frame:
    """A packet as it was on the wire, and when, ns since the epoch."""

    time: int
    data: bytes


def pcap(
    frames: list[Frame],
    *,
    link: int = ETHERNET,
    big: bool = False,
    nanoseconds: bool = False,
    snap: int = 262_144,
) -> bytes:
    """Write a classic capture file; frames longer than `snap` are cut."""
    order = ">" if big else "<"
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    ns_per_tick = 1 if nanoseconds else 1000
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for frame in frames:
        seconds, rest = divmod(frame.time, SECOND)
        kept = frame.data[:snap]
        parts += [struct.pack(order + "IIII", seconds, rest // ns_per_tick, len(kept), len(frame.data)), kept]
    return b"".join(parts)


def zipped(data: bytes) -> bytes:
    """Compress as gzip does, always to the same bytes."""
    return gzip.compress(data, mtime=0)


def squeezed(data: bytes) -> bytes:
    """Compress as zstd does."""
    return zstd.compress(data)


@dataclass(frozen=True)
class Blocks:
    """Writes the blocks of a pcapng section in one byte order."""

    big: bool = False

    def block(self, kind: int, body: bytes) -> bytes:
        """Write any block; its body is padded to four bytes."""
        body += bytes(-len(body) % 4)
        size = len(body) + 12
        return self.pack("II", kind, size) + body + self.pack("I", size)

    def section(self, options: bytes = b"") -> bytes:
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1) + options)

    def interface(self, link: int = ETHERNET, snap: int = 0, options: bytes = b"") -> bytes:
        return self.block(1, self.pack("HHI", link, 0, snap) + options)

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def resolution(self, code: int) -> bytes:
        """Write if_tsresol: a power of ten, or with the highest bit a power of two."""
        return self.option(9, bytes([code]))

    def time_offset(self, seconds: int) -> bytes:
        """Write if_tsoffset."""
        return self.option(14, self.pack("q", seconds))

    def enhanced(self, ticks: int, data: bytes, *, interface: int = 0, options: bytes = b"") -> bytes:
        head = self.pack("IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        return self.block(6, head + _padded(data) + options)

    def obsolete(self, ticks: int, data: bytes, *, interface: int = 0, drops: int = 0) -> bytes:
        head = self.pack("HHIIII", interface, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        return self.block(2, head + data)

    def simple(self, data: bytes, *, original: int | None = None) -> bytes:
        return self.block(3, self.pack("I", len(data) if original is None else original) + data)

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack((">" if self.big else "<") + layout, *values)


def pcapng(frames: list[Frame], *, link: int = ETHERNET, big: bool = False) -> bytes:
    """Write one section with one interface whose ticks are nanoseconds."""
    blocks = Blocks(big)
    head = blocks.section() + blocks.interface(link, options=blocks.resolution(9) + blocks.option(0, b""))
    return head + b"".join(blocks.enhanced(frame.time, frame.data) for frame in frames)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
