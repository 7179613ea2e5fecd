"""The rules of direction and counting once more, slowly: dictionaries and sets, one packet at a time.

Written from the words of `service.capture.direction`, `service.windows.counts` and the terms of the project, not
from the compiled loops, so that the two can be held against each other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SECOND = 1_000_000_000
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
WEB = {"tcp/80", "tcp/443"}
BRIEF = 15 * SECOND
WELL_KNOWN = {1194, 1434, 1701, 1812, 1813, 1900, 3478, 3702, 4500, 5060, 5353, 5355, 5683, 11211, 51820}
RETRIES = 2
"""A bare ACK may come this often again before its answer and still be a probe."""

End = tuple[str, int]


@dataclass(frozen=True)
class Packet:
    """What can be known of a packet without its past.

    A request has port 0 and asks for the port that is its service's number; its reply comes from there. An error
    (`unreachable`, `expired`) has the ends of the packet that it quotes.
    """

    time: int
    source: str
    target: str
    protocol: str
    source_port: int
    target_port: int
    event: str
    """tcp, udp, request, reply, unreachable or expired"""
    flags: int = 0
    payload: bool = False
    group: bool = False
    bare: bool = False
    """A SYN that offers nothing but a maximum segment size, or not even that; a datagram that holds nothing."""


@dataclass(frozen=True, order=True)
class Told:
    """An attempt, or what became of one."""

    time: int
    source: str
    target: str
    service: str
    outcome: str
    """attempt, answered, refused, expired, hung_up or empty"""


@dataclass
class Conversation:
    beginner: End
    other: End
    kind: str
    """begun, probe (FIN, NULL, Xmas or bare ACK), waiting (a bare ACK on trial) or silent (not an attempt)"""
    time: int
    fate: str = ""
    """What the latest attempt came to: answered is final, of the others the first counts."""
    repeated: int = 0
    met: bool = False
    """Whether who began went on after the answer, or has hung up."""
    bare: bool = False
    spoke: bool = False
    """Whether who began sent data, or it was told already that he left."""
    left: bool = False
    """Whether the other end closed before."""


class Follower:
    """Packets in the order of the capture become attempts and their outcomes."""

    def __init__(self, answer: int = 3 * SECOND) -> None:
        self.told: list[Told] = []
        self._answer = answer
        self._known: dict[tuple[str, frozenset[End]], Conversation] = {}
        self._waiting: list[tuple[Conversation, str]] = []
        self._asked: set[End] = set()
        """Ports from which a group was asked."""

    def follow(self, packets: Iterable[Packet]) -> Follower:
        for packet in packets:
            self._give_up_waiting(packet.time - self._answer)
            if not packet.group:
                self._follow(packet)
            elif packet.event == "udp":
                self._asked.add((packet.source, packet.source_port))
        return self

    def finish(self) -> list[Told]:
        self._give_up_waiting(None)
        return self.told

    def _give_up_waiting(self, before: int | None) -> None:
        """Nothing followed these bare ACKs: they were probes."""
        for talk, protocol in self._waiting:
            if talk.kind == "waiting" and (before is None or talk.time < before):
                talk.kind = "probe"
                self._tell(talk, protocol, "attempt")
        self._waiting = [(talk, protocol) for talk, protocol in self._waiting if talk.kind == "waiting"]

    def _follow(self, packet: Packet) -> None:
        ends = (packet.source, packet.source_port), (packet.target, packet.target_port)
        key = packet.protocol, frozenset(ends)
        talk = self._known.get(key)
        begun = {"tcp": self._tcp, "udp": self._udp, "request": self._request}.get(packet.event, self._told)(
            packet, talk, ends
        )
        if begun is not None:
            if talk is not None:
                talk.kind = "silent"  # something followed it
            self._known[key] = begun

    def _tcp(self, packet: Packet, talk: Conversation | None, ends: tuple[End, End]) -> Conversation | None:
        syn, ack = packet.flags & SYN, packet.flags & ACK
        if packet.flags & RST:
            if talk:
                self._tcp_resets(packet, talk, ends)
            return None
        if syn and not ack:
            return self._begin(Conversation(*ends, "begun", packet.time, bare=packet.bare), "tcp")
        if talk is None:
            return self._tcp_from_nowhere(packet, ends)
        from_beginner = ends[0] == talk.beginner
        if talk.kind == "waiting":
            retry = from_beginner and not syn and not packet.payload and talk.repeated < RETRIES
            talk.repeated += 1
            talk.kind = "waiting" if retry else "silent"
        elif not from_beginner:
            talk.left |= not syn and packet.flags & FIN != 0
            self._answer_to(talk, "tcp")
        elif not syn:
            self._tcp_goes_on(packet, talk)
        return None

    def _tcp_resets(self, packet: Packet, talk: Conversation, ends: tuple[End, End]) -> None:
        if ends[0] == talk.other and ends[0] != talk.beginner:
            talk.left = True
            self._refuse(talk, "tcp", "refused")
        elif talk.kind == "begun" and talk.fate == "answered" and not talk.met:
            if talk.bare or _service("tcp", talk.other[1]) not in WEB:
                talk.met = talk.spoke = True
                self._tell(talk, "tcp", "hung_up")
        else:
            self._leave(talk, packet.time)

    def _leave(self, talk: Conversation, time: int) -> None:
        """Close a connection, perhaps without ever having said a word in it."""
        open_ = talk.kind == "begun" and talk.fate == "answered" and talk.met and not talk.left
        if open_ and not talk.spoke and time - talk.time <= BRIEF and _service("tcp", talk.other[1]) not in WEB:
            talk.spoke = True
            self._tell(talk, "tcp", "empty")

    def _tcp_goes_on(self, packet: Packet, talk: Conversation) -> None:
        """Take in a packet of who began: one that acknowledges was answered, seen or not."""
        acknowledges = packet.flags & ACK
        if talk.kind == "probe" and not acknowledges:
            self._try_again(talk, packet.time, "tcp")
        elif talk.kind == "begun" and acknowledges:
            talk.met = True
            talk.spoke |= packet.payload
            if packet.flags & FIN:
                self._leave(talk, packet.time)
            if talk.fate in ("", "answered"):
                self._answer_to(talk, "tcp")

    def _tcp_from_nowhere(self, packet: Packet, ends: tuple[End, End]) -> Conversation:
        time, flags = packet.time, packet.flags
        if flags & SYN:
            return Conversation(ends[1], ends[0], "silent", time)
        if not flags & ACK and (flags & FIN or flags & 63 == 0) and not packet.payload:
            return self._begin(Conversation(*ends, "probe", time), "tcp")
        if packet.payload or (packet.source_port < 1024 and packet.target_port >= 1024):
            return Conversation(*ends, "silent", time)
        talk = Conversation(*ends, "waiting", time)
        self._waiting.append((talk, "tcp"))
        return talk

    def _udp(self, packet: Packet, talk: Conversation | None, ends: tuple[End, End]) -> Conversation | None:
        if talk is None:
            empty = packet.bare and packet.source_port < 1024
            if not empty and (_is_answer(packet.source_port, packet.target_port) or self._answers_group(packet)):
                return Conversation(ends[1], ends[0], "silent", packet.time)
            return self._begin(Conversation(*ends, "begun", packet.time), "udp")
        if ends[0] != talk.beginner:
            self._answer_to(talk, "udp")
        elif talk.kind == "begun" and talk.fate != "answered":
            self._try_again(talk, packet.time, "udp")
        return None

    def _answers_group(self, packet: Packet) -> bool:
        """Tell whether a packet answers a question to a group; from the service's port if it goes to one."""
        serves = packet.target_port < 1024 or packet.target_port in WELL_KNOWN
        asked = (packet.target, packet.target_port) in self._asked
        return asked and (not serves or packet.source_port == packet.target_port)

    def _request(self, packet: Packet, talk: Conversation | None, ends: tuple[End, End]) -> Conversation:
        return self._begin(Conversation(*ends, "begun", packet.time), packet.protocol)

    def _told(self, packet: Packet, talk: Conversation | None, ends: tuple[End, End]) -> None:
        """Take in a reply or an error."""
        if talk is None:
            return
        if packet.event == "reply":
            if ends[0] == talk.other:
                self._answer_to(talk, packet.protocol)
        elif ends[0] == talk.beginner:
            self._refuse(talk, packet.protocol, "refused" if packet.event == "unreachable" else "expired")

    def _begin(self, talk: Conversation, protocol: str) -> Conversation:
        self._tell(talk, protocol, "attempt")
        return talk

    def _try_again(self, talk: Conversation, time: int, protocol: str) -> None:
        talk.time, talk.fate = time, ""
        self._tell(talk, protocol, "attempt")

    def _answer_to(self, talk: Conversation, protocol: str) -> None:
        if talk.kind != "silent" and talk.fate != "answered":
            talk.fate = "answered"
            self._tell(talk, protocol, "answered")

    def _refuse(self, talk: Conversation, protocol: str, fate: str) -> None:
        if talk.kind == "waiting":
            talk.kind = "begun"
            self._tell(talk, protocol, "attempt")
        if talk.kind != "silent" and not talk.fate:
            talk.fate = fate
            self._tell(talk, protocol, fate)

    def _tell(self, talk: Conversation, protocol: str, outcome: str) -> None:
        service = _service(protocol, talk.other[1])
        self.told.append(Told(talk.time, talk.beginner[0], talk.other[0], service, outcome))


