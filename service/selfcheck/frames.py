"""Ethernet frames and capture files, as bytes.

Checksums are zero, as where a network card fills them in: nobody who reads headers checks them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

_MAC = bytes.fromhex("020000000001")
_OTHER_MAC = bytes.fromhex("020000000002")
_ALL = b"\xff" * 6
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_SECOND = 1_000_000_000
_SNAP = 262_144

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet on the wire, and when, ns since the epoch."""

    time: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ends:
    """Who sends to whom; addresses as text, both of the same version. ICMP has no ports: they are its sequence."""

    source: str
    target: str
    source_port: int = 40_000
    target_port: int = 0

    @property
    def back(self) -> Ends:
        """The other way round."""
        return Ends(self.target, self.source, self.target_port, self.source_port)


def tcp(time: int, ends: Ends, flags: int) -> Frame:
    """Return a segment without data."""
    header = struct.pack("!HHIIBBHHH", ends.source_port, ends.target_port, 1, 0, 5 << 4, flags, 64_240, 0, 0)
    return _ip(time, ends, _TCP, header)


def udp(time: int, ends: Ends, size: int = 8) -> Frame:
    """Return a datagram with so many bytes of zeros."""
    header = struct.pack("!HHHH", ends.source_port, ends.target_port, 8 + size, 0)
    return _ip(time, ends, _UDP, header + bytes(size))


def ping(time: int, ends: Ends, *, reply: bool = False) -> Frame:
    """Return an echo request, or a reply."""
    if ip_address(ends.source).version == 6:
        return _ip(time, ends, _ICMP6, struct.pack("!BBHHH", 129 if reply else 128, 0, 0, 1, 1))
    return _ip(time, ends, _ICMP, struct.pack("!BBHHH", 0 if reply else 8, 0, 0, 1, 1))


def arp(time: int, ends: Ends) -> Frame:
    """Return a request for an IPv4 neighbour."""
    asked = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + _MAC + ip_address(ends.source).packed
    return Frame(time, _ALL + _MAC + b"\x08\x06" + asked + bytes(6) + ip_address(ends.target).packed)


def _ip(time: int, ends: Ends, protocol: int, payload: bytes) -> Frame:
    source, target = ip_address(ends.source), ip_address(ends.target)
    if isinstance(source, IPv6Address):
        kind, header = b"\x86\xdd", struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
    else:
        kind, header = b"\x08\x00", struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    return Frame(time, _OTHER_MAC + _MAC + kind + header + source.packed + target.packed + payload)


def capture(frames: list[Frame]) -> bytes:
    """Return a pcap file, times in ns, of frames in the order of their times."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _SNAP, 1)]
    for frame in sorted(frames, key=lambda frame: frame.time):
        seconds, rest = divmod(frame.time, _SECOND)
        parts += [struct.pack("<IIII", seconds, rest, len(frame.data), len(frame.data)), frame.data]
    return b"".join(parts)
