"""Link layers that are too rare for the loop over all packets: PPP, Cisco HDLC, NFLOG, 802.11, tags, labels.

Each function moves a layer (see `service.capture.kernels.fields`) inwards and returns `OPENED`, or the place in
the tally of the reason why it can't.
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
    LLC_FRAME,
    MPLS,
    MPLS_MULTICAST,
    PADDED,
    PPPOE,
    ip_form,
    is_ethernet,
    u16,
    u16_little,
    u32,
)
from service.capture.kernels.reasons import (
    DAMAGED,
    ETHERTYPE,
    FRAGMENT,
    LINK_TYPE,
    LLC,
    PPP_PROTOCOL,
    TRUNCATED,
    WLAN_NO_DATA,
    WLAN_PROTECTED,
)
from service.compiled import compiled

BUILT_ON = "0ffa3e572693bbb1"

OPENED, NOT_WRAPPED = -1, -2

ETHERNET, PPP, PPP_HDLC, PPP_ETHER, ATM_RFC1483, CISCO_HDLC = 1, 9, 50, 51, 100, 104
WLAN, PRISM, RADIOTAP, AVS, PPI, PPP_DIRECTION, NFLOG = 105, 119, 127, 163, 192, 204, 239


@compiled
def open_frame(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Take the header of a link layer off."""
    at, end, form = layer[AT], layer[END], layer[FORM]
    if form == ETHERNET:
        if at + 14 > end:
            return TRUNCATED
        ether = u16(data, at + 12)
        layer[AT] = at + 14
        layer[FORM] = ETHER + ether if ether >= 0x600 else LLC_FRAME  # below it is a length
        return OPENED
    if form == LLC_FRAME or form == ATM_RFC1483:
        return _open_llc(data, layer)
    if form == PPP or form == PPP_HDLC or form == PPP_DIRECTION:
        return _open_ppp(data, layer)
    if form == PPP_ETHER:
        return _open_pppoe(data, layer)
    if form == CISCO_HDLC:
        if at + 4 > end:
            return TRUNCATED
        layer[AT] = at + 4
        layer[FORM] = ETHER + u16(data, at + 2)
        return OPENED
    if form == NFLOG:
        return _open_nflog(data, layer)
    if form == WLAN:
        return _open_wlan(data, layer)
    if form == RADIOTAP or form == PRISM or form == AVS or form == PPI:
        return _open_radio(data, layer)
    return LINK_TYPE + (form & 0xFFFF)