def attempts_of(packets: Iterable[Packet], answer: int = 3 * SECOND) -> list[Told]:
    """Return what a capture tells, once all of it is read."""
    return Follower(answer).follow(packets).finish()


def _is_answer(source_port: int, target_port: int) -> bool:
    """Tell whether a UDP packet without a past comes from a service to a client."""
    serves = source_port < 1024 or source_port in WELL_KNOWN
    if (source_port, target_port) in {(67, 68), (547, 546)}:
        return True
    return target_port >= 1024 and serves and (source_port < 1024 or target_port not in WELL_KNOWN)


def _service(protocol: str, port: int) -> str:
    names = {"icmp": {8: "echo", 13: "timestamp", 15: "information", 17: "address-mask"}, "icmp6": {8: "echo"}}
    if protocol == "arp":
        return "arp/request"
    return f"{protocol}/{names.get(protocol, {}).get(port, port)}"


@dataclass
class Pair:
    """One source and one target's service in a window."""

    times: list[int] = field(default_factory=list)
    answered: bool = False
    expired: bool = False
    hung_up: bool = False
    empty: bool = False

    @property
    def in_vain(self) -> bool:
        return not self.answered and not self.expired


@dataclass(frozen=True)
class Row:
    attempts: int
    targets: int
    answered: int
    probed: int
    dark: int
    first: int
    last: int


