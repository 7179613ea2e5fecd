"""From data records of NetFlow and IPFIX to columns, whatever their template says.

A template is a program: rows of (kind of field, length in bytes), where length -1 is IPFIX's variable one. Kinds
are the constants below; a kind of time is the sum of which time it is and its unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.interning import intern
from service.compiled import compiled

BUILT_ON = "d86e1b35f7dd4c3d"

SKIP, SOURCE4, TARGET4, SOURCE6, TARGET6, SOURCE_PORT, TARGET_PORT, PROTOCOL = 0, 1, 2, 3, 4, 5, 6, 7
PACKETS, RETURNED, FLAGS, RETURNED_FLAGS, DIRECTION, EVENT, INITIATED, BOOT = 8, 9, 10, 11, 12, 13, 14, 15
ICMP, ICMP_TYPE, RETURNED_ICMP = 16, 17, 18
START, END, RETURN_START = 32, 40, 48
UPTIME, SECONDS, MILLISECONDS, NTP, BEFORE_EXPORT = 0, 1, 2, 3, 4
"""Units of a time: ms since the boot, s and ms since 1970, RFC 5905's 64 bits, µs before the export."""
LASTED_MS, LASTED_US = 56, 57

VARIABLE = -1

# The tally of what a record could not tell.
BAD_RECORD, NO_PORTS, ABSURD_TIME, NO_TIME, ADDRESSES = 0, 1, 2, 3, 4
IP_PROTOCOL = 8
ICMP_OTHER = IP_PROTOCOL + 256
ICMP6_OTHER = ICMP_OTHER + 256
TALLY_SIZE = ICMP6_OTHER + 256

_GROUP = 1 << 9  # service.capture.kernels.headers
_OPEN, _REFUSED = 0, 3  # service.capture.batch.FlowState
_DENIED = 3  # firewallEvent
_MS, _SECOND = 1_000_000, 1_000_000_000
_LARGEST = 1 << 62
_AHEAD = 600 * _SECOND  # a flow later than its export by more than this is dated wrong
_NTP_TO_UNIX = 2_208_988_800


@compiled
def _number(data: NDArray[np.uint8], at: int, length: int) -> int:
    """Return an unsigned number of up to 8 bytes; one of 2^63 or more becomes negative."""
    value = np.int64(0)
    for i in range(at, at + length):
        value = (value << 8) | np.int64(data[i])
    return value


