"""What scapy, which shares no code with us, makes of a frame."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6TimeExceeded,
    IPerror6,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import (
    ARP,
    GRE,
    LLC,
    SNAP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1Q,
    Dot3,
    Ether,
)

from tests.reference import Packet

ETHERNET, NULL, RAW_BSD, RAW_OPENBSD, RAW, LOOP, COOKED, RAW4, RAW6, COOKED2 = (
    1, 0, 12, 14, 101, 108, 113, 228, 229, 276,
)  # fmt: skip
RAWS = (RAW_BSD, RAW_OPENBSD, RAW)
_LINK_LAYERS = {ETHERNET: Ether, COOKED: CookedLinux, COOKED2: CookedLinuxV2, RAW4: IP, RAW6: IPv6}
_UNDERNEATH = (Ether, Dot3, LLC, SNAP, Dot1Q, Dot1AD, CookedLinux, CookedLinuxV2)
_EXTENSIONS = (IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrDestOpt)
_ICMP_EVENTS = {
    8: ("request", 8), 13: ("request", 13), 15: ("request", 15), 17: ("request", 17),
    0: ("reply", 8), 14: ("reply", 13), 16: ("reply", 15), 18: ("reply", 17),
}  # fmt: skip
_ICMP_ERRORS = {3: "unreachable", 11: "expired"}


def dissect(link: int, time: int, data: bytes) -> Packet | None:
    """Return what a frame does, or None if it does nothing that Yocho follows."""
    return _dissect_network(_network(link, data), time)


def _dissect_network(network: Any, time: int) -> Packet | None:
    if isinstance(network, ARP):
        return _arp(time, network)
    if isinstance(network, IP) and not network.frag:
        room = network.len - network.ihl * 4
        return _transport(time, network, network.payload, room, ICMP)
    if isinstance(network, IPv6):
        upper, room = network.payload, network.plen
        while isinstance(upper, (*_EXTENSIONS, IPv6ExtHdrFragment)):
            if isinstance(upper, IPv6ExtHdrFragment) and upper.offset:
                return None
            room -= 8 if isinstance(upper, IPv6ExtHdrFragment) else (upper.len + 1) * 8
            upper = upper.payload
        return _transport(time, network, upper, room, None)
    return None


def _network(link: int, data: bytes) -> Any:
    if link in (NULL, LOOP):  # scapy knows little-endian families only
        return IP(data[4:]) if 2 in (data[0], data[3]) else IPv6(data[4:])
    layer: Any = IPv6 if link in RAWS and data[0] >> 4 == 6 else _LINK_LAYERS.get(link, IP)
    if link == ETHERNET and struct.unpack("!H", data[12:14])[0] < 1536:
        layer = Dot3
    found = layer(data)
    while isinstance(found, _UNDERNEATH):
        found = found.payload
    return found


def _arp(time: int, arp: ARP) -> Packet | None:
    if arp.op not in (1, 2) or arp.hwtype != 1 or arp.ptype != 0x0800:
        return None
    asks = arp.op == 1
    return Packet(
        time,
        arp.psrc,
        arp.pdst,
        "arp",
        0 if asks else 1,
        1 if asks else 0,
        "request" if asks else "reply",
        group=_to_many(arp.psrc, arp.pdst) or (asks and arp.psrc == arp.pdst),
    )


def _transport(time: int, network: Any, upper: Any, room: int, icmp: Any) -> Packet | None:
    ends = network.src, network.dst
    group = _to_many(*ends)
    if isinstance(upper, TCP):
        payload = room > upper.dataofs * 4
        flags = int(upper.flags) & 255
        bare = flags & 63 == 2 and upper.dataofs <= 6
        return Packet(time, *ends, "tcp", upper.sport, upper.dport, "tcp", flags, payload, group, bare)
    if isinstance(upper, GRE) and isinstance(upper.payload, (IP, IPv6)):
        return _dissect_network(upper.payload, time)
    if isinstance(upper, UDP):
        return Packet(time, *ends, "udp", upper.sport, upper.dport, "udp", group=group, bare=room == 8)
    if icmp is not None and isinstance(upper, ICMP):
        return _icmp(time, ends, upper)
    return _icmp6(time, ends, upper)


def _icmp(time: int, ends: tuple[str, str], message: Any) -> Packet | None:
    if message.type in _ICMP_EVENTS:
        return _ask(time, *ends, "icmp", *_ICMP_EVENTS[message.type])
    quoted = message.payload
    if message.type in _ICMP_ERRORS and isinstance(quoted, IPerror):
        return _error(time, quoted, quoted.proto, "icmp", _ICMP_ERRORS[message.type])
    return None


def _icmp6(time: int, ends: tuple[str, str], message: Any) -> Packet | None:
    if isinstance(message, (ICMPv6EchoRequest, ICMPv6EchoReply)):
        return _ask(time, *ends, "icmp6", "request" if message.type == 128 else "reply", 8)
    if isinstance(message, (ICMPv6DestUnreach, ICMPv6TimeExceeded)) and isinstance(message.payload, IPerror6):
        event = "unreachable" if isinstance(message, ICMPv6DestUnreach) else "expired"
        return _error(time, message.payload, message.payload.nh, "icmp6", event)
    return None


def _ask(time: int, source: str, target: str, protocol: str, event: str, number: int) -> Packet:
    ports = (0, number) if event == "request" else (number, 0)
    return Packet(time, source, target, protocol, *ports, event, group=_to_many(source, target))


def _error(time: int, quoted: Any, protocol: int, icmp: str, event: str) -> Packet | None:
    ends = quoted.src, quoted.dst
    rest = bytes(quoted.payload)
    group = _to_many(*ends)
    if protocol in (6, 17):
        sport, dport = struct.unpack("!HH", rest[:4])
        return Packet(time, *ends, "tcp" if protocol == 6 else "udp", sport, dport, event, group=group)
    if protocol in (1, 58):
        asked = rest[0] if protocol == 1 else {128: 8}.get(rest[0], 0)
        return Packet(time, *ends, icmp, 0, asked, event, group=group)
    return None


def _to_many(source: str, target: str) -> bool:
    """Tell whether one end is not a single host."""
    ends = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if ends[0].version == 4:
        return any(end.is_multicast or end.is_reserved or end.is_unspecified for end in ends)
    return any(end.is_multicast for end in ends) or ends[0].is_unspecified
