"""Records of one direction become flows of two: a→b and b→a are one conversation, which one end began.

A table is an array of shape (slots, 13), one row for each conversation: fingerprint (0: free), state bits, the low
end and the high end as host << 16 | port, for each of them first and last time, packets and flags of what it
sent, and a serial number while it waits for its other half. Two generations are kept, as in
`service.capture.kernels.conversations`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled

TIME, END, SOURCE, TARGET, SOURCE_PORT, TARGET_PORT, PROTOCOL, PACKETS, RETURNED = 0, 1, 2, 3, 4, 5, 6, 7, 8
FLAGS, RETURNED_FLAGS, STATE, DIRECTED, COLUMNS = 9, 10, 11, 12, 13
"""Columns of records and flows: those of `service.capture.batch.FlowBatch`, all as 64 bits."""

WIDTH = 13
KEY = 0
_STATE, _LOW, _HIGH = 1, 2, 3
_LOW_SENT, _HIGH_SENT = 4, 8  # first of four columns each
_FIRST, _LAST, _PACKETS, _FLAGS = 0, 1, 2, 3
_SERIAL = 12

# State bits; the protocol stands above them.
_HEARD_LOW, _HEARD_HIGH, _DECIDED, _TOLD_ANSWER, _TOLD_NOTHING, _MOVED = 1, 2, 4, 8, 16, 32
_REFUSED_BIT, _DIRECTED_LOW, _DIRECTED_HIGH = 64, 128, 256
_PROTOCOL_SHIFT = 16

_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16
_GROUP = 1 << 9  # service.capture.kernels.headers
_TCP, _UDP = 0, 1
_OPEN, _ANSWERED, _UNANSWERED, _REFUSED, _NO_ATTEMPT = 0, 1, 2, 3, 4  # service.capture.batch.FlowState
_PROBE_PACKETS = 3  # as in service.capture.kernels.conversations

DONE, ROTATE = 0, 1

HEAD, WAITING, SERIAL, CLOCK, HURRIED, LATE = 0, 1, 2, 3, 4, 5
"""Fields of the cursor: the oldest that waits, how many wait, serial number, latest time seen, and how many were
decided before their time, and how many answers came after it."""


@compiled
def _find(table: NDArray[np.int64], key: int) -> int:
    """Return the slot of a conversation, or of the free place where it belongs."""
    mask = len(table) - 1
    at = key & mask
    while table[at, KEY] != 0 and table[at, KEY] != key:
        at = (at + 1) & mask
    return at


@compiled
def _to_client(port: int, other: int, serves: NDArray[np.bool_]) -> bool:
    """Tell whether a service's port speaks to a client's."""
    return (port < 1024 and other >= 1024) or (serves[port] and not serves[other] and other >= 1024)


@compiled
def _low_first(e: NDArray[np.int64], serves: NDArray[np.bool_]) -> bool:
    """Tell whether the low end spoke first; a service's port, then the smaller port, breaks a tie."""
    low, high = e[_LOW_SENT + _FIRST], e[_HIGH_SENT + _FIRST]
    if low != high:
        return low < high
    low_port, high_port = e[_LOW] & 0xFFFF, e[_HIGH] & 0xFFFF
    if serves[low_port] != serves[high_port]:
        return serves[high_port]
    return high_port <= low_port


@compiled
def _judge_spoken(e: NDArray[np.int64], serves: NDArray[np.bool_]) -> int:
    """Judge a conversation of which only times and ports tell; see `_judge`."""
    low_port, high_port = e[_LOW] & 0xFFFF, e[_HIGH] & 0xFFFF
    heard = e[_STATE] & (_HEARD_LOW | _HEARD_HIGH)
    if heard == _HEARD_LOW | _HEARD_HIGH:
        low = _low_first(e, serves)
        if _to_client(low_port if low else high_port, high_port if low else low_port, serves):
            low = not low
        return _ANSWERED << 1 | low
    low = heard == _HEARD_LOW
    if _to_client(low_port if low else high_port, high_port if low else low_port, serves):
        return _NO_ATTEMPT << 1 | low
    return _UNANSWERED << 1 | low


@compiled
def _judge_lone(flags: int, packets: int, port: int, other: int, serves: NDArray[np.bool_]) -> int:
    """Return what a lone half of a TCP conversation is, as a state."""
    if flags & _SYN and not flags & _ACK:
        return _NO_ATTEMPT if flags & _RST and packets == 1 else _UNANSWERED
    if flags & _SYN:  # a SYN-ACK, or all of a conversation or-ed
        if packets != 1 and _to_client(other, port, serves):
            return _ANSWERED  # who acknowledges was answered, seen or not
        return _NO_ATTEMPT
    if flags & _RST:
        return _NO_ATTEMPT
    if not flags & _ACK:
        return _UNANSWERED  # a FIN or Xmas probe
    probe = not flags & _PSH and 0 < packets <= _PROBE_PACKETS and not _to_client(port, other, serves)
    return _UNANSWERED if probe else _NO_ATTEMPT


