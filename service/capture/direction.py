"""Which end of a conversation began it: packets become attempts.

A SYN begins and a SYN-ACK answers; FIN, NULL and Xmas probes outside of a conversation begin; a bare ACK
begins only if nothing but a refusal follows it; of UDP the first packet begins, unless it comes from a service
to a client's port and holds anything, or goes to a port that has asked a group; a request of ICMP or ARP begins.
Resets, errors, lone answers and group addresses begin nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.capture.batch import AttemptBatch, PacketBatch, take
from service.capture.kernels import conversations as kernels

SECOND = 1_000_000_000

# UDP services above port 1023 whose servers talk to clients on ports of the same range: L2TP, RADIUS, SSDP,
# MSSQL browser, OpenVPN, STUN/TURN, WS-Discovery, IPsec NAT-T, SIP, mDNS, LLMNR, CoAP, memcached, WireGuard.
_UDP_SERVICES = (1194, 1434, 1701, 1812, 1813, 1900, 3478, 3702, 4500, 5060, 5353, 5355, 5683, 11211, 51820)


DHCP = ((67, 68), (547, 546))
"""Ports of servers and clients: both are below 1024, and clients ask all while they have no address."""


def known_services() -> NDArray[np.bool_]:
    """Return for each port, shape (65536,), whether it is a known service's."""
    serves = np.zeros(65536, dtype=np.bool_)
    serves[:1024] = True
    serves[list(_UDP_SERVICES)] = True
    return serves


@dataclass(frozen=True, slots=True)
class ConversationSpec:
    """Bounds of the table of conversations.

    Raises ValueError if `slots` is no power of two from 4 on, or `pending` is not positive.
    """

    slots: int = 1 << 18
    """Places in each of two generations, 16 bytes each; a generation holds half as many conversations."""
    idle: int = 300 * SECOND
    """A conversation is forgotten after one to two times this time without packets, ns."""
    answer: int = 3 * SECOND
    """How long an answer to a bare ACK is waited for, ns."""
    pending: int = 1 << 16
    """Bare ACKs that may wait for an answer at a time."""

    def __post_init__(self) -> None:
        if self.slots < 4 or self.slots & (self.slots - 1):  # with fewer, no place of a generation stays free
            raise ValueError(f"slots: {self.slots} is no power of two from 4 on")
        if self.pending < 1:
            raise ValueError(f"pending: {self.pending} is not positive")


class Conversations:
    """Follows the conversations of one sensor from batch to batch, in bounded memory."""

    def __init__(self, spec: ConversationSpec = ConversationSpec()) -> None:
        self._spec = spec
        self._young = np.zeros((spec.slots, 2), dtype=np.int64)
        self._old = np.zeros((spec.slots, 2), dtype=np.int64)
        self._used = 0
        self._pending = np.zeros((spec.pending, 6), dtype=np.int64)
        self._cursor = np.zeros(3, dtype=np.int64)
        self._began = 0
        self._serves = known_services()
        self.forgotten = 0
        """Conversations that were forgotten before they were idle for long enough, because the table was full."""

    def follow(self, packets: PacketBatch) -> AttemptBatch:
        """Return the attempts that the packets make, and the outcomes that they tell."""
        out = AttemptBatch.room(3 * len(packets) + int(self._cursor[kernels.WAITING]))
        at = rows = 0
        ended = kernels.ROTATE
        while ended == kernels.ROTATE:
            at, self._used, rows, ended = kernels.follow(
                at,
                packets.time,
                packets.source,
                packets.target,
                packets.source_port,
                packets.target_port,
                packets.protocol,
                packets.event,
                packets.flags,
                self._serves,
                self._young,
                self._old,
                self._used,
                self._began + self._spec.idle,
                self._pending,
                self._cursor,
                self._spec.answer,
                rows,
                out.time,
                out.source,
                out.target,
                out.service,
                out.outcome,
                out.tools,
            )
            if ended == kernels.ROTATE:
                now = int(packets.time[at])
                rows = self._settle(max(self._began, now - self._spec.answer), rows, out)
                self._rotate(now)
        return take(out, slice(rows))

    def finish(self) -> AttemptBatch:
        """Return the attempts that were still waiting for an answer, at the end of the capture."""
        out = AttemptBatch.room(int(self._cursor[kernels.WAITING]))
        return take(out, slice(self._settle(np.iinfo(np.int64).max, 0, out)))

    def _settle(self, until: int, rows: int, out: AttemptBatch) -> int:
        """Decide on the bare ACKs seen before a time, as long as their conversations are held; return the rows."""
        return kernels.settle(
            until,
            0,
            self._pending,
            self._cursor,
            self._young,
            self._old,
            rows,
            out.time,
            out.source,
            out.target,
            out.service,
            out.outcome,
            out.tools,
        )

    def _rotate(self, now: int) -> None:
        if now <= self._began + self._spec.idle:
            self.forgotten += int(np.count_nonzero(self._old[:, 0]))
        self._young, self._old = self._old, self._young
        self._young[:] = 0
        if now > self._began + 2 * self._spec.idle:  # nothing was heard for so long that the old are dead too
            self._old[:] = 0
        self._used = 0
        self._began = max(now, self._began)
