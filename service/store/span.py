"""Addresses as bytes in their order: networks are ranges of them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from service.capture.address import V4_PREFIX, format_address, parse_address


def address_key(source: str) -> bytes:
    """Return the 16 bytes by which an address, as text, is in order and networks are ranges."""
    high, low = parse_address(source)
    return (high << 64 | low).to_bytes(16)


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses of a network, from `first` to `last`, 16 bytes each."""

    first: bytes
    last: bytes

    @classmethod
    def of(cls, text: str) -> Span:
        """Return the span of an address or a network, written as text; raises ValueError if it is neither.

        ``::/0`` are all addresses, those of IPv4 too.
        """
        if "/" not in text:
            return cls(address_key(text), address_key(text))
        network = ip_network(text, strict=False)
        first, last = int(network.network_address), int(network.broadcast_address)
        mapped = V4_PREFIX if network.version == 4 else 0
        return cls((mapped | first).to_bytes(16), (mapped | last).to_bytes(16))

    def holds(self, source: str) -> bool:
        """Tell whether an address, as text, lies in it."""
        return self.first <= address_key(source) <= self.last


def canonical_source(text: str) -> str:
    """Return an address or a network in canonical form; raises ValueError if the text is neither."""
    if "/" not in text:
        return format_address(*parse_address(text))
    if "%" in text:
        raise ValueError(f"{text!r} has a zone id; leave it out")
    return str(ip_network(text, strict=False))
