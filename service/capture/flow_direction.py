"""Which end of a flow began it: records of flows become attempts, as `service.capture.direction` does for packets.

A record that names its beginner (Zeek, Suricata, Argus, a table) is taken at its word, and what became of the
attempt is read from its state; where the state is left open, from flags and packets:

===================================================  ===============================================
TCP, the source's flags                              what it is
===================================================  ===============================================
SYN, and the target sent a SYN or anything but RST   answered attempt; with RST and no ACK, it hung up
SYN and ACK: who acknowledges was answered           answered attempt, also where one side is seen
SYN, and the target sent RST                         refused attempt
SYN                                                  unanswered attempt
FIN without ACK (FIN, Xmas probes)                   attempt; refused by RST, else unanswered
nothing (NULL probe), and the target sent RST        refused attempt
ACK, perhaps FIN, at most three packets, and         attempt
nothing or RST came back
anything else                                        no attempt: the middle of a conversation
===================================================  ===============================================

Where no flags are known, and of UDP, ICMP and ARP, packets that came back are an answer. A single direction of UDP,
or of TCP without flags, from a service to a client's port is an answer that was captured alone, and begins
nothing; neither do group addresses.

Records of one direction (NetFlow, VPC) do not say who began: a `Joiner` puts the two directions together first;
by default that is `service.capture.flow_pairs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from service.capture.batch import AttemptBatch, FlowBatch, FlowState, Outcome, take
from service.capture.direction import DHCP, SECOND, known_services
from service.capture.flags import ACK, FIN, PSH, RST, SYN, URG
from service.capture.flow_pairs import FlowPairs, PairSpec
from service.capture.kernels.headers import GROUP
from service.capture.services import Protocol as Transport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

MOST_TRIES = 16
"""A flow without an answer counts as at most so many attempts: more say nothing new, and would cost memory."""
LOG_PAIRS = PairSpec(wait=300 * SECOND, memory=600 * SECOND)
"""A file of AWS covers five minutes, its records in no order."""

_FEW = 3
"""Packets of a bare ACK's retries."""
_TCP_FLAGS = 0x3F
_WEB = (80, 443)


class Joiner(Protocol):
    """Puts the two directions of a conversation together, in bounded memory."""

    def join(self, flows: FlowBatch) -> FlowBatch:
        """Take records of one direction, and return those that are decided: each directed, from its beginner."""
        ...

    def finish(self) -> FlowBatch:
        """Return what was still waiting for its other direction, at the end of the traffic."""
        ...


class FlowDirection:
    """Turns the flows of one sensor into attempts, batch by batch."""

    def __init__(self, joiner: Joiner | None = None) -> None:
        self._joiner = joiner or FlowPairs(LOG_PAIRS)

    def follow(self, flows: FlowBatch) -> list[AttemptBatch]:
        """Return the attempts that flows are, and what became of them."""
        directed = np.flatnonzero(flows.directed)
        if len(directed) == len(flows):
            return [attempts_of(flows)]
        joined = self._joiner.join(take(flows, np.flatnonzero(~flows.directed)))
        return [attempts_of(take(flows, directed)), attempts_of(joined)]

    def finish(self) -> AttemptBatch:
        """Return the attempts that were still waiting, at the end of the traffic."""
        return attempts_of(self._joiner.finish())


def attempts_of(flows: FlowBatch) -> AttemptBatch:
    """Return the attempts of directed flows, each followed by what became of it.

    An unanswered or refused attempt counts once for each packet, up to `MOST_TRIES`, as its SYNs in a capture do;
    so do ICMP and ARP, whose every request is one. An answered one counts once.
    """
    state = states(flows)
    begun = np.flatnonzero(state != FlowState.NO_ATTEMPT)
    flows, state = take(flows, begun), state[begun]
    asks = flows.protocol >= Transport.ICMP
    tries = np.where((state == FlowState.ANSWERED) & ~asks, 1, np.clip(flows.packets, 1, MOST_TRIES))
    outcome = np.full(len(flows), Outcome.ATTEMPT, dtype=np.uint8)
    outcome[state == FlowState.ANSWERED] = Outcome.ANSWERED
    outcome[state == FlowState.REFUSED] = Outcome.REFUSED
    told = np.flatnonzero(outcome != Outcome.ATTEMPT)
    hung_up = np.flatnonzero((outcome == Outcome.ANSWERED) & _hangs_up(flows))
    rows = np.concatenate([np.repeat(np.arange(len(flows)), tries), told, hung_up])
    fates = np.concatenate([outcome[told], np.full(len(hung_up), Outcome.HUNG_UP, np.uint8)])
    outcomes = np.concatenate([np.full(int(tries.sum()), Outcome.ATTEMPT, dtype=np.uint8), fates])
    return AttemptBatch(
        time=flows.time[rows],
        source=flows.source[rows],
        target=flows.target[rows],
        service=(flows.protocol.astype(np.int32) << 16 | flows.target_port)[rows],
        outcome=outcomes,
    )


