"""Which end began the conversation: packets become attempts and their outcomes.

A conversation is found by a fingerprint of its protocol and both ends, of 49 bits. A table is an array of shape
(slots, 2), four slots in a line of the cache: fingerprint (0: free) above the state's bits; time of the latest
attempt. Two generations are kept: what is not found in the young one is looked up in the old one and moved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled

_KEY, _BEGAN = 0, 1

# State bits.
_LOW_BEGAN = 1  # the end with the smaller (host, port) began
_ANSWERED = 2
_REFUSED = 4
_PENDING = 8  # a bare ACK: an attempt only if nothing follows
_SILENT = 16  # begun before the capture did, or only its answers are seen: no attempt
_PROBE = 32  # begun by a TCP packet that begins nothing honest: FIN, NULL, Xmas
_PACKET = 64  # two bits: packets while pending
_PACKETS = 3 * _PACKET
_TOOLS = 8  # from this bit on, six bits: the tools' marks of a pending one
_MET = 1 << 14  # the end that began went on, or has hung up, after it was answered
# Of one that a SYN began, which never waits, the same bits say:
_SPOKE = 64  # the end that began sent data, or its leaving was told
_LEFT = 128  # the other end was the first to close
_BARE = 256  # the SYN offered nothing
_STATE_BITS = 15
_STATE = (1 << _STATE_BITS) - 1
_FINGERPRINT = ~_STATE

_FIN, _SYN, _RST, _PSH, _ACK, _URG = 1, 2, 4, 8, 16, 32
_PAYLOAD, _GROUP, _MARKS = 1 << 8, 1 << 9, 10  # service.capture.kernels.headers
_SHOWN, _ALONE, _TOOL_BITS = 1 << 5, 1 << 6, 31  # service.capture.tools.Marks
_OFFERS_NOTHING = 1 << 15  # service.capture.kernels.headers.BARE
_TCP, _UDP, _REQUEST, _REPLY, _UNREACHABLE = 0, 1, 2, 3, 4
_ATTEMPT_ROW, _ANSWERED_ROW, _REFUSED_ROW, _EXPIRED_ROW, _HUNG_UP_ROW, _EMPTY_ROW = 0, 1, 2, 3, 4, 5
"""batch.Outcome"""

_PENDING_PACKETS = 3  # retries of a bare ACK; more is an honest conversation seen from one side

_AHEAD = 128

DONE, ROTATE = 0, 1

HEAD, WAITING, ASKED = 0, 1, 2
"""Fields of the cursor: of the ring of bare ACKs the oldest one, and how many there are; whether anyone has asked
a group."""

_BRIEF = 15_000_000_000
"""ns within which a connection has to be over that says who answers, and no more."""
_HTTP, _HTTPS = 80, 443
_DHCP, _DHCP_CLIENT, _DHCP6, _DHCP6_CLIENT = 67, 68, 547, 546


@compiled
def _find(table: NDArray[np.int64], key: int) -> int:
    """Return the slot of a conversation, or of the free place where it belongs."""
    mask = len(table) - 1
    at = key >> _STATE_BITS & mask
    while table[at, _KEY] != 0 and table[at, _KEY] & _FINGERPRINT != key:
        at = (at + 1) & mask
    return at


@compiled
def _fingerprint(mixed: np.uint64) -> int:
    key = np.int64(mixed) & _FINGERPRINT
    return key if key != 0 else np.int64(1 << _STATE_BITS)


@compiled
def _look_ahead(
    first: int,
    source: NDArray[np.uint32],
    target: NDArray[np.uint32],
    source_port: NDArray[np.uint16],
    target_port: NDArray[np.uint16],
    protocol: NDArray[np.uint8],
    young: NDArray[np.int64],
    keys: NDArray[np.int64],
) -> int:
    """Write the keys of the next packets, and have their places at hand; return the packet up to which that is so.

    The table is larger than the nearer caches: places that are asked for together arrive together.
    """
    last = min(first + len(keys) - 1, len(source))
    for i in range(first, last):
        here = np.int64(source[i]) << 16 | source_port[i]
        there = np.int64(target[i]) << 16 | target_port[i]
        mixed = mix64(np.int64(mix64(min(here, there))) + max(here, there))
        keys[i - first] = _fingerprint(mixed ^ (np.uint64(protocol[i]) + np.uint64(1)) << np.uint64(_STATE_BITS))
    mask = len(young) - 1
    touched = np.int64(0)
    for i in range(last - first):  # a loop of its own, so short that many are under way at a time
        touched ^= young[keys[i] >> _STATE_BITS & mask, _KEY]
    keys[-1] = touched  # nobody asks for it; without it, nothing would be read
    return last


@compiled
def _asker(end: int) -> int:
    """Return the key that stands for a host's port which has asked a group."""
    return _fingerprint(mix64(np.int64(mix64(end)) - 1))


