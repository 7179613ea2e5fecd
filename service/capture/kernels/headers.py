"""From the bytes of packets to columns: who, to whom, which service, what happened.

One loop body with local state and `continue`: a compiled helper that returned a tuple made it four times slower.
Whatever is rare, such as tunnels and radio, makes the loop stop: see `service.capture.kernels.packets`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.fields import AT, END, ETHER, FORM, u16, u32, u32_little
from service.capture.kernels.interning import intern
from service.capture.kernels.reasons import (
    ADDRESSES,
    ARP_OTHER,
    ETHERTYPE,
    FRAGMENT,
    ICMP6_TYPE,
    ICMP_TYPE,
    LINK_TYPE,
    LLC,
    MALFORMED,
    PROTOCOL,
    TCP_CUT,
    TRUNCATED,
)
from service.compiled import compiled

BUILT_ON = "18b00a8a0c0068b4"

# What a packet does in its conversation.
TCP, UDP, REQUEST, REPLY, UNREACHABLE, TIME_EXCEEDED = 0, 1, 2, 3, 4, 5

PAYLOAD = 1 << 8
"""Bit of `flags`, above TCP's eight: the packet carries data."""
GROUP = 1 << 9
"""Bit of `flags`: the target is a multicast or broadcast address, or the source can't be one host."""
MARKS = 10
"""From this bit of `flags` on: what scanners leave in their probes, see `service.capture.tools`."""
ZMAP, MASSCAN, MIRAI, NMAP, UNICORNSCAN = (1 << MARKS + mark for mark in range(5))
BARE = 1 << 15
"""Bit of `flags`: a SYN that names a maximum segment size at most, where systems that connect offer more, since
window scaling and selective acknowledgement (RFC 7323, RFC 2018) became usual; or a datagram that holds nothing."""

RECENT = 256
"""Rows of `recent`: what the latest probe of a source showed, as it takes two to know nmap or unicornscan. Of four
numbers each: source and unicornscan's key; the sequence number; source and nmap's mask; nothing."""

ETHERNET, RAW_BSD, RAW_OPENBSD, RAW, NULL, LOOP, COOKED, COOKED2, RAW4, RAW6 = (
    1,
    12,
    14,
    101,
    0,
    108,
    113,
    276,
    228,
    229,
)

# SCTP's chunks (RFC 9260, 3.2) as TCP's flags. A COOKIE-ECHO without an INIT before it begins nothing honest.
_INIT, _INIT_ACK, _ABORT, _SHUTDOWN, _COOKIE_ECHO = 1, 2, 6, 7, 10
_NO_NEXT = 59  # IPv6's bubbles hold nothing, and ask nothing (RFC 8200, 4.7)

_TAGS = 4  # more VLAN tags than this are no honest packet
_EXTENSIONS = 8


