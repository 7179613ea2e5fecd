"""A service, protocol and destination port, as one number and as a name.

The number is ``protocol << 16 | port``, so that an array of services is an array of int32. ICMP has no ports:
the type of the request stands in their place, and of other protocols over IP their number. ARP has neither.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class Protocol(IntEnum):
    """The protocols that Yocho follows (our own numbers: ARP has no IP protocol number)."""

    TCP = 0
    UDP = 1
    ICMP = 2
    ICMP6 = 3
    ARP = 4
    SCTP = 5
    IP = 6
    """Any other protocol over IP, asked for by a packet that holds nothing."""


class Means(IntEnum):
    """What a source reaches targets with; each is counted and judged by itself."""

    PORTS = 0
    """TCP, UDP, SCTP, and other protocols over IP"""
    ICMP = 1
    """ICMP and ICMPv6"""
    ARP = 2


ECHO = 8
"""The ICMP echo request's type, and our port number for ICMPv6's echo too."""

ARP_REQUEST = Protocol.ARP << 16 | 1

# Request types of RFC 792 and RFC 950 that a host answers; ICMPv6 echo (type 128) is kept as 8.
_ICMP_NAMES = {8: "echo", 13: "timestamp", 15: "information", 17: "address-mask"}
_ICMP_TYPES = {name: number for number, name in _ICMP_NAMES.items()}
NUMBERED = {Protocol.TCP: 0xFFFF, Protocol.UDP: 0xFFFF, Protocol.SCTP: 0xFFFF, Protocol.IP: 0xFF}
"""The protocols whose services have numbers for names, and the largest of these."""
LAST_SERVICE = Protocol.IP << 16 | NUMBERED[Protocol.IP]
_BY_NAME = {protocol.name.lower(): protocol for protocol in Protocol}
_AT_HAND = 1 << 14
"""Services, by name and by number, that are known without work: the same come again and again. 2 MiB each way."""


def service_code(protocol: Protocol, port: int) -> int:
    """Return the number of a service."""
    return protocol << 16 | port


def means(services: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the means, as numbers, of services given as numbers."""
    # The first protocols of a means stand in pairs, and what came later belongs to the first one.
    return np.where(services > ARP_REQUEST | 0xFFFF, np.int32(0), services >> 17).astype(np.int32)


@lru_cache(_AT_HAND)
def format_service(code: int) -> str:
    """Write a service: ``tcp/23``, ``udp/53``, ``sctp/36412``, ``ip/47``, ``icmp/echo``, ``arp/request``."""
    protocol, port = Protocol(code >> 16), code & 0xFFFF
    if protocol in NUMBERED:
        return f"{protocol.name.lower()}/{port}"
    if protocol is Protocol.ARP:
        return "arp/request"
    return f"{protocol.name.lower()}/{_ICMP_NAMES.get(port, port)}"


@lru_cache(_AT_HAND)
def parse_service(text: str) -> int:
    """Return the number of a service written as `format_service` writes it.

    Raises ValueError with the accepted forms if the text is none of them.
    """
    name, _, rest = text.partition("/")
    protocol = _BY_NAME.get(name)
    if text == "arp/request":
        return ARP_REQUEST
    numbered = protocol in NUMBERED and rest.isascii() and rest.isdigit() and len(rest) <= 5
    if protocol is not None and numbered and int(rest) <= NUMBERED[protocol]:
        return service_code(protocol, int(rest))
    if protocol in (Protocol.ICMP, Protocol.ICMP6) and rest in _ICMP_TYPES:
        return service_code(protocol, _ICMP_TYPES[rest])
    raise ValueError(
        f"unknown service {text!r}; write tcp/PORT, udp/PORT or sctp/PORT (0–65535), ip/PROTOCOL (0–255), "
        f"icmp/echo or arp/request"
    )
