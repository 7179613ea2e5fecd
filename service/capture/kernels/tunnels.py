"""Packets inside of packets.

A protocol number or a port alone is weak evidence: a scan tries all of them. So a tunnel is opened only if each
fixed bit of its header is right and what is inside looks like what the header says. If not, the outer packet is
an ordinary one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.fields import (
    AT,
    END,
    ETHER,
    FORM,
    IPV4,
    IPV6,
    LAYER_SIZE,
    MPLS,
    MPLS_MULTICAST,
    ip_form,
    u16,
    u32,
)
from service.capture.kernels.links import (
    ETHERNET,
    NOT_WRAPPED,
    OPENED,
    PPP,
    WLAN,
    open_frame,
    open_tag,
)
from service.capture.kernels.reasons import (
    ERSPAN,
    GENEVE,
    GRE,
    GTP,
    IP_IN_IP,
    NESTED,
    SIX_IN_FOUR,
    TEREDO,
    TUNNEL,
    VXLAN,
)
from service.compiled import compiled

BUILT_ON = "11fa3bdc9d0fed87"

NO_TUNNEL = -1

_LAYERS = 24
_TUNNELS = 4
_EXTENSIONS = 8


@compiled
def unwrap(data: NDArray[np.uint8], layer: NDArray[np.int64], inside: bool, tally: NDArray[np.int64]) -> bool:
    """Move a layer inwards to an ethertype that needs no further opening; tunnels are entered if `inside`.

    Returns False if that fails; then the packet is tallied. At most four tunnels are entered: in the fifth the
    packet is what the tunnel is.
    """
    tunnels = 0
    for _ in range(_LAYERS):
        form = layer[FORM]
        if form < ETHER or form >= 2 * ETHER:
            reason = open_frame(data, layer)
        elif form == IPV4 or form == IPV6:
            kind = open_tunnel(data, layer) if inside and tunnels < _TUNNELS else NO_TUNNEL
            if kind == NO_TUNNEL:
                return True
            if tunnels == 0:
                tally[TUNNEL + kind] += 1
            tunnels += 1
            reason = OPENED
        else:
            reason = open_tag(data, layer)
            if reason == NOT_WRAPPED:
                return True
        if reason != OPENED:
            tally[reason] += 1
            return False
    tally[NESTED] += 1
    return False


@compiled
def open_tunnel(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Move a layer from an IP header to what is inside of its tunnel, and return the kind of that."""
    inner = layer[LAYER_SIZE:]
    protocol = _open_ip(data, layer, inner)
    if protocol == 4 or protocol == 41:
        inner[FORM] = ip_form(data, inner[AT], inner[END])
        wanted, kind = (IPV4, IP_IN_IP) if protocol == 4 else (IPV6, SIX_IN_FOUR)
        if inner[FORM] != wanted:
            return NO_TUNNEL
    elif protocol == 47:
        kind = _open_gre(data, inner)
    elif protocol == 17:
        kind = _open_udp(data, inner)
    else:
        return NO_TUNNEL
    if kind != NO_TUNNEL:
        layer[AT], layer[END], layer[FORM] = inner[AT], inner[END], inner[FORM]
    return kind


@compiled
def _open_ip(data: NDArray[np.uint8], layer: NDArray[np.int64], inner: NDArray[np.int64]) -> int:
    """Set the ends of what an IP header carries and return its protocol; -1 for a later fragment or rubbish."""
    at, end = layer[AT], layer[END]
    if layer[FORM] == IPV4:
        if at + 20 > end or data[at] >> 4 != 4 or data[at] & 15 < 5 or u16(data, at + 6) & 0x1FFF:
            return -1
        total = u16(data, at + 2)
        inner[AT] = at + (data[at] & 15) * 4
        inner[END] = min(end, at + total) if total else end
        return np.int64(data[at + 9])
    if at + 40 > end or data[at] >> 4 != 6:
        return -1
    payload = u16(data, at + 4)
    if payload:
        end = min(end, at + 40 + payload)
    protocol = np.int64(data[at + 6])
    at += 40
    for _ in range(_EXTENSIONS):
        if protocol != 0 and protocol != 43 and protocol != 44 and protocol != 51 and protocol != 60:
            break
        if at + 8 > end or (protocol == 44 and u16(data, at + 2) & 0xFFF8):
            return -1
        size = np.int64(8)
        if protocol == 51:
            size = (np.int64(data[at + 1]) + 2) * 4
        elif protocol != 44:
            size = (np.int64(data[at + 1]) + 1) * 8
        protocol = np.int64(data[at])
        at += size
    inner[AT], inner[END] = at, end
    return protocol


@compiled
def _open_gre(data: NDArray[np.uint8], inner: NDArray[np.int64]) -> int:
    """Open GRE (RFC 2784 and 2890), its version 1 of PPTP (RFC 2637), and ERSPAN (draft-foschiano-erspan)."""
    at, end = inner[AT], inner[END]
    if at + 4 > end:
        return NO_TUNNEL
    first, second, protocol = np.int64(data[at]), np.int64(data[at + 1]), u16(data, at + 2)
    sequence = first & 0x10
    at += 4 + (4 if first & 0x80 else 0) + (4 if first & 0x20 else 0) + (4 if sequence else 0)
    inner[AT] = at
    if first & 0x4F:  # source routes and recursion were given up with RFC 1701
        return NO_TUNNEL
    if second & 0x7F == 1:
        inner[AT] = at + (4 if second & 0x80 else 0)
        inner[FORM] = PPP
        return GRE if protocol == 0x880B and first & 0xA0 == 0x20 and inner[AT] < end else NO_TUNNEL
    if second != 0 or at >= end:
        return NO_TUNNEL
    if protocol == 0x88BE or protocol == 0x22EB:
        return _open_erspan(data, inner, protocol, sequence != 0)
    inner[FORM] = ETHER + protocol
    if inner[FORM] == IPV4 or inner[FORM] == IPV6:
        return GRE if ip_form(data, at, end) == inner[FORM] else NO_TUNNEL
    if protocol == 0x6558:  # transparent Ethernet bridging
        inner[FORM] = ETHERNET
        return GRE
    if protocol == 0x8200:  # between Aruba's access points and controllers
        inner[FORM] = WLAN
        return GRE
    return GRE if inner[FORM] == MPLS or inner[FORM] == MPLS_MULTICAST else NO_TUNNEL