@compiled
def decode_plain(
    first: int,
    count: int,
    data: NDArray[np.uint8],
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
    time: NDArray[np.int64],
    link: NDArray[np.int64],
    words: NDArray[np.int64],
    slots: NDArray[np.int32],
    tally: NDArray[np.int64],
    out_time: NDArray[np.int64],
    out_source: NDArray[np.uint32],
    out_target: NDArray[np.uint32],
    out_source_port: NDArray[np.uint16],
    out_target_port: NDArray[np.uint16],
    out_protocol: NDArray[np.uint8],
    out_event: NDArray[np.uint8],
    out_flags: NDArray[np.uint16],
    recent: NDArray[np.int64],
    layer: NDArray[np.int64],
) -> tuple[int, int]:
    """Decode records from `first` on, until the end or one that has to be opened, which `layer` then tells.

    What can't be followed is tallied by reason. A record of a link type from `ETHER` on begins with what that
    ethertype says, and is not opened again. An ICMP error is told as an event of the conversation that it quotes.
    Requests other than TCP and UDP go from port 0 to the number of their service (`service.capture.services`),
    and replies back: so two hosts that ask each other have two conversations.
    Returns where it stopped and the number of rows in the columns, which was `count`.
    """
    for i in range(first, len(offset)):
        at = offset[i]
        end = at + length[i]

        # Link layer: find the network protocol, and where it begins.
        kind = link[i]
        if kind == ETHERNET:
            if at + 14 > end:
                tally[TRUNCATED] += 1
                continue
            ether = u16(data, at + 12)
            at += 14
            tags = 0
            while (
                (ether == 0x8100 or ether == 0x88A8 or ether == 0x9100 or ether == 0x9200)
                and tags < _TAGS
                and at + 4 <= end
            ):
                ether = u16(data, at + 2)
                at += 4
                tags += 1
            if (ether == 0x8100 or ether == 0x88A8 or ether == 0x9100 or ether == 0x9200) and tags < _TAGS:
                tally[TRUNCATED] += 1
                continue
            if ether < 0x600:  # a length: IEEE 802.3 with LLC, perhaps SNAP with an ethertype
                if (
                    at + 8 <= end
                    and data[at] == 0xAA
                    and data[at + 1] == 0xAA
                    and data[at + 2] == 3
                    and u16(data, at + 3) == 0
                    and (data[at + 5] == 0 or data[at + 5] == 0xF8)
                ):
                    ether = u16(data, at + 6)
                    at += 8
                else:
                    tally[LLC] += 1
                    continue
        elif kind == COOKED:
            if at + 16 > end:
                tally[TRUNCATED] += 1
                continue
            ether = u16(data, at + 14)
            at += 16
        elif kind == COOKED2:
            if at + 20 > end:
                tally[TRUNCATED] += 1
                continue
            ether = u16(data, at)
            at += 20
        elif kind == RAW or kind == RAW_BSD or kind == RAW_OPENBSD or kind == RAW4 or kind == RAW6:
            if at >= end:
                tally[TRUNCATED] += 1
                continue
            ether = 0x86DD if data[at] >> 4 == 6 else 0x0800
        elif kind == NULL or kind == LOOP:
            if at + 4 > end:
                tally[TRUNCATED] += 1
                continue
            family = data[at] | data[at + 3]  # one byte is the family, in whichever order it was written
            at += 4
            if family == 2:
                ether = 0x0800
            elif family == 10 or family == 24 or family == 28 or family == 30:  # AF_INET6 differs by system
                ether = 0x86DD
            else:
                tally[LINK_TYPE + kind] += 1
                continue
        elif kind >= ETHER:
            ether = kind - ETHER
        else:
            layer[AT], layer[END], layer[FORM] = at, end, kind
            return i, count
        # Network layer: addresses, transport protocol, end of the packet without padding.
        flags = 0
        split = 0  # whether it is the first of several fragments
        network = at
        if ether == 0x0800:
            if at + 20 > end:
                tally[TRUNCATED] += 1
                continue
            header = (data[at] & 15) * 4
            total = u16(data, at + 2)
            if data[at] >> 4 != 4 or header < 20 or (total != 0 and total < header):  # 0: segmentation offload
                tally[MALFORMED] += 1
                continue
            if total != 0 and at + total < end:
                end = at + total
            whole = at + total if total != 0 else end
            split = u16(data, at + 6) & 0x2000
            if u16(data, at + 6) & 0x1FFF:
                tally[FRAGMENT] += 1
                continue
            protocol = np.int64(data[at + 9])
            source_high, source_low = np.int64(0), u32(data, at + 12)
            target_high, target_low = np.int64(0), u32(data, at + 16)
            version = 4
            at += header
        elif ether == 0x86DD:
            if at + 40 > end:
                tally[TRUNCATED] += 1
                continue
            if data[at] >> 4 != 6:
                tally[MALFORMED] += 1
                continue
            payload = u16(data, at + 4)
            if payload != 0 and at + 40 + payload < end:  # 0: jumbogram or segmentation offload
                end = at + 40 + payload
            whole = at + 40 + payload if payload != 0 else end
            protocol = np.int64(data[at + 6])
            source_high = u32(data, at + 8) << 32 | u32(data, at + 12)
            source_low = u32(data, at + 16) << 32 | u32(data, at + 20)
            target_high = u32(data, at + 24) << 32 | u32(data, at + 28)
            target_low = u32(data, at + 32) << 32 | u32(data, at + 36)
            version = 6
            at += 40
            reason = -1
            hops = 0
            while protocol == 0 or protocol == 43 or protocol == 44 or protocol == 51 or protocol == 60:
                if at + 8 > end:
                    reason = TRUNCATED
                    break
                if hops == _EXTENSIONS:
                    reason = MALFORMED
                    break
                hops += 1
                following = np.int64(data[at])
                if protocol == 44:
                    if u16(data, at + 2) & 0xFFF8:
                        reason = FRAGMENT
                        break
                    split = u16(data, at + 2) & 1
                    at += 8
                elif protocol == 51:
                    at += (data[at + 1] + 2) * 4
                else:
                    at += (data[at + 1] + 1) * 8
                protocol = following
            if reason >= 0:
                tally[reason] += 1
                continue
        elif ether == 0x0806:
            if at + 28 > end:
                tally[TRUNCATED] += 1
                continue
            operation = u16(data, at + 6)
            if (
                u16(data, at) != 1
                or u16(data, at + 2) != 0x0800
                or data[at + 4] != 6
                or data[at + 5] != 4
                or operation < 1
                or operation > 2
            ):
                tally[ARP_OTHER] += 1
                continue
            source_high, source_low = np.int64(0), u32(data, at + 14)
            target_high, target_low = np.int64(0), u32(data, at + 24)
            version = 4
            protocol = np.int64(-1)
        elif kind >= ETHER:
            tally[ETHERTYPE + ether] += 1
            continue
        else:
            layer[AT], layer[END], layer[FORM] = at, end, ETHER + ether
            return i, count

        # Transport layer: ports, flags, what happened.
        followed = np.int64(0)
        source_port, target_port = np.int64(0), np.int64(0)
        if protocol == 6:
            if at + 14 <= end:
                flags = np.int64(data[at + 13])
                if whole > at + (data[at + 12] >> 4) * 4:
                    flags |= PAYLOAD
            elif split and whole < at + 14 and at + 8 <= end:
                flags = 2  # who keeps them for the next fragment hides a SYN (RFC 1858, section 3)
            else:  # without flags nobody knows who began, and whether an answer is a refusal
                tally[TCP_CUT if at + 4 <= end else TRUNCATED] += 1
                continue
            source_port, target_port = u16(data, at), u16(data, at + 2)
            event = TCP
        elif protocol == 17:
            if at + 4 > end:
                tally[TRUNCATED] += 1
                continue
            source_port, target_port = u16(data, at), u16(data, at + 2)
            if kind < ETHER and (
                target_port == 4789
                or target_port == 8472
                or target_port == 2152
                or target_port == 6081
                or target_port == 3544
                or source_port == 3544
            ):  # VXLAN (twice), GTP-U, Geneve, Teredo: perhaps
                layer[AT], layer[END], layer[FORM] = network, end, ETHER + ether
                return i, count
            followed = 1
            event = UDP
            if whole == at + 8:
                flags |= BARE
        elif protocol == -1:
            followed = 4
            if operation == 1:
                event, target_port = REQUEST, np.int64(1)
            else:
                event, source_port = REPLY, np.int64(1)
            if operation == 1 and source_low == target_low:  # an announcement, not a question
                flags |= GROUP
        elif (protocol == 1 and version == 4) or (protocol == 58 and version == 6):
            if at + 2 > end:
                tally[TRUNCATED] += 1
                continue
            message = np.int64(data[at])
            followed = 2 if version == 4 else 3
            event = -1
            if version == 4:
                if message == 8 or message == 13 or message == 15 or message == 17:
                    event, target_port = REQUEST, message
                elif message == 0:
                    event, source_port = REPLY, np.int64(8)
                elif message == 14 or message == 16 or message == 18:
                    event, source_port = REPLY, message - 1
                elif message == 3:
                    event = UNREACHABLE
                elif message == 11:
                    event = TIME_EXCEEDED
            elif message == 128:
                event, target_port = REQUEST, np.int64(8)
            elif message == 129:
                event, source_port = REPLY, np.int64(8)
            elif message == 1:
                event = UNREACHABLE
            elif message == 3:
                event = TIME_EXCEEDED
            if event == -1:
                tally[(ICMP_TYPE if version == 4 else ICMP6_TYPE) + message] += 1
                continue
            if event == UNREACHABLE or event == TIME_EXCEEDED:
                # The error quotes the packet that caused it: tell what became of that conversation.
                at += 8
                if version == 4:
                    if at + 20 > end:
                        tally[TRUNCATED] += 1
                        continue
                    quoted = np.int64(data[at + 9])
                    quoted_empty = u16(data, at + 2) == (data[at] & 15) * 4
                    source_low, target_low = u32(data, at + 12), u32(data, at + 16)
                    at += (data[at] & 15) * 4
                else:
                    if at + 40 > end:
                        tally[TRUNCATED] += 1
                        continue
                    quoted = np.int64(data[at + 6])
                    quoted_empty = u16(data, at + 4) == 0
                    source_high = u32(data, at + 8) << 32 | u32(data, at + 12)
                    source_low = u32(data, at + 16) << 32 | u32(data, at + 20)
                    target_high = u32(data, at + 24) << 32 | u32(data, at + 28)
                    target_low = u32(data, at + 32) << 32 | u32(data, at + 36)
                    at += 40
                if quoted_empty and quoted != 6 and quoted != 17:
                    followed, target_port = 6, quoted
                elif at + 4 > end:
                    tally[TRUNCATED] += 1
                    continue
                elif quoted == 6 or quoted == 17 or quoted == 132:
                    followed = 0 if quoted == 6 else 1 if quoted == 17 else 5
                    source_port, target_port = u16(data, at), u16(data, at + 2)
                elif quoted == 1:
                    target_port = np.int64(data[at])
                elif quoted == 58:
                    target_port = np.int64(8) if data[at] == 128 else np.int64(0)
                else:
                    tally[(ICMP_TYPE if version == 4 else ICMP6_TYPE) + message] += 1
                    continue
        elif protocol == 132:
            if at + 13 > end:
                tally[TRUNCATED] += 1
                continue
            source_port, target_port = u16(data, at), u16(data, at + 2)
            followed = 5
            event = TCP
            chunk = data[at + 12]
            if chunk == _INIT:
                flags |= 0x02
            elif chunk == _INIT_ACK:
                flags |= 0x12
            elif chunk == _ABORT:
                flags |= 0x04
            elif chunk == _SHUTDOWN:
                flags |= 0x11
            elif chunk == _COOKIE_ECHO:
                flags |= 0x01
            else:
                flags |= 0x10 | PAYLOAD
        elif kind < ETHER and (protocol == 4 or protocol == 41 or protocol == 47):
            layer[AT], layer[END], layer[FORM] = network, end, ETHER + ether
            return i, count
        elif whole == at and split == 0 and protocol != _NO_NEXT:
            followed = 6
            event, target_port = REQUEST, protocol
        else:
            tally[PROTOCOL + (protocol & 0xFF)] += 1
            continue

        # Addresses: unicast IPv4 is its own number, everything else is looked up.
        if version == 4:
            if source_low >= 0xE0000000 or source_low == 0 or target_low >= 0xE0000000 or target_low == 0:
                flags |= GROUP
            source, target = source_low, target_low
            if source_low >= 0xF0000000:
                source = intern(0, source_low | 0xFFFF00000000, words, slots)
            if target_low >= 0xF0000000:
                target = intern(0, target_low | 0xFFFF00000000, words, slots)
        else:
            if (
                (target_high >> 56) & 0xFF == 0xFF
                or (source_high >> 56) & 0xFF == 0xFF
                or (source_high == 0 and source_low == 0)
            ):
                flags |= GROUP
            source = intern(source_high, source_low, words, slots)
            target = intern(target_high, target_low, words, slots)
        if source < 0 or target < 0:
            tally[ADDRESSES] += 1
            continue

        # What scanners leave in their probes; see `service.capture.tools`.
        if event == TCP and followed == 0:
            low = flags & 0x3F
            if low == 2 and at + 14 <= end and data[at + 12] >> 4 <= 6:
                flags |= BARE
            if low == 2 and version == 4:
                place = (source * 0x9E3779B1 >> 16) & (RECENT - 1)
                number, sequence, both = u16(data, network + 4), u32(data, at + 4), u32(data, at)
                if number == 54321:
                    flags |= ZMAP
                if (number ^ sequence ^ target_low ^ both) & 0xFFFF == 0:
                    flags |= MASSCAN
                if sequence == target_low:
                    flags |= MIRAI
                turned = u32_little(data, network + 16) ^ (both << 16 & 0xFFFF0000) ^ both >> 16
                key = source << 32 | (sequence ^ turned)
                if recent[place, 0] == key and recent[place, 1] != sequence:  # the same again is a retry
                    flags |= UNICORNSCAN
                recent[place, 0] = key
                recent[place, 1] = sequence
            if at + 20 <= end and data[at + 15] == 0:
                window = data[at + 14]
                if window == 4 or window == 8 or window == 12 or window == 16:
                    if low == 2:  # its only option: a maximum segment size of 1460
                        ours = data[at + 12] == 0x60 and at + 24 <= end and u32(data, at + 20) == 0x020405B4
                    else:  # NULL, FIN, Xmas, a bare ACK
                        ours = data[at + 12] == 0x50 and (
                            low == 0 or low == 1 or low == 0x29 or (low == 0x10 and not flags & PAYLOAD)
                        )
                    if ours:
                        place = (source * 0x9E3779B1 >> 16) & (RECENT - 1)
                        masked = u32(data, at + 8) if low == 0x10 else u32(data, at + 4)
                        mask = source << 17 | 1 << 16 | (masked >> 16 ^ masked & 0xFFFF)
                        if recent[place, 2] == mask:
                            flags |= NMAP
                        recent[place, 2] = mask
        elif (event == UDP or followed == 2) and version == 4 and u16(data, network + 4) == 54321:
            flags |= ZMAP

        out_time[count] = time[i]
        out_source[count] = source
        out_target[count] = target
        out_source_port[count] = source_port
        out_target_port[count] = target_port
        out_protocol[count] = followed
        out_event[count] = event
        out_flags[count] = flags
        count += 1
    return len(offset), count
