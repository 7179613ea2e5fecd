"""Headers of the messages of NetFlow v5, v9 (RFC 3954) and IPFIX (RFC 7011)."""

from __future__ import annotations

import struct
from typing import NamedTuple

SECOND = 1_000_000_000

V5, V9, IPFIX = 5, 9, 10

_V5 = struct.Struct(">HHIIIIBBH")
_V9 = struct.Struct(">HHIIII")
_IPFIX = struct.Struct(">HHIII")
_SIZES = {V5: _V5.size, V9: _V9.size, IPFIX: _IPFIX.size}


class BadHeaderError(ValueError):
    """A datagram is no message that can be read; says which way in a word."""


class Header(NamedTuple):
    """The header of a message."""

    domain: tuple[int, int]
    """Version, and the number of the observation domain (v9: source id, v5: engine) within the exporter."""
    export: int
    """ns since the epoch"""
    sequence: int
    body: int
    """Offset of what follows."""
    end: int


def read_header(data: bytes) -> Header:
    """Return the header of a datagram; raises BadHeaderError if it has none."""
    version = int.from_bytes(data[:2], "big")
    if len(data) < 2 or len(data) < _SIZES.get(version, 0):
        raise BadHeaderError("truncated")
    if version == V5:
        _, _, _, seconds, nanoseconds, sequence, kind, engine, _ = _V5.unpack_from(data)
        export = seconds * SECOND + min(nanoseconds, SECOND - 1)
        return Header((V5, kind << 8 | engine), export, sequence, _V5.size, len(data))
    if version == V9:
        _, _, _, seconds, sequence, source = _V9.unpack_from(data)
        return Header((V9, source), seconds * SECOND, sequence, _V9.size, len(data))
    if version == IPFIX:
        _, length, seconds, sequence, domain = _IPFIX.unpack_from(data)
        if not _IPFIX.size <= length <= len(data):
            raise BadHeaderError("truncated")
        return Header((IPFIX, domain), seconds * SECOND, sequence, _IPFIX.size, length)
    raise BadHeaderError("unknown_version")
