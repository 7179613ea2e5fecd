"""IP addresses as arrays: two 64-bit words each, IPv4 as IPv4-mapped IPv6."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

Addresses = NDArray[np.uint64]
"""Shape (n, 2): the high and the low 64 bits of n addresses."""

V4_PREFIX = 0xFFFF << 32
"""The low word of an IPv4-mapped address without its last 32 bits (RFC 4291, 2.5.5.2)."""

_LOW = (1 << 64) - 1


def parse_address(text: str) -> tuple[int, int]:
    """Return the two words of an address written as text.

    Raises ValueError if the text is no IPv4 or IPv6 address. Zone ids are refused: they mean
    something on one machine only.
    """
    if "%" in text:
        raise ValueError(f"{text!r} has a zone id; leave out everything from the % on")
    address = ipaddress.ip_address(text)
    if address.version == 4:
        return 0, V4_PREFIX | int(address)
    value = int(address)
    return value >> 64, value & _LOW


def format_address(high: int, low: int) -> str:
    """Write an address given as two words, IPv4 in dotted form."""
    if high == 0 and low >> 32 == 0xFFFF:
        return f"{low >> 24 & 255}.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}"
    return str(ipaddress.IPv6Address(high << 64 | low))


def pack_addresses(texts: Iterable[str]) -> Addresses:
    """Return the addresses as an array of shape (n, 2); raises ValueError as `parse_address` does."""
    words = [parse_address(text) for text in texts]
    return np.array(words, dtype=np.uint64).reshape(len(words), 2)


def format_addresses(addresses: Addresses) -> list[str]:
    """Write all addresses of an array of shape (n, 2)."""
    return [format_address(high, low) for high, low in addresses.tolist()]