@compiled
def _asked(end: int, young: NDArray[np.int64], old: NDArray[np.int64]) -> bool:
    key = _asker(end)
    return young[_find(young, key), _KEY] != 0 or old[_find(old, key), _KEY] != 0


@compiled
def _begins(key: int, young: NDArray[np.int64], old: NDArray[np.int64]) -> bool:
    """Decide on a bare ACK whose time is over: it was an attempt if nothing followed it."""
    table = young
    at = _find(young, key)
    if young[at, _KEY] == 0:
        table = old
        at = _find(old, key)
    if not table[at, _KEY] & _PENDING:
        return False
    table[at, _KEY] = (table[at, _KEY] & ~_PENDING) | _PROBE
    return True


@compiled
def _is_web(protocol: int, port: int) -> bool:
    """Tell a service to which browsers open more connections than they need."""
    return protocol == _TCP and (port == _HTTP or port == _HTTPS)


@compiled
def _ends_empty(state: int, age: int) -> bool:
    """Tell whether whoever closes a connection just now opened it, was answered, and never said a word."""
    asked = state & (_ANSWERED | _REFUSED | _MET | _SPOKE | _LEFT | _SILENT | _PROBE | _PENDING)
    return asked == _ANSWERED | _MET and age <= _BRIEF


@compiled
def settle(
    until: int,
    free: int,
    pending: NDArray[np.int64],
    cursor: NDArray[np.int64],
    young: NDArray[np.int64],
    old: NDArray[np.int64],
    rows: int,
    out_time: NDArray[np.int64],
    out_source: NDArray[np.uint32],
    out_target: NDArray[np.uint32],
    out_service: NDArray[np.int32],
    out_outcome: NDArray[np.uint8],
    out_tools: NDArray[np.uint8],
) -> int:
    """Decide on the bare ACKs seen before `until`, and on more of the oldest until `free` places are free.

    The output needs a place for each that waits. Returns the rows written.
    """
    while cursor[WAITING] > 0:
        oldest = pending[cursor[HEAD]]
        if oldest[1] >= until and len(pending) - cursor[WAITING] >= free:
            break
        cursor[HEAD] = (cursor[HEAD] + 1) % len(pending)
        cursor[WAITING] -= 1
        if _begins(oldest[0], young, old):
            out_time[rows] = oldest[1]
            out_source[rows] = oldest[2]
            out_target[rows] = oldest[3]
            out_service[rows] = oldest[4]
            out_outcome[rows] = _ATTEMPT_ROW
            out_tools[rows] = oldest[5]
            rows += 1
    return rows