@compiled
def _instant(raw: int, unit: int, export: int, boot: int) -> int:
    """Return a time in ns since the epoch, or -1 if it can't be told."""
    if unit == UPTIME:
        if boot < 0:
            return -1
        # 32 bits of milliseconds wrap every 50 days: take what is nearest to the export.
        age = ((export - boot) // _MS - raw) & 0xFFFFFFFF
        if age >= 1 << 31:
            age -= 1 << 32
        return max(export - age * _MS, 0)
    if raw < 0 and unit != NTP:
        return -1
    if unit == SECONDS:
        return raw * _SECOND if raw < _LARGEST // _SECOND else -1
    if unit == MILLISECONDS:
        return raw * _MS if raw < _LARGEST // _MS else -1
    if unit == NTP:
        seconds = ((raw >> 32) & 0xFFFFFFFF) - _NTP_TO_UNIX
        if seconds < 0:  # NTP's second era begins in 2036
            seconds += 1 << 32
        return seconds * _SECOND + (((raw & 0xFFFFFFFF) * _SECOND) >> 32)
    return export - raw * 1000 if raw < export // 1000 else -1


@compiled
def decode(
    data: NDArray[np.uint8],
    sets: NDArray[np.int64],
    program: NDArray[np.int64],
    words: NDArray[np.int64],
    slots: NDArray[np.int32],
    tally: NDArray[np.int64],
    records: NDArray[np.int64],
    out_time: NDArray[np.int64],
    out_end: NDArray[np.int64],
    out_source: NDArray[np.uint32],
    out_target: NDArray[np.uint32],
    out_source_port: NDArray[np.uint16],
    out_target_port: NDArray[np.uint16],
    out_protocol: NDArray[np.uint8],
    out_packets: NDArray[np.int64],
    out_returned: NDArray[np.int64],
    out_flags: NDArray[np.uint16],
    out_returned_flags: NDArray[np.uint16],
    out_state: NDArray[np.uint8],
    out_directed: NDArray[np.bool_],
) -> int:
    """Decode sets of records; what can't be followed is tallied by reason.

    `sets` has shape (s, 7): first byte, end, first and last row of the program, least length of a record, time of
    the export and of the exporter's boot (-1: unknown) in ns since the epoch. `records` receives the number of
    records of each set. Returns the rows written.
    """
    rows = 0
    for s in range(len(sets)):
        at, set_end, first, last = sets[s, 0], sets[s, 1], sets[s, 2], sets[s, 3]
        least, export, exporter_boot = sets[s, 4], sets[s, 5], sets[s, 6]
        found = 0
        while at + least <= set_end:  # less is padding
            source_high, source_low = np.int64(0), np.int64(0)
            target_high, target_low = np.int64(0), np.int64(0)
            source4, target4 = np.int64(0), np.int64(0)
            source_port, target_port, protocol = np.int64(0), np.int64(0), np.int64(0)
            packets, returned = np.int64(-1), np.int64(-1)
            flags, returned_flags = np.int64(0), np.int64(0)
            message, returned_message, six = np.int64(0), np.int64(0), False
            direction, happened, directed = np.int64(0), np.int64(0), False
            start_raw, start_unit = np.int64(0), -1
            end_raw, end_unit = np.int64(0), -1
            return_raw, return_unit = np.int64(0), -1
            lasted = np.int64(-1)
            boot = exporter_boot
            bad = False
            for f in range(first, last):
                kind, length = program[f, 0], program[f, 1]
                if length == VARIABLE:
                    if at + 1 > set_end:
                        bad = True
                        break
                    length = np.int64(data[at])
                    at += 1
                    if length == 255:
                        if at + 2 > set_end:
                            bad = True
                            break
                        length = np.int64(data[at]) << 8 | np.int64(data[at + 1])
                        at += 2
                if at + length > set_end:
                    bad = True
                    break
                if kind == SKIP:
                    at += length
                    continue
                if kind == SOURCE6:
                    source_high, source_low = _number(data, at, 8), _number(data, at + 8, 8)
                    six = True
                    at += length
                    continue
                if kind == TARGET6:
                    target_high, target_low = _number(data, at, 8), _number(data, at + 8, 8)
                    six = True
                    at += length
                    continue
                value = _number(data, at, length)
                at += length
                if kind == SOURCE4:
                    source4 = value
                elif kind == TARGET4:
                    target4 = value
                elif kind == SOURCE_PORT:
                    source_port = value
                elif kind == TARGET_PORT:
                    target_port = value
                elif kind == PROTOCOL:
                    protocol = value
                elif kind == PACKETS:
                    packets = value
                elif kind == RETURNED:
                    returned = value
                elif kind == FLAGS:
                    flags = value & 0xFF
                elif kind == RETURNED_FLAGS:
                    returned_flags = value & 0xFF
                elif kind == ICMP:
                    message = max(message, value >> 8)
                elif kind == ICMP_TYPE:
                    message = max(message, value)
                elif kind == RETURNED_ICMP:
                    returned_message = max(returned_message, value >> 8)
                elif kind == DIRECTION:
                    direction = value
                elif kind == EVENT:
                    happened = value
                elif kind == INITIATED:
                    packets, directed = value, True
                elif kind == BOOT:
                    boot = value * _MS if 0 <= value < _LARGEST // _MS else boot
                elif kind == LASTED_MS:
                    lasted = value * _MS if 0 <= value <= 0xFFFFFFFF else lasted
                elif kind == LASTED_US:
                    lasted = value * 1000 if 0 <= value <= 0xFFFFFFFF else lasted
                elif kind >= RETURN_START:
                    return_raw, return_unit = value, kind - RETURN_START
                elif kind >= END:
                    end_raw, end_unit = value, kind - END
                else:
                    start_raw, start_unit = value, kind - START
            if bad:
                tally[BAD_RECORD] += 1
                break
            found += 1

            # What it is about.
            if packets < -1 or returned < -1:
                tally[BAD_RECORD] += 1
                continue
            if six and source4 == 0 and target4 == 0:
                group = (
                    (target_high >> 56) & 0xFF == 0xFF
                    or (source_high >> 56) & 0xFF == 0xFF
                    or (source_high == 0 and source_low == 0)
                )
            else:
                six = False
                source_high, source_low = np.int64(0), source4 | 0xFFFF00000000
                target_high, target_low = np.int64(0), target4 | 0xFFFF00000000
                group = source4 >= 0xE0000000 or source4 == 0 or target4 >= 0xE0000000 or target4 == 0
            if protocol == 6 or protocol == 17:
                followed = 0 if protocol == 6 else 1
                if source_port == 0 and target_port == 0:  # a later fragment, or an exporter that does not look
                    tally[NO_PORTS] += 1
                    continue
            elif (protocol == 1 and not six) or (protocol == 58 and six):
                followed = 3 if six else 2
                if message == 0:
                    message = target_port >> 8
                if packets == 0 and returned > 0:  # only the other end spoke
                    message = returned_message
                    source_high, source_low, target_high, target_low = (
                        target_high,
                        target_low,
                        source_high,
                        source_low,
                    )
                    packets, returned = returned, packets
                flags, returned_flags = np.int64(0), np.int64(0)
                source_port, target_port = np.int64(0), np.int64(0)
                if not six and (message == 8 or message == 13 or message == 15 or message == 17):
                    target_port = message
                elif not six and message == 0:
                    source_port = np.int64(8)
                elif not six and (message == 14 or message == 16 or message == 18):
                    source_port = message - 1
                elif six and message == 128:
                    target_port = np.int64(8)
                elif six and message == 129:
                    source_port = np.int64(8)
                else:
                    tally[(ICMP6_OTHER if six else ICMP_OTHER) + (message & 0xFF)] += 1
                    continue
            else:
                tally[IP_PROTOCOL + (protocol & 0xFF)] += 1
                continue
            source = intern(source_high, source_low, words, slots)
            target = intern(target_high, target_low, words, slots)
            if source < 0 or target < 0:
                tally[ADDRESSES] += 1
                continue

            # When it was.
            start = _instant(start_raw, start_unit, export, boot) if start_unit >= 0 else np.int64(-1)
            end = _instant(end_raw, end_unit, export, boot) if end_unit >= 0 else np.int64(-1)
            if lasted < 0:
                lasted = np.int64(0)
            if start < 0 and end >= lasted:
                start = end - lasted
            elif end < 0 and start >= 0:
                end = start + lasted
            if start < 0:
                tally[NO_TIME] += 1
                start, end = export, export
            elif start > export + _AHEAD or end > export + _AHEAD or start > end:
                tally[ABSURD_TIME] += 1
                if start > export:
                    start = export
                end = start

            # Which way it went.
            turned = packets == 0 and returned > 0
            if direction == 1 or direction == 2:
                directed = True
                turned = direction == 2
            elif return_unit >= 0 and returned > 0 and not directed:
                opposite = _instant(return_raw, return_unit, export, boot)
                if 0 <= opposite < start:
                    turned = True
                    start = opposite
            if turned and followed < 2:
                source, target = target, source
                source_port, target_port = target_port, source_port
                packets, returned = returned, packets
                flags, returned_flags = returned_flags, flags

            out_time[rows] = start
            out_end[rows] = end
            out_source[rows] = source
            out_target[rows] = target
            out_source_port[rows] = source_port
            out_target_port[rows] = target_port
            out_protocol[rows] = followed
            out_packets[rows] = packets
            out_returned[rows] = returned
            out_flags[rows] = flags | (_GROUP if group else 0)
            out_returned_flags[rows] = returned_flags
            out_state[rows] = _REFUSED if happened == _DENIED else _OPEN
            out_directed[rows] = directed
            rows += 1
        records[s] = found
    return rows