@compiled
def _probed(flags: int, packets: int, answer: int) -> bool:
    """Tell whether a half without SYN is a probe that the other half, a reset or one of unknown flags, refuses."""
    if flags & _RST or answer & ~(_RST | _ACK) or (answer and not answer & _RST):
        return False
    if not flags & _ACK:
        return True
    return answer != 0 and not flags & _PSH and 0 < packets <= _PROBE_PACKETS


@compiled
def _low_begins(e: NDArray[np.int64], low: int, high: int, serves: NDArray[np.bool_]) -> int:
    """Return whether the low end began a TCP conversation of two halves with these flags, or -1: nobody did."""
    low_syn, high_syn = low & _SYN != 0, high & _SYN != 0
    low_pure, high_pure = low_syn and not low & _ACK, high_syn and not high & _ACK
    if low_pure != high_pure:
        return low_pure
    if low_syn or high_syn:
        if low_syn != high_syn:
            answer, other = (low, high) if low_syn else (high, low)
            if answer & 0x3F == _SYN | _ACK and other & _RST:
                return -1  # somebody's SYN-ACK came to a host that did not ask, and was reset
        elif not low_pure:
            # A SYN-ACK by itself answers, whatever the times say.
            low_answers = low & 0x3F == _SYN | _ACK and e[_LOW_SENT + _PACKETS] == 1
            high_answers = high & 0x3F == _SYN | _ACK and e[_HIGH_SENT + _PACKETS] == 1
            if low_answers != high_answers:
                return high_answers
        return _low_first(e, serves)
    if _probed(low, e[_LOW_SENT + _PACKETS], high):
        return 1
    return 0 if _probed(high, e[_HIGH_SENT + _PACKETS], low) else -1


@compiled
def _judge(e: NDArray[np.int64], serves: NDArray[np.bool_]) -> int:
    """Return the state of a conversation << 1, and whether the low end began it, or is the one that spoke."""
    state = e[_STATE]
    heard_low, heard_high = state & _HEARD_LOW != 0, state & _HEARD_HIGH != 0
    both = heard_low and heard_high
    protocol = state >> _PROTOCOL_SHIFT
    low, high = e[_LOW_SENT + _FLAGS] & 0xFF, e[_HIGH_SENT + _FLAGS] & 0xFF
    low_port, high_port = e[_LOW] & 0xFFFF, e[_HIGH] & 0xFFFF
    if (e[_LOW_SENT + _FLAGS] | e[_HIGH_SENT + _FLAGS]) & _GROUP:
        return _NO_ATTEMPT << 1 | heard_low
    if state & (_DIRECTED_LOW | _DIRECTED_HIGH):
        began = 1 if state & _DIRECTED_LOW else 0
        if state & _REFUSED_BIT:
            return _REFUSED << 1 | began
        if not both:
            return _UNANSWERED << 1 | began
    elif protocol > _UDP:
        began = 1 if low_port == 0 else 0  # a request goes from port 0 to its type
        if not (heard_low if began else heard_high):
            return _NO_ATTEMPT << 1 | heard_low
        return (_ANSWERED if both else _UNANSWERED) << 1 | began
    elif protocol == _UDP or (low == 0 and high == 0):
        return _judge_spoken(e, serves)
    elif not both:
        if heard_low:
            return _judge_lone(low, e[_LOW_SENT + _PACKETS], low_port, high_port, serves) << 1 | 1
        return _judge_lone(high, e[_HIGH_SENT + _PACKETS], high_port, low_port, serves) << 1
    else:
        began = _low_begins(e, low, high, serves)
        if began < 0:
            return _NO_ATTEMPT << 1 | 1
    if protocol != _TCP:
        return _ANSWERED << 1 | began
    asked, answer = (low, high) if began else (high, low)
    shaken = asked & _SYN and asked & _ACK
    reset = answer & _RST and not answer & (_SYN | _PSH)
    unknown = answer == 0 and asked != 0  # the exporter does not tell the flags of the answer
    if not shaken and (reset or (unknown and not asked & (_ACK | _RST))):
        return _REFUSED << 1 | began
    return _ANSWERED << 1 | began