@compiled
def follow(
    first: int,
    time: NDArray[np.int64],
    source: NDArray[np.uint32],
    target: NDArray[np.uint32],
    source_port: NDArray[np.uint16],
    target_port: NDArray[np.uint16],
    protocol: NDArray[np.uint8],
    event: NDArray[np.uint8],
    flags: NDArray[np.uint16],
    serves: NDArray[np.bool_],
    young: NDArray[np.int64],
    old: NDArray[np.int64],
    used: int,
    rotate_after: int,
    pending: NDArray[np.int64],
    cursor: NDArray[np.int64],
    answer: int,
    rows: int,
    out_time: NDArray[np.int64],
    out_source: NDArray[np.uint32],
    out_target: NDArray[np.uint32],
    out_service: NDArray[np.int32],
    out_outcome: NDArray[np.uint8],
    out_tools: NDArray[np.uint8],
) -> tuple[int, int, int, int]:
    """Follow packets from `first` on, until the end or until a young table has to be begun.

    That is when it is half full, or a packet is later than `rotate_after`. `serves` says for each UDP port
    whether it is a known service's. A bare ACK waits `answer` ns for what follows it. The output needs three
    places for each packet and one for each ACK that waits.
    Returns the packet to go on with, used slots of the young table, rows written, and why it ended.
    """
    n = len(time)
    keys = np.empty(_AHEAD + 1, np.int64)
    i = begin = end = first
    while i < n:
        if i == end:
            begin, end = i, _look_ahead(i, source, target, source_port, target_port, protocol, young, keys)
        if used * 2 > len(young) or time[i] > rotate_after:
            return i, used, rows, ROTATE
        # Asked here first: the call takes longer than most of its answers.
        if cursor[WAITING] > 0 and (pending[cursor[HEAD], 1] < time[i] - answer or cursor[WAITING] == len(pending)):
            rows = settle(
                time[i] - answer,
                1,
                pending,
                cursor,
                young,
                old,
                rows,
                out_time,
                out_source,
                out_target,
                out_service,
                out_outcome,
                out_tools,
            )
        here = np.int64(source[i]) << 16 | source_port[i]
        there = np.int64(target[i]) << 16 | target_port[i]
        kind = event[i]
        flag = np.int64(flags[i])
        if flag & _GROUP:
            if kind == _UDP:  # who answers such a question, from whichever port, begins nothing
                key = _asker(here)
                at = _find(young, key)
                if young[at, _KEY] == 0:
                    used += 1
                young[at, _KEY] = key | _SILENT
                cursor[ASKED] = 1
            i += 1
            continue
        low_sends = here <= there
        key = keys[i - begin]
        at = _find(young, key)
        known = young[at, _KEY] != 0
        tools = flag >> _MARKS & _TOOL_BITS | _SHOWN
        syn = kind == _TCP and flag & (_SYN | _ACK | _RST) == _SYN
        # A SYN begins anew whatever was before: it need not be looked for.
        if not known and not syn:
            before = _find(old, key)
            if old[before, _KEY] != 0:
                young[at, _KEY] = old[before, _KEY]
                young[at, _BEGAN] = old[before, _BEGAN]
                used += 1
                known = True
        state = young[at, _KEY] & _STATE
        from_beginner = known and ((state & _LOW_BEGAN) != 0) == low_sends
        service = np.int64(protocol[i]) << 16 | target_port[i]
        attempt = False  # this packet's source tries to begin the conversation
        result = -1  # what this packet tells of the attempt before it
        begin_state = np.int64(_LOW_BEGAN if low_sends else 0)

        if kind == _TCP:
            if syn:
                attempt = True
                if not known and flag & _OFFERS_NOTHING == 0:
                    tools |= _ALONE
                state = begin_state | (_BARE if flag & _OFFERS_NOTHING else 0)
            elif flag & _SYN and flag & _ACK and not flag & _RST:
                if not known:  # the answer to an attempt that is not in the capture
                    state = _SILENT | (0 if low_sends else _LOW_BEGAN)
                elif state & _PENDING:
                    state = (state & ~_PENDING) | _SILENT
                elif not from_beginner:
                    result = _ANSWERED_ROW
            elif flag & _RST:
                if known and not from_beginner:
                    result = _REFUSED_ROW
                    if state & _PENDING == 0:
                        state |= _LEFT
                elif not known:
                    i += 1
                    continue
                elif state & (_ANSWERED | _MET | _PROBE) == _ANSWERED:
                    # A browser hangs up on the slower of two (RFC 8305), but its system's SYN says more.
                    if state & _BARE or not _is_web(np.int64(protocol[i]), np.int64(target_port[i])):
                        result = _HUNG_UP_ROW
                elif _ends_empty(state, time[i] - young[at, _BEGAN]):
                    if not _is_web(np.int64(protocol[i]), np.int64(target_port[i])):
                        result = _EMPTY_ROW
            elif not known:
                if flag & (_ACK | _SYN) == 0 and (flag & _FIN or flag & 0x3F == 0) and not flag & _PAYLOAD:
                    attempt = True
                    state = begin_state | _PROBE
                elif flag & _PAYLOAD or (source_port[i] < 1024 and target_port[i] >= 1024):
                    state = begin_state | _SILENT
                else:
                    state = begin_state | _PENDING
            elif from_beginner:
                if state & _PENDING:
                    state += _PACKET
                    if flag & _PAYLOAD or state & _PACKETS == _PENDING_PACKETS * _PACKET:
                        state = (state & ~_PENDING) | _SILENT
                elif state & _PROBE and not flag & _ACK:
                    attempt = True  # a FIN, NULL or Xmas probe again, with an outcome of its own
                    state &= ~(_ANSWERED | _REFUSED)
                elif flag & _ACK and state & (_SILENT | _PROBE) == 0:
                    state |= _MET
                    if flag & _PAYLOAD:
                        state |= _SPOKE
                    if state & _REFUSED == 0:
                        result = _ANSWERED_ROW  # who acknowledges was answered, seen or not
                    if flag & _FIN and _ends_empty(state, time[i] - young[at, _BEGAN]):
                        if not _is_web(np.int64(protocol[i]), np.int64(target_port[i])):
                            result = _EMPTY_ROW
            elif state & _PENDING:
                state = (state & ~_PENDING) | _SILENT
            else:
                result = _ANSWERED_ROW
                if flag & _FIN:
                    state |= _LEFT
        elif kind == _UDP:
            if known:
                if not from_beginner:
                    result = _ANSWERED_ROW
                elif state & (_SILENT | _ANSWERED) == 0:
                    attempt = True
                    state &= ~_REFUSED
            else:
                a, b = source_port[i], target_port[i]
                # No server's answer is empty: those that seem to be try which ports let DNS's answers through.
                if (a >= 1024 or flag & _OFFERS_NOTHING == 0) and (
                    (a < 1024 and b >= 1024)
                    or (serves[a] and not serves[b] and b >= 1024)
                    or (a == _DHCP and b == _DHCP_CLIENT)
                    or (a == _DHCP6 and b == _DHCP6_CLIENT)
                    # A sweep of the port from which hosts ask groups comes from another one than that.
                    or (cursor[ASKED] and (not serves[b] or a == b) and _asked(there, young, old))
                ):
                    state = _SILENT | (0 if low_sends else _LOW_BEGAN)
                else:
                    attempt = True
                    state = begin_state
        elif kind == _REQUEST:
            attempt = True
            state = begin_state
        elif kind == _REPLY:
            if not known:
                i += 1
                continue
            if not from_beginner:
                result = _ANSWERED_ROW
        else:  # an ICMP error; its columns are those of the packet that it quotes
            if not from_beginner:
                i += 1
                continue
            result = _REFUSED_ROW if kind == _UNREACHABLE else _EXPIRED_ROW

        if not known:
            used += 1
        if attempt:
            young[at, _BEGAN] = time[i]
            out_time[rows] = time[i]
            out_source[rows] = source[i]
            out_target[rows] = target[i]
            out_service[rows] = service
            out_outcome[rows] = _ATTEMPT_ROW
            out_tools[rows] = tools
            rows += 1
        elif state & _PENDING and not known:
            young[at, _BEGAN] = time[i]
            last = (cursor[HEAD] + cursor[WAITING]) % len(pending)
            pending[last, 0] = key
            pending[last, 1] = time[i]
            pending[last, 2] = source[i]
            pending[last, 3] = target[i]
            pending[last, 4] = service
            pending[last, 5] = tools
            state |= tools << _TOOLS
            cursor[WAITING] += 1
        elif result >= 0 and state & _SILENT == 0:
            mark = _ANSWERED if result == _ANSWERED_ROW else _REFUSED
            told = result == _HUNG_UP_ROW or result == _EMPTY_ROW
            if told:
                mark = _MET | _SPOKE
            if (kind == _TCP and not from_beginner) or kind == _UDP or kind == _REPLY:
                asker, asked, port = target[i], source[i], source_port[i]
            else:
                asker, asked, port = source[i], target[i], target_port[i]
            service = np.int64(protocol[i]) << 16 | port
            if state & _PENDING:  # a bare ACK that was refused is a probe
                state &= ~_PENDING
                out_time[rows] = young[at, _BEGAN]
                out_source[rows] = asker
                out_target[rows] = asked
                out_service[rows] = service
                out_outcome[rows] = _ATTEMPT_ROW
                out_tools[rows] = state >> _TOOLS
                rows += 1
            if state & (_ANSWERED | mark) == 0 or told:
                state |= mark
                out_time[rows] = young[at, _BEGAN]
                out_source[rows] = asker
                out_target[rows] = asked
                out_service[rows] = service
                out_outcome[rows] = result
                out_tools[rows] = 0
                rows += 1
        young[at, _KEY] = key | state
        i += 1
    return i, used, rows, DONE