@compiled
def open_tag(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Take one tag, stack of labels or session header off; `NOT_WRAPPED` if the ethertype is none of these."""
    at, end, form = layer[AT], layer[END], layer[FORM]
    ether = form - ETHER
    size = 0
    if ether == 0x8100 or ether == 0x88A8 or ether == 0x9100 or ether == 0x9200:
        size = 4
    elif ether == 0x8926:  # VNTag
        size = 6
    elif ether == 0x893F:  # E-Tag of IEEE 802.1BR
        size = 8
    if size:
        if at + size > end:
            return TRUNCATED
        layer[AT] = at + size
        ether = u16(data, at + size - 2)
        layer[FORM] = ETHER + ether if ether >= 0x600 else LLC_FRAME
        return OPENED
    if form == PPPOE:
        return _open_pppoe(data, layer)
    if form == MPLS or form == MPLS_MULTICAST:
        return _open_labels(data, layer)
    return NOT_WRAPPED


@compiled
def _open_llc(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    at = layer[AT]
    if at + 8 > layer[END]:
        return TRUNCATED
    vendor = u32(data, at + 3) >> 8  # none, or that of a bridge (IEEE 802.1H)
    if data[at] != 0xAA or data[at + 1] != 0xAA or data[at + 2] != 3 or (vendor != 0 and vendor != 0xF8):
        return LLC
    layer[AT] = at + 8
    layer[FORM] = ETHER + u16(data, at + 6)
    return OPENED


@compiled
def _open_ppp(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Open PPP, with or without address and control (RFC 1662), the protocol in one byte or two (RFC 1661)."""
    at, end = layer[AT], layer[END]
    if layer[FORM] == PPP_DIRECTION:
        at += 1
    if at + 2 > end:
        return TRUNCATED
    if layer[FORM] == PPP_HDLC and (data[at] == 0x0F or data[at] == 0x8F):
        layer[FORM] = CISCO_HDLC
        return OPENED
    if data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if at + 2 > end:
        return TRUNCATED
    protocol = np.int64(data[at])
    at += 1
    if not protocol & 1:
        protocol = protocol << 8 | data[at]
        at += 1
    layer[AT] = at
    if protocol == 0x21:
        layer[FORM] = IPV4
    elif protocol == 0x57:
        layer[FORM] = IPV6
    elif protocol == 0x281:
        layer[FORM] = MPLS
    elif protocol == 0x283:
        layer[FORM] = MPLS_MULTICAST
    else:
        return PPP_PROTOCOL + protocol
    return OPENED


@compiled
def _open_pppoe(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    at = layer[AT]
    if at + 6 > layer[END]:
        return TRUNCATED
    if data[at] != 0x11 or data[at + 1] != 0:  # version and type 1; code 0: a session
        return ETHERTYPE + (PPPOE - ETHER)
    layer[AT] = at + 6
    layer[END] = min(layer[END], at + 6 + u16(data, at + 4))
    layer[FORM] = PPP
    return OPENED


@compiled
def _open_labels(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Take a stack of MPLS labels off; nothing names what is below it: it has to look like what it is taken for."""
    at, end = layer[AT], layer[END]
    bottom = False
    while not bottom:
        if at + 4 > end:
            return TRUNCATED
        bottom = data[at + 2] & 1 == 1
        at += 4
    if at >= end:
        return TRUNCATED
    form = ip_form(data, at, end)
    if form >= 0:
        layer[FORM] = form
    elif at + 4 < end and data[at] >> 4 == 0 and is_ethernet(data, at + 4, end):  # a control word (RFC 4385)
        layer[FORM] = ETHERNET
        at += 4
    elif is_ethernet(data, at, end):
        layer[FORM] = ETHERNET
    else:
        return ETHERTYPE + (layer[FORM] - ETHER)
    layer[AT] = at
    return OPENED


@compiled
def _open_nflog(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Find the packet among the attributes that Linux' netfilter logs, in the byte order of whoever wrote them."""
    at, end = layer[AT] + 4, layer[END]
    while at + 4 <= end:
        little = data[at + 2] & 0x3F != 0  # no attribute has a number above 63
        size = u16_little(data, at) if little else u16(data, at)
        kind = (u16_little(data, at + 2) if little else u16(data, at + 2)) & 0x3FFF
        if size < 4:
            return DAMAGED
        if kind == 9:  # NFULA_PAYLOAD
            layer[AT] = at + 4
            layer[END] = min(end, at + size)
            layer[FORM] = ip_form(data, at + 4, layer[END])
            if layer[FORM] < 0:
                return LINK_TYPE + NFLOG if at + 4 < layer[END] else TRUNCATED
            return OPENED
        at += (size + 3) // 4 * 4
    return TRUNCATED


@compiled
def _open_radio(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Take what a radio says of a frame off: radiotap, PPI, Prism or AVS.

    The checksum that may follow the frame stays: it is beyond the end of any IP packet.
    """
    at, end, form = layer[AT], layer[END], layer[FORM]
    if at + 8 > end:
        return TRUNCATED
    layer[FORM] = WLAN
    if form == PRISM and u32(data, at) >> 12 == 0x80211:
        form = AVS
    if form == AVS:
        size = u32(data, at + 4)
    elif form == PRISM:  # written in the byte order of the machine: 0x44 or 0x41
        size = u16_little(data, at + 4) if data[at] else u32(data, at + 4)
    else:
        size = u16_little(data, at + 2)
        if data[at] != 0:  # the version
            return DAMAGED
    if size < 8:
        return DAMAGED
    if at + size > end:
        return TRUNCATED
    if form == PPI:
        layer[FORM] = u16_little(data, at + 4)
    if form == RADIOTAP and data[at + 4] & 2:  # flags are present
        flags_at = at + 4
        while data[flags_at + 3] & 0x80 and flags_at + 8 <= at + size:  # another word of what is present
            flags_at += 4
        flags_at += 4
        if data[at + 4] & 1:  # before them a time of 8 bytes, aligned
            flags_at += -(flags_at - at) % 8 + 8
        if flags_at < at + size:
            if data[flags_at] & 0x40:  # its checksum was wrong
                return DAMAGED
            layer[PADDED] = data[flags_at] & 0x20
    layer[AT] = at + size
    return OPENED


@compiled
def _open_wlan(data: NDArray[np.uint8], layer: NDArray[np.int64]) -> int:
    """Open a data frame of IEEE 802.11; of several packets in one frame (A-MSDU) the first."""
    at, end = layer[AT], layer[END]
    if at + 2 > end:
        return TRUNCATED
    control, flags = np.int64(data[at]), np.int64(data[at + 1])
    if control & 3:  # the version
        return DAMAGED
    if control & 0x0C != 8 or control & 0x40:  # management, control, or data that is none
        return WLAN_NO_DATA
    header = 30 if flags & 3 == 3 else 24  # from one access point to another: four addresses
    service_at = at + header
    if control & 0x80:  # quality of service, and perhaps HT control
        header += 6 if flags & 0x80 else 2
    if at + header > end:
        return TRUNCATED
    if flags & 0x40:
        return WLAN_PROTECTED
    if data[at + 22] & 15:
        return FRAGMENT
    aggregate = control & 0x80 and data[service_at] & 0x80
    if layer[PADDED]:
        header = (header + 3) // 4 * 4
        layer[PADDED] = 0
    layer[AT] = at + header + (14 if aggregate else 0)
    layer[FORM] = LLC_FRAME
    return OPENED