@compiled
def _tell(
    e: NDArray[np.int64],
    verdict: int,
    sampled: bool,
    row: int,
    out: NDArray[np.int64],
) -> int:
    """Write a conversation that is judged, and remember that; returns the next row."""
    low, state = verdict & 1, verdict >> 1
    here, there = (e[_LOW], e[_HIGH]) if low else (e[_HIGH], e[_LOW])
    sent, back = (_LOW_SENT, _HIGH_SENT) if low else (_HIGH_SENT, _LOW_SENT)
    heard = e[_STATE] & (_HEARD_LOW if low else _HEARD_HIGH) != 0
    heard_back = e[_STATE] & (_HEARD_HIGH if low else _HEARD_LOW) != 0
    out[row, TIME] = e[sent + _FIRST] if heard else e[back + _FIRST]
    out[row, END] = max(e[sent + _LAST], e[back + _LAST])
    out[row, SOURCE] = here >> 16
    out[row, TARGET] = there >> 16
    out[row, SOURCE_PORT] = here & 0xFFFF
    out[row, TARGET_PORT] = there & 0xFFFF
    out[row, PROTOCOL] = e[_STATE] >> _PROTOCOL_SHIFT
    out[row, PACKETS] = e[sent + _PACKETS] if heard else 0
    out[row, RETURNED] = e[back + _PACKETS] if heard_back else (-1 if sampled else 0)
    out[row, FLAGS] = e[sent + _FLAGS]
    out[row, RETURNED_FLAGS] = e[back + _FLAGS]
    out[row, STATE] = _OPEN if sampled and state == _UNANSWERED else state
    out[row, DIRECTED] = True
    e[_STATE] |= _DECIDED
    if state == _NO_ATTEMPT:
        e[_STATE] |= _TOLD_NOTHING
    else:
        e[_STATE] &= ~_TOLD_NOTHING
        if state == _ANSWERED or state == _REFUSED:
            e[_STATE] |= _TOLD_ANSWER
    return row + 1


@compiled
def settle(
    until: int,
    free: int,
    serves: NDArray[np.bool_],
    sampled: bool,
    waiting: NDArray[np.int64],
    cursor: NDArray[np.int64],
    young: NDArray[np.int64],
    old: NDArray[np.int64],
    row: int,
    out: NDArray[np.int64],
) -> int:
    """Decide on the halves that have waited since before `until`, and on more until `free` places are free.

    The output needs a place for each that waits. Returns the rows written.
    """
    while cursor[WAITING] > 0:
        oldest = waiting[cursor[HEAD]]
        if oldest[1] >= until and len(waiting) - cursor[WAITING] >= free:
            break
        cursor[HEAD] = (cursor[HEAD] + 1) % len(waiting)
        cursor[WAITING] -= 1
        table = young
        at = _find(young, oldest[0])
        if young[at, KEY] == 0:
            table = old
            at = _find(old, oldest[0])
        e = table[at]
        if e[KEY] == 0 or e[_SERIAL] != oldest[2] or e[_STATE] & (_DECIDED | _MOVED):
            continue
        if oldest[1] >= until:
            cursor[HURRIED] += 1
        row = _tell(
            e,
            _judge(e, serves),
            sampled,
            row,
            out,
        )
    return row


@compiled
def give_up(
    table: NDArray[np.int64],
    serves: NDArray[np.bool_],
    sampled: bool,
    cursor: NDArray[np.int64],
    row: int,
    out: NDArray[np.int64],
) -> int:
    """Decide on all halves of a table that is about to be cleared; returns the rows written."""
    for at in range(len(table)):
        e = table[at]
        if e[KEY] != 0 and not e[_STATE] & (_DECIDED | _MOVED):
            cursor[HURRIED] += 1
            row = _tell(
                e,
                _judge(e, serves),
                sampled,
                row,
                out,
            )
    return row


@compiled
def move(small: NDArray[np.int64], large: NDArray[np.int64]) -> None:
    """Copy all conversations of a table into a larger, empty one."""
    for at in range(len(small)):
        if small[at, KEY] != 0:
            large[_find(large, small[at, KEY])] = small[at]


@compiled
def _hear(e: NDArray[np.int64], side: int, bit: int, first: int, last: int, packets: int, flags: int) -> None:
    """Add what one end sent to a conversation."""
    if e[_STATE] & bit:
        e[side + _FIRST] = min(e[side + _FIRST], first)
        e[side + _LAST] = max(e[side + _LAST], last)
        e[side + _PACKETS] = -1 if packets < 0 or e[side + _PACKETS] < 0 else e[side + _PACKETS] + packets
        e[side + _FLAGS] |= flags
    else:
        e[_STATE] |= bit
        e[side + _FIRST] = first
        e[side + _LAST] = last
        e[side + _PACKETS] = packets
        e[side + _FLAGS] = flags


@compiled
def _is_another(e: NDArray[np.int64], bit: int, first: int, flags: int, gap: int) -> bool:
    """Tell whether a half begins another conversation of the same ends, after one that is decided."""
    last = max(e[_LOW_SENT + _LAST], e[_HIGH_SENT + _LAST])
    if first <= last:
        return False
    if e[_STATE] >> _PROTOCOL_SHIFT == _TCP and flags & 0xFF:
        # What was not heard of until now is the other half, if it is near.
        return flags & _SYN != 0 and (e[_STATE] & bit != 0 or first > last + gap)
    return e[_STATE] & _TOLD_ANSWER == 0 and first > last + gap