def _hangs_up(flows: FlowBatch) -> Bools:
    """Tell which flows are a SYN, the target's SYN, and a RST that comes back from the source at once.

    Of the web they could be browsers', which open to both families of addresses (RFC 8305): flags do not tell more.
    """
    sent = flows.flags & (_TCP_FLAGS & ~URG) == SYN | RST
    agreed = (flows.returned_flags & SYN != 0) & (flows.returned_flags & (FIN | PSH) == 0)
    web = np.isin(flows.target_port, _WEB)
    found: Bools = (flows.protocol == Transport.TCP) & sent & agreed & ~web
    return found


def states(flows: FlowBatch) -> NDArray[np.uint8]:
    """Return the `FlowState` of each directed flow, shape (n,): never `FlowState.OPEN`."""
    state = np.where(flows.state == FlowState.OPEN, _told_by_packets(flows), flows.state)
    tcp = flows.protocol == Transport.TCP
    flagged = (flows.flags | flows.returned_flags) & _TCP_FLAGS != 0
    by_flags = (flows.state == FlowState.OPEN) & tcp & flagged
    if by_flags.any():
        state = np.where(by_flags, _told_by_flags(flows), state)
    lone_answer = (state == FlowState.UNANSWERED) & from_service(flows) & ~(tcp & flagged)
    lone_answer &= (flows.state != FlowState.UNANSWERED) | ~tcp  # of TCP, such a state was told by flags
    state = np.where(lone_answer | (flows.flags & GROUP != 0), FlowState.NO_ATTEMPT, state)
    return state.astype(np.uint8)


def from_service(flows: FlowBatch) -> Bools:
    """Tell flows of TCP and UDP that come from a service's port and go to a client's, as answers do."""
    low = (flows.source_port < 1024) & (flows.target_port >= 1024)
    known = known_services()
    udp = known[flows.source_port] & ~known[flows.target_port] & (flows.target_port >= 1024)
    for server, client in DHCP:
        udp |= (flows.source_port == server) & (flows.target_port == client)
    return np.asarray(((flows.protocol == Transport.TCP) & low) | ((flows.protocol == Transport.UDP) & (low | udp)))


def _told_by_packets(flows: FlowBatch) -> NDArray[np.uint8]:
    return np.where(flows.returned > 0, FlowState.ANSWERED, FlowState.UNANSWERED).astype(np.uint8)


def _told_by_flags(flows: FlowBatch) -> NDArray[np.uint8]:
    """Return the state of flows over TCP whose flags are known; see the table above."""
    sent, back = flows.flags & _TCP_FLAGS, flows.returned_flags & _TCP_FLAGS
    reset = back & RST != 0
    only_reset = reset & (back & ~np.uint16(RST | ACK) == 0)
    silent = (back == 0) & (flows.returned <= 0)
    answered = (sent & ACK != 0) | (back & SYN != 0) | (~silent & ~reset)
    syn = np.where(answered, FlowState.ANSWERED, np.where(reset, FlowState.REFUSED, FlowState.UNANSWERED))
    unasked = np.where(only_reset, FlowState.REFUSED, np.where(silent, FlowState.UNANSWERED, FlowState.NO_ATTEMPT))
    probe = (sent & FIN != 0) & (sent & ~np.uint16(FIN | PSH | URG) == 0)
    null = (sent == 0) & (flows.packets > 0) & only_reset
    few = (flows.packets > 0) & (flows.packets <= _FEW)
    bare = (sent & ACK != 0) & (sent & ~np.uint16(ACK | FIN) == 0) & few & ~from_service(flows)
    bare &= only_reset | (silent & (flows.returned == 0))
    other = np.where(probe | null | bare, unasked, FlowState.NO_ATTEMPT)
    return np.where(sent & SYN != 0, syn, other).astype(np.uint8)