@dataclass(frozen=True)
class Totals:
    """Of protocols with ports, and of others over IP."""

    targets: int
    most_services: int
    most_unanswered: int
    most_targets: int


@dataclass(frozen=True)
class Window:
    rows: dict[tuple[str, str], Row]
    totals: dict[str, Totals]


def windows_of(told: Iterable[Told], length: int = 60 * SECOND) -> dict[int, Window]:
    """Return the windows by their start; every attempt counts where it was made, however late it is told."""
    pairs: dict[int, dict[tuple[str, str, str], Pair]] = defaultdict(lambda: defaultdict(Pair))
    for one in told:
        pair = pairs[one.time // length * length][one.source, one.target, one.service]
        if one.outcome == "attempt":
            pair.times.append(one.time)
        pair.answered |= one.outcome in ("answered", "empty")
        pair.expired |= one.outcome == "expired"
        pair.hung_up |= one.outcome == "hung_up"
        pair.empty |= one.outcome == "empty"
    for pair in (pair for found in pairs.values() for pair in found.values()):
        if pair.hung_up and len(pair.times) == 1:
            pair.answered = False
    for found in pairs.values():
        _forget_empty(found)
    return {start: _window(found) for start, found in pairs.items()}


def _forget_empty(pairs: dict[tuple[str, str, str], Pair]) -> None:
    """Leave the empty connections of sources with 50 unanswered, if attempts were seen for two hours."""
    times = [time for pair in pairs.values() for time in pair.times]
    if max(times) - min(times) < 7200 * SECOND:
        return
    empty = defaultdict(list)
    for (source, _, _), pair in pairs.items():
        if pair.empty and len(pair.times) == 1:
            empty[source].append(pair)
    for mine in empty.values():
        for pair in mine if len(mine) >= 50 else ():
            pair.answered = False


def _window(pairs: dict[tuple[str, str, str], Pair]) -> Window:
    for (source, target, service), pair in pairs.items():
        instead = pairs.get((source, target, "tcp/443"))  # of QUIC
        pair.answered |= service == "udp/443" and instead is not None and instead.answered
    rows: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    dark_pairs: dict[tuple[str, str], int] = defaultdict(int)
    dark = _dark(pairs)
    by_target: dict[str, dict[str, dict[str, Pair]]] = defaultdict(lambda: defaultdict(dict))
    for (source, target, service), pair in pairs.items():
        rows[source, service].append(pair)
        dark_pairs[source, service] += target in dark
        by_target[source]  # a source without TCP and UDP has totals, too: zeros
        if service.startswith(("tcp/", "udp/", "sctp/", "ip/")):
            by_target[source][target][service] = pair
    return Window(
        rows={key: _row(found, dark_pairs[key]) for key, found in rows.items()},
        totals={source: _totals(found) for source, found in by_target.items()},
    )


def _dark(pairs: dict[tuple[str, str, str], Pair]) -> set[str]:
    """Return the targets that ten sources tried at five services, that answered none and began nothing."""
    sources, services = defaultdict(set), defaultdict(set)
    for source, target, service in pairs:
        sources[target].add(source)
        services[target].add(service)
    alive = {target for (_, target, _), pair in pairs.items() if pair.answered} | {source for source, _, _ in pairs}
    return {target for target in sources if len(sources[target]) >= 10 and len(services[target]) >= 5} - alive


def _row(pairs: list[Pair], dark: int) -> Row:
    times = [time for pair in pairs for time in pair.times]
    return Row(
        attempts=len(times),
        targets=len(pairs),
        answered=sum(pair.answered for pair in pairs),
        probed=sum(pair.in_vain and len(pair.times) <= 4 for pair in pairs),
        dark=dark,
        first=min(times),
        last=max(times),
    )


def _totals(targets: dict[str, dict[str, Pair]]) -> Totals:
    by_service: dict[str, int] = defaultdict(int)
    for services in targets.values():
        for service in services:
            by_service[service] += 1
    in_vain = [
        {_without_route(service) for service, pair in services.items() if pair.in_vain and len(pair.times) < 16}
        for services in targets.values()
    ]
    return Totals(
        targets=len(targets),
        most_services=max((len(services) for services in targets.values()), default=0),
        most_unanswered=max((len(services) for services in in_vain), default=0),
        most_targets=max(by_service.values(), default=0),
    )


def _without_route(service: str) -> str:
    """Take the ports of a traceroute for one service."""
    protocol, port = service.split("/")
    return "udp/traceroute" if protocol == "udp" and 33434 <= int(port) <= 33534 else service