@compiled
def follow(
    begin: int,
    flows: NDArray[np.int64],
    serves: NDArray[np.bool_],
    sampled: bool,
    wait: int,
    gap: int,
    waiting: NDArray[np.int64],
    cursor: NDArray[np.int64],
    young: NDArray[np.int64],
    old: NDArray[np.int64],
    used: int,
    rotate_after: int,
    row: int,
    out: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Follow records from `begin` on, until the end or until a young table has to be begun.

    That is when it is half full, or the latest end seen is later than `rotate_after`. The output needs two places
    for each record and one for each half that waits. Returns the record to go on with, used slots of the young
    table, rows written, and why it ended.
    """
    i = begin
    while i < len(flows):
        if used * 2 > len(young) or cursor[CLOCK] > rotate_after:
            return i, used, row, ROTATE
        r = flows[i]
        cursor[CLOCK] = max(cursor[CLOCK], r[END])
        if cursor[WAITING] > 0:
            row = settle(
                cursor[CLOCK] - wait,
                1,
                serves,
                sampled,
                waiting,
                cursor,
                young,
                old,
                row,
                out,
            )
        here = r[SOURCE] << 16 | r[SOURCE_PORT]
        there = r[TARGET] << 16 | r[TARGET_PORT]
        low_sends = here <= there
        low, high = (here, there) if low_sends else (there, here)
        mixed = mix64(np.int64(mix64(low)) + high)
        key = np.int64(mixed ^ (np.uint64(r[PROTOCOL]) + np.uint64(1)))
        if key == 0:
            key = np.int64(1)
        at = _find(young, key)
        if young[at, KEY] == 0:
            before = _find(old, key)
            if old[before, KEY] != 0:
                young[at] = old[before]
                old[before, _STATE] |= _MOVED
            else:
                young[at] = 0
                young[at, KEY] = key
                young[at, _STATE] = r[PROTOCOL] << _PROTOCOL_SHIFT
                young[at, _LOW] = low
                young[at, _HIGH] = high
            used += 1
        e = young[at]
        if low_sends:
            mine, my_bit, its, its_bit = _LOW_SENT, _HEARD_LOW, _HIGH_SENT, _HEARD_HIGH
        else:
            mine, my_bit, its, its_bit = _HIGH_SENT, _HEARD_HIGH, _LOW_SENT, _HEARD_LOW
        if e[_STATE] & _DECIDED and _is_another(e, my_bit, r[TIME], r[FLAGS], gap):
            e[_STATE] = r[PROTOCOL] << _PROTOCOL_SHIFT
            e[_LOW_SENT : _HIGH_SENT + 4] = 0
            e[_SERIAL] = 0
        heard = e[_STATE] & (_HEARD_LOW | _HEARD_HIGH)
        _hear(e, mine, my_bit, r[TIME], r[END], r[PACKETS], r[FLAGS])
        if r[RETURNED] > 0:
            _hear(e, its, its_bit, r[TIME], r[END], r[RETURNED], r[RETURNED_FLAGS])
        if r[STATE] == _REFUSED:
            e[_STATE] |= _REFUSED_BIT
        if r[DIRECTED] and e[_STATE] & (_DIRECTED_LOW | _DIRECTED_HIGH) == 0:
            e[_STATE] |= _DIRECTED_LOW if low_sends else _DIRECTED_HIGH
        both = e[_STATE] & (_HEARD_LOW | _HEARD_HIGH) == _HEARD_LOW | _HEARD_HIGH
        tell = False
        verdict = 0
        if not e[_STATE] & _DECIDED:
            if both or e[_STATE] & _REFUSED_BIT:
                tell = True
                verdict = _judge(e, serves)
            elif heard == 0:
                cursor[SERIAL] += 1
                e[_SERIAL] = cursor[SERIAL]
                last = (cursor[HEAD] + cursor[WAITING]) % len(waiting)
                waiting[last, 0] = key
                waiting[last, 1] = cursor[CLOCK]
                waiting[last, 2] = cursor[SERIAL]
                cursor[WAITING] += 1
        elif both and heard != _HEARD_LOW | _HEARD_HIGH and not e[_STATE] & _TOLD_ANSWER:
            verdict = _judge(e, serves)
            later = verdict >> 1
            if later == _ANSWERED or (e[_STATE] & _TOLD_NOTHING and later != _NO_ATTEMPT):
                tell = True
                cursor[LATE] += 1
        if tell:
            row = _tell(
                e,
                verdict,
                sampled,
                row,
                out,
            )
        i += 1
    return i, used, row, DONE
