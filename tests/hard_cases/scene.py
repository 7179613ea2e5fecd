"""Traffic made by hand: packets as bytes, in any order, sorted by time in the end."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.packets import SECOND, START, Frame, pcap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOUR_START = START // (3600 * SECOND) * 3600 * SECOND
"""A whole hour, so that windows of any length begin with the capture."""

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
PORT_UNREACHABLE, HOST_UNREACHABLE = (3, 3), (3, 1)
PROTOCOL_UNREACHABLE = (3, 2)
INIT, INIT_ACK, ABORT, DATA, SACK, HEARTBEAT, HEARTBEAT_ACK, COOKIE_ECHO, COOKIE_ACK = 1, 2, 6, 0, 3, 4, 5, 10, 11
"""Chunks of SCTP."""
TIME_EXCEEDED = (11, 0)

_ETHERNET = bytes.fromhex("020000000002020000000001")
_CLIENT = bytes.fromhex("020405b40402080a000000010000000001030307")  # what Linux puts into a SYN
_DATA = bytes(100)


def host(network: str, number: int) -> str:
    """Return the address with a number in a network such as ``10.0.0.0``."""
    return str(ipaddress.ip_address(network) + number)


@dataclass
class Scene:
    """Frames, and a source of chance with a fixed seed. Times are seconds since the scene began."""

    seed: int
    frames: list[Frame] = field(default_factory=list)
    _ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def capture(self) -> bytes:
        """Return the whole as a capture file."""
        return pcap(sorted(self.frames, key=lambda frame: frame.time), nanoseconds=True)

    def port(self, host: str) -> int:
        """Return the next port that a client of this host uses."""
        self._ports[host] = port = self._ports.get(host, 32768 + self.random.randrange(20000)) + 1
        return 32768 + port % 28000

    # --- packets ---

    def ip(self, time: float, source: str, target: str, protocol: int, body: bytes, hops: int = 64) -> None:
        """Send a packet over IPv4 or IPv6, by the form of the addresses."""
        if ":" in source:
            header = struct.pack(">IHBB", 6 << 28, len(body), protocol, hops) + _packed(source) + _packed(target)
            self._send(time, 0x86DD, header + body)
        else:
            number = self.random.randrange(65536)
            header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, hops, protocol, 0)
            self._send(time, 0x0800, header + _packed(source) + _packed(target) + body)

    def tcp(
        self,
        time: float,
        source: str,
        sport: int,
        target: str,
        dport: int,
        flags: int,
        *,
        data: bool = False,
        bare: bool = False,
    ) -> None:
        """Send a segment; a SYN has the options of a system that connects, or none if it is `bare`."""
        options = _CLIENT if flags == SYN and not bare else b""
        words = self.random.randrange(2**32), self.random.randrange(2**32) if flags & ACK else 0
        header = struct.pack(">HHIIBBHHH", sport, dport, *words, (20 + len(options)) << 2, flags, 64240, 0, 0)
        self.ip(time, source, target, 6, header + options + (_DATA if data else b""))

    def tcp_in_pieces(self, time: float, source: str, sport: int, target: str, dport: int, flags: int) -> None:
        """Send a header of TCP over IPv4 in fragments of eight bytes."""
        words = self.random.randrange(2**32), 0
        segment = struct.pack(">HHIIBBHHH", sport, dport, *words, 20 << 2, flags, 1024, 0, 0)
        number = self.random.randrange(65536)
        for place in (0, 8, 16):
            body = segment[place : place + 8]
            more = 0x2000 if place < 16 else 0
            header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), number, more | place // 8, 64, 6, 0)
            self._send(time + place * 1e-6, 0x0800, header + _packed(source) + _packed(target) + body)

    def udp(
        self, time: float, source: str, sport: int, target: str, dport: int, hops: int = 64, size: int = 40
    ) -> None:
        body = _DATA[:size]
        self.ip(time, source, target, 17, struct.pack(">HHHH", sport, dport, 8 + len(body), 0) + body, hops)

    def echo(self, time: float, source: str, target: str, *, reply: bool = False, hops: int = 64) -> None:
        kinds = (129, 128) if ":" in source else (0, 8)
        protocol = 58 if ":" in source else 1
        body = struct.pack(">BBHHH", kinds[0] if reply else kinds[1], 0, 0, 7, 1) + _DATA[:56]
        self.ip(time, source, target, protocol, body, hops)

    def error(
        self,
        time: float,
        router: str,
        kind: tuple[int, int],
        source: str,
        target: str,
        quoted: bytes,
        protocol: int,
    ) -> None:
        """Send an ICMP error about an IPv4 packet of `source` to `target`; `quoted` is empty if that packet was."""
        size = 60 if quoted else 20
        inner = struct.pack(">BBHHHBBH", 0x45, 0, size, 1, 0, 1, protocol, 0) + _packed(source) + _packed(target)
        self.ip(time, router, source, 1, struct.pack(">BBHI", *kind, 0, 0) + inner + quoted[:8].ljust(8, b"\0"))

    def udp_error(
        self, time: float, router: str, kind: tuple[int, int], source: str, sport: int, target: str, dport: int
    ) -> None:
        """Send an ICMP error about a datagram."""
        self.error(time, router, kind, source, target, struct.pack(">HHHH", sport, dport, 20, 0), 17)

    def sctp(self, time: float, source: str, sport: int, target: str, dport: int, chunk: int) -> None:
        """Send a packet of SCTP with one chunk."""
        self.ip(
            time, source, target, 132, struct.pack(">HHIIBBHI", sport, dport, 1, 0, chunk, 0, 20, 1) + bytes(12)
        )

    def arp(self, time: float, source: str, target: str, *, answered: bool = True) -> None:
        """Ask for a host, and let it answer."""
        for number, who, whom in ((1, source, target), (2, target, source))[: 1 + answered]:
            ends = bytes(6) + _packed(who) + bytes(6) + _packed(whom)
            moment = time + (number - 1) * 0.0005
            self._send(moment, 0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, number) + ends)

    # --- conversations ---

    def talk(
        self, time: float, client: str, server: str, dport: int, *, seconds: float = 0.5, rtt: float = 0.03
    ) -> None:
        """A TCP connection that is accepted, used and closed."""
        sport = self.port(client)
        steps = [
            (0.0, True, SYN, False), (rtt, False, SYN | ACK, False), (rtt * 1.1, True, ACK, False),
            (rtt * 1.2, True, PSH | ACK, True), (rtt * 2.4, False, PSH | ACK, True), (rtt * 2.5, True, ACK, False),
            (rtt * 3 + seconds, True, FIN | ACK, False), (rtt * 4 + seconds, False, FIN | ACK, False),
            (rtt * 4.1 + seconds, True, ACK, False),
        ]  # fmt: skip
        for after, forward, flags, data in steps:
            ends = (client, sport, server, dport) if forward else (server, dport, client, sport)
            self.tcp(time + after, *ends, flags, data=data)

    def refused(self, time: float, client: str, server: str, dport: int, rtt: float = 0.03) -> None:
        """A TCP connection that the server resets at once."""
        sport = self.port(client)
        self.tcp(time, client, sport, server, dport, SYN)
        self.tcp(time + rtt, server, dport, client, sport, RST | ACK)

    def unanswered(self, time: float, client: str, server: str, dport: int, retries: int = 3) -> None:
        """A connection to nobody; the system tries again after 1, 3, 7 … seconds."""
        sport = self.port(client)
        for i in range(retries + 1):
            self.tcp(time + 2**i - 1, client, sport, server, dport, SYN)

    def empty(
        self, time: float, client: str, server: str, dport: int, *, wait: float = 0.0, reset: bool = True
    ) -> None:
        """A TCP connection that is accepted, and closed by the client, which has said nothing."""
        sport = self.port(client)
        self.tcp(time, client, sport, server, dport, SYN)
        self.tcp(time + 0.002, server, dport, client, sport, SYN | ACK)
        self.tcp(time + 0.003, client, sport, server, dport, ACK)
        if wait:
            self.tcp(time + 0.01, server, dport, client, sport, PSH | ACK, data=True)
            self.tcp(time + 0.011, client, sport, server, dport, ACK)
        self.tcp(time + 0.004 + wait, client, sport, server, dport, RST | ACK if reset else FIN | ACK)
        if not reset:
            self.tcp(time + 0.006 + wait, server, dport, client, sport, FIN | ACK)
            self.tcp(time + 0.007 + wait, client, sport, server, dport, ACK)

    def ask(self, time: float, client: str, server: str, dport: int, *, rtt: float = 0.02, sport: int = 0) -> None:
        """A datagram and its answer."""
        sport = sport or self.port(client)
        self.udp(time, client, sport, server, dport)
        self.udp(time + rtt, server, dport, client, sport)

    def ask_in_vain(
        self, time: float, client: str, server: str, dport: int, gaps: Sequence[float] = (0, 2)
    ) -> None:
        """A datagram that gets no answer, repeated."""
        sport = self.port(client)
        for gap in gaps:
            self.udp(time + gap, client, sport, server, dport)

    def ping(self, time: float, source: str, target: str, *, answered: bool = True, count: int = 1) -> None:
        """Echo requests, a second apart, and their replies."""
        for i in range(count):
            self.echo(time + i, source, target)
            if answered:
                self.echo(time + i + 0.01, target, source, reply=True)

    # --- moments ---

    def moments(self, a_minute: float, seconds: float, begin: float = 0.0) -> Iterable[float]:
        """Return the times of events that come at random, so many a minute on average."""
        time = begin
        while (time := time + self.random.expovariate(a_minute / 60)) < begin + seconds:
            yield time

    def _send(self, time: float, ether: int, data: bytes) -> None:
        self.frames.append(Frame(HOUR_START + round(time * SECOND), _ETHERNET + struct.pack(">H", ether) + data))


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@dataclass(frozen=True)
class Truth:
    """Traffic, and who of it scans: the kinds of alert that are right for each. Nobody else may be named."""

    scene: Scene
    scanners: dict[str, frozenset[str]] = field(default_factory=dict)


def office(scene: Scene, seconds: float, clients: int = 8) -> None:
    """People at work in the background: names are looked up, pages are loaded, a few servers don't answer."""
    random = scene.random
    sites = [host("198.18.0.0", random.randrange(1 << 16)) for _ in range(400)]
    for number in range(1, clients + 1):
        client = host("10.20.0.0", number)
        for time in scene.moments(6, seconds):
            scene.ask(time, client, "10.20.0.253", 53)
            site = sites[min(int(random.paretovariate(0.8)), len(sites) - 1)]
            if random.random() < 0.02:
                scene.unanswered(time + 0.03, client, site, 443)
            else:
                scene.talk(time + 0.03, client, site, 443, seconds=random.expovariate(0.2))
