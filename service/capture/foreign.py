"""Captures in formats that are not read, and what to do with them."""

from __future__ import annotations

_FOREIGN = {
    b"snoop\0\0\0": "Solaris' snoop",
    b"RTSS": "Microsoft's Network Monitor 1",
    b"GMBU": "Microsoft's Network Monitor 2",
    b"TRSNIFF data": "the Sniffer",
    b"XCP\0": "NetXRay or the Sniffer for Windows",
}


def advice(head: bytes) -> str | None:
    """Return what the first bytes of a file are of, and how to convert it; None if it is no such capture."""
    for magic, tool in _FOREIGN.items():
        if head.startswith(magic):
            return f"a capture of {tool}; convert it with Wireshark's editcap -F pcap"
    return None