@compiled
def _open_erspan(data: NDArray[np.uint8], inner: NDArray[np.int64], protocol: int, numbered: bool) -> int:
    at, end = inner[AT], inner[END]
    inner[FORM] = ETHERNET
    if protocol == 0x88BE and not numbered:  # type I has no header of its own
        return ERSPAN
    version = np.int64(data[at]) >> 4
    if protocol == 0x88BE:
        inner[AT] = at + 8
        return ERSPAN if version == 1 and at + 8 < end else NO_TUNNEL
    if version != 2 or at + 12 >= end:
        return NO_TUNNEL
    inner[AT] = at + 12 + (8 if data[at + 11] & 1 else 0)
    frame = u16(data, at + 10) >> 10 & 31
    if frame == 2:
        inner[FORM] = ip_form(data, inner[AT], end)
    return ERSPAN if (frame == 0 or frame == 2) and inner[FORM] >= 0 else NO_TUNNEL


@compiled
def _open_udp(data: NDArray[np.uint8], inner: NDArray[np.int64]) -> int:
    at = inner[AT]
    if at + 16 > inner[END]:
        return NO_TUNNEL
    source, target, size = u16(data, at), u16(data, at + 2), u16(data, at + 4)
    inner[AT] = at + 8
    inner[END] = min(inner[END], at + size)
    if at + 16 > inner[END]:
        return NO_TUNNEL
    if target == 4789 or target == 8472:
        return _open_vxlan(data, inner)
    if target == 2152:
        return _open_gtp(data, inner, size - 8)
    if target == 6081:
        return _open_geneve(data, inner)
    if target == 3544 or source == 3544:
        return _open_teredo(data, inner, at + size)
    return NO_TUNNEL


@compiled
def _open_vxlan(data: NDArray[np.uint8], inner: NDArray[np.int64]) -> int:
    """Open VXLAN (RFC 7348), perhaps with a group policy (draft-smith-vxlan-group-policy)."""
    at = inner[AT]
    grouped = data[at] == 0x88 and data[at + 1] & 0xB7 == 0
    if data[at + 7] != 0 or not (grouped or u32(data, at) == 0x08000000) or at + 22 > inner[END]:
        return NO_TUNNEL
    inner[AT] = at + 8
    inner[FORM] = ETHERNET
    return VXLAN


@compiled
def _open_geneve(data: NDArray[np.uint8], inner: NDArray[np.int64]) -> int:
    """Open Geneve (RFC 8926)."""
    at, end = inner[AT], inner[END]
    body = at + 8 + np.int64(data[at]) * 4
    if data[at] > 63 or data[at + 1] & 0x3F or data[at + 7] or body >= end:  # version, reserved bits
        return NO_TUNNEL
    protocol = u16(data, at + 2)
    inner[AT] = body
    inner[FORM] = ETHERNET if protocol == 0x6558 else ETHER + protocol
    return GENEVE if protocol == 0x6558 or ip_form(data, body, end) == inner[FORM] else NO_TUNNEL


@compiled
def _open_gtp(data: NDArray[np.uint8], inner: NDArray[np.int64], size: int) -> int:
    """Open a user's packet in GTP-U (3GPP TS 29.281) of `size` bytes."""
    at, end = inner[AT], inner[END]
    if data[at] & 0xF8 != 0x30 or data[at + 1] != 255 or u16(data, at + 2) + 8 != size:
        return NO_TUNNEL
    body = at + 8
    if data[at] & 7:  # sequence number, N-PDU number, first extension header
        if body + 4 > end:
            return NO_TUNNEL
        following = np.int64(data[body + 3]) if data[at] & 4 else np.int64(0)
        body += 4
        while following:
            if body >= end or data[body] == 0 or body + np.int64(data[body]) * 4 > end:
                return NO_TUNNEL
            body += np.int64(data[body]) * 4
            following = np.int64(data[body - 1])
    inner[AT] = body
    inner[FORM] = ip_form(data, body, end)
    return GTP if inner[FORM] >= 0 else NO_TUNNEL


@compiled
def _open_teredo(data: NDArray[np.uint8], inner: NDArray[np.int64], whole: int) -> int:
    """Open Teredo (RFC 4380): perhaps an authentication, perhaps an origin, then IPv6 up to the byte `whole`."""
    at, end = inner[AT], inner[END]
    if u16(data, at) == 1:
        at += 13 + np.int64(data[at + 2]) + np.int64(data[at + 3])
    if at + 8 <= end and u16(data, at) == 0:
        at += 8
    if at + 40 > end or ip_form(data, at, end) != IPV6 or at + 40 + u16(data, at + 4) != whole:
        return NO_TUNNEL
    known = False
    for address in (at + 8, at + 24):  # one of Teredo's own, or one that is asking for it
        known = known or u32(data, address) == 0x20010000 or u16(data, address) & 0xFFC0 == 0xFE80
    inner[AT] = at
    inner[FORM] = IPV6
    return TEREDO if known else NO_TUNNEL
