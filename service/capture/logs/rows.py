"""Columns of text become a batch of flows; rows that make no sense are counted and left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import UNKNOWN, FlowBatch, FlowState, take
from service.capture.kernels.headers import GROUP
from service.capture.logs import numbers
from service.capture.services import ARP_REQUEST, ECHO, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from service.capture.logs.addresses import AddressBook
    from service.capture.logs.tally import LineTally

    Texts = Sequence[str]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_PROTOCOLS = {
    **dict.fromkeys(("tcp", "6"), Protocol.TCP),
    **dict.fromkeys(("udp", "17"), Protocol.UDP),
    **dict.fromkeys(("icmp", "1"), Protocol.ICMP),
    **dict.fromkeys(("icmp6", "icmpv6", "ipv6-icmp", "58"), Protocol.ICMP6),
    "arp": Protocol.ARP,
}
_NUMBERS = {"gre": "47", "esp": "50", "ah": "51", "igmp": "2", "sctp": "132", "ospf": "89", "pim": "103"}
_OTHER = 255
# Types of requests, with the number of their service and the type of the reply; see service.capture.services.
_REQUESTS = {ECHO: (ECHO, 0), 13: (13, 14), 15: (15, 16), 17: (17, 18)}
_REQUESTS6 = {128: (ECHO, 129), ECHO: (ECHO, -1)}  # the latter is how we write it ourselves


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """The two ends of n flows, as text."""

    source: Texts
    target: Texts
    source_port: Texts | None
    target_port: Texts | None
    """Either may be unset where the protocol has no ports."""


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """What n records say about their flows, beside who and when."""

    state: NDArray[np.uint8]
    """`FlowState`"""
    directed: Bools
    flags: NDArray[np.uint16]
    returned_flags: NDArray[np.uint16]
    packets: Ints
    returned: Ints

    @classmethod
    def silent(cls, n: int, *, directed: bool) -> Story:
        """Return records that say nothing yet."""
        return cls(
            state=np.full(n, FlowState.OPEN, dtype=np.uint8),
            directed=np.full(n, directed, dtype=np.bool_),
            flags=np.zeros(n, dtype=np.uint16),
            returned_flags=np.zeros(n, dtype=np.uint16),
            packets=np.full(n, UNKNOWN, dtype=np.int64),
            returned=np.full(n, UNKNOWN, dtype=np.int64),
        )


class Rows:
    """The records of a block of lines while they are read: each step may leave some of them out."""

    def __init__(
        self, lines: Ints, book: AddressBook, tally: LineTally, *, targets: AddressBook | None = None
    ) -> None:
        self.lines = lines
        """Line numbers, shape (n,)."""
        self._sources = book
        self._targets = targets or book
        self._tally = tally
        self._kept = np.ones(len(lines), dtype=np.bool_)

    def refuse(self, wrong: Bools, reason: str) -> None:
        """Leave out records that make no sense."""
        wrong = wrong & self._kept
        if wrong.any():
            self._tally.bad(reason, self.lines[wrong])
            self._kept &= ~wrong

    def skip(self, which: Bools, reason: Callable[[int], str]) -> None:
        """Leave out good records that are not followed; `reason` names that of a row."""
        which = which & self._kept
        if which.any():
            found = np.flatnonzero(which).tolist()
            self._tally.good += len(found)
            self._tally.skip(map(reason, found))
            self._kept &= ~which

    def times(self, texts: Texts, name: str) -> Ints:
        """Read times that must be there, ns since the epoch."""
        column = numbers.times(texts)
        self.refuse(~column.known, f"{name} is no time")
        return column.values

    def durations(self, texts: Texts, name: str, places: int = 9) -> Ints:
        """Read decimals in units of ``10 ** -places``, by default seconds as ns, or 0 where unset."""
        column = numbers.decimals(texts, places)
        self.refuse(~column.known & ~column.unset, f"{name} is no number")
        return column.values

    def counts(self, texts: Texts, name: str) -> Ints:
        """Read whole numbers, `UNKNOWN` where unset."""
        column = numbers.decimals(texts, 0)
        self.refuse(~column.known & ~column.unset, f"{name} is no number")
        return np.where(column.known, column.values, UNKNOWN)

    def protocols(self, texts: Texts, name: str) -> NDArray[np.uint8]:
        """Read protocols by name or number; those that are not followed are left out."""
        lowered = [text.strip().lower() for text in texts]
        found = np.array([_PROTOCOLS.get(text, _OTHER) for text in lowered], dtype=np.uint8)
        self.refuse(np.array([text in ("", "-") for text in lowered], dtype=np.bool_), f"{name} is missing")
        self.skip(found == _OTHER, lambda row: f"ip_protocol/{_NUMBERS.get(lowered[row], lowered[row])}")
        return found

    def batch(
        self,
        time: Ints,
        end: Ints,
        protocol: NDArray[np.uint8],
        ends: Ends,
        story: Story,
        *,
        replies: bool = False,
    ) -> FlowBatch:
        """Return the records that are left.

        The target's port of ICMP is the type of the message, or unset for an echo request. With `replies` those are
        kept, and go back from the number of the service to port 0, as in `PacketBatch`.
        """
        sources, targets = self._sources.look_up(ends.source), self._targets.look_up(ends.target)
        self.refuse(~sources.known, "the source is no address")
        self.refuse(~targets.known, "the target is no address")
        protocol = np.where((protocol == Protocol.ICMP) & sources.v6, Protocol.ICMP6, protocol).astype(np.uint8)
        source_port = self._source_ports(ends.source_port, protocol)
        target_port = self._target_ports(ends.target_port, protocol)
        self._icmp(ends.target_port, protocol, source_port, target_port, replies=replies)
        self.skip(sources.full | targets.full, lambda _: "address_table_full")
        kept = np.flatnonzero(self._kept)
        self._tally.good += len(kept)
        group = np.where(sources.group | targets.group, GROUP, 0).astype(np.uint16)
        everything = FlowBatch(
            time=time,
            end=np.maximum(time, end),
            source=sources.numbers,
            target=targets.numbers,
            source_port=source_port,
            target_port=target_port,
            protocol=protocol,
            packets=story.packets,
            returned=story.returned,
            flags=story.flags | group,
            returned_flags=story.returned_flags,
            state=story.state,
            directed=story.directed,
        )
        return take(everything, kept)

    def _source_ports(self, texts: Texts | None, protocol: NDArray[np.uint8]) -> NDArray[np.uint16]:
        ported = protocol <= Protocol.UDP
        if texts is None:
            return np.zeros(len(protocol), dtype=np.uint16)
        column = numbers.decimals(texts, 0)
        wrong = ~column.unset & (~column.known | (column.values > 0xFFFF))
        self.refuse(ported & wrong, "the source's port is no port")
        return np.where(ported, column.values, 0).astype(np.uint16)

    def _target_ports(self, texts: Texts | None, protocol: NDArray[np.uint8]) -> NDArray[np.uint16]:
        ported = protocol <= Protocol.UDP
        column = numbers.decimals(texts if texts is not None else [""] * len(protocol), 0)
        self.refuse(ported & (~column.known | (column.values > 0xFFFF)), "the target's port is no port")
        return np.where(ported, column.values, ARP_REQUEST & 0xFFFF).astype(np.uint16)

    def _icmp(
        self,
        texts: Texts | None,
        protocol: NDArray[np.uint8],
        source_port: NDArray[np.uint16],
        target_port: NDArray[np.uint16],
        *,
        replies: bool,
    ) -> None:
        """Write the services of ICMP into the ports; messages that neither ask nor reply are left out."""
        v6 = protocol == Protocol.ICMP6
        icmp = v6 | (protocol == Protocol.ICMP)
        if not icmp.any():
            return
        column = numbers.decimals(texts if texts is not None else [""] * len(protocol), 0)
        kind = np.where(column.known, column.values, np.where(column.unset, ECHO, -1))
        asked, answered = np.zeros_like(kind), np.zeros_like(kind)
        for is_v6, requests in ((False, _REQUESTS), (True, _REQUESTS6)):
            for request, (service, reply) in requests.items():
                asked[(v6 == is_v6) & (kind == request)] = service
                answered[(v6 == is_v6) & (kind == reply)] = service if replies else 0
        self.skip(
            icmp & (asked == 0) & (answered == 0), lambda row: f"{'icmp6' if v6[row] else 'icmp'}_type/{kind[row]}"
        )
        target_port[icmp] = asked[icmp]
        source_port[icmp] = answered[icmp]
