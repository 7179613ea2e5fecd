"""One small example of every kind of scan, and of what only looks like one.

Sources and targets lie in 198.18.0.0/15, which is for tests of networks (RFC 2544), and 2001:db8::/32 (RFC 3849).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from service.selfcheck.frames import ACK, FIN, PSH, RST, SYN, URG, Ends, Frame, arp, ping, tcp, udp

SECOND = 1_000_000_000

Frames = Iterator[Frame]


@dataclass(frozen=True, slots=True)
class Example:
    """Traffic of a source or a group, and what should be said of it."""

    name: str
    kinds: tuple[str, ...]
    """The kinds of scan that it may be called; none: it must not be named."""
    sources: tuple[str, ...]
    """Who should be named, one alone or all of them together."""
    frames: Callable[[int], Frames]
    """What is on the wire from a time on, ns since the epoch."""


_SCANNER = "198.18.0.66"
_HOST = "198.18.1.1"
_SCANNER6 = "2001:db8::66"
_MEMBERS = tuple(f"198.18.0.{i}" for i in range(101, 113))
_PORTS = (21, 22, 23, 25, 80, 110, 139, 143, 443, 445, 3306, 3389)


def _host(number: int) -> str:
    return f"198.19.{number >> 8}.{number & 255}"


def _vertical(flags: int, gap: float = 0.05, count: int = 30) -> Callable[[int], Frames]:
    def frames(start: int) -> Frames:
        for i in range(count):
            yield tcp(start + round(i * gap * SECOND), Ends(_SCANNER, _HOST, target_port=20 + i), flags)

    return frames


def _refused(start: int) -> Frames:
    for frame_of, flags, delay in ((False, SYN, 0), (True, RST | ACK, 1_000_000)):
        for i in range(30):
            ends = Ends(_SCANNER, _HOST, target_port=20 + i)
            yield tcp(start + i * SECOND // 20 + delay, ends.back if frame_of else ends, flags)


def _ports_of_udp(start: int) -> Frames:
    for i in range(30):
        yield udp(start + i * SECOND // 10, Ends(_SCANNER, _HOST, target_port=500 + i))


def _horizontal(gap: float, count: int) -> Callable[[int], Frames]:
    def frames(start: int) -> Frames:
        for i in range(count):
            yield tcp(start + round(i * gap * SECOND), Ends(_SCANNER, _host(i + 1), target_port=23), SYN)

    return frames


def _block(start: int) -> Frames:
    for i in range(144):
        ends = Ends(_SCANNER, _host(i // 12 + 1), target_port=_PORTS[i % 12])
        yield tcp(start + i * SECOND // 20, ends, SYN)


def _pings(start: int) -> Frames:
    for i in range(30):
        ends = Ends(_SCANNER, _host(i + 1))
        yield ping(start + i * SECOND // 20, ends)
        if i % 3 == 0:
            yield ping(start + i * SECOND // 20 + 1_000_000, ends.back, reply=True)


def _neighbours(start: int) -> Frames:
    for i in range(30):
        yield arp(start + i * SECOND // 20, Ends(_SCANNER, f"198.18.0.{i + 100}"))


def _ipv6(start: int) -> Frames:
    for i in range(30):
        yield tcp(start + i * SECOND // 20, Ends(_SCANNER6, f"2001:db8:1::{i + 1:x}", target_port=22), SYN)


def _conversation(time: int, there: Ends) -> Frames:
    back = there.back
    steps = (
        (there, SYN),
        (back, SYN | ACK),
        (there, ACK),
        (there, PSH | ACK),
        (back, PSH | ACK),
        (there, FIN | ACK),
    )
    for number, (way, flags) in enumerate(steps):
        yield tcp(time + number * 2_000_000, way, flags)


def _browser(start: int) -> Frames:
    for i in range(60):
        ends = Ends(_SCANNER, _host(i % 40 + 1), 40_000 + i, 443)
        if i % 20 == 19:
            yield tcp(start + i * SECOND // 5, ends, SYN)
        else:
            yield from _conversation(start + i * SECOND // 5, ends)


def _resolver(start: int) -> Frames:
    for i in range(80):
        ends = Ends(_SCANNER, _host(i + 1), 30_000 + i, 53)
        yield udp(start + i * SECOND // 4, ends, 30)
        yield udp(start + i * SECOND // 4 + 20_000_000, ends.back, 100)


def _retries(start: int) -> Frames:
    for i in range(300):
        yield tcp(start + i * SECOND // 5, Ends(_SCANNER, _host(i % 3 + 1), 40_000 + i, 443), SYN)


def _answers(start: int) -> Frames:
    for i in range(60):
        yield tcp(start + i * SECOND // 20, Ends(_SCANNER, _host(1), 80, 40_000 + i), SYN | ACK)


def _group(start: int) -> Frames:
    """Four days of strangers at usual services, in the last hour of which twelve others try another one."""
    chance = Random(1)  # noqa: S311  (the same traffic each time)
    for i in range(4 * 24 * 6):
        stranger = f"198.18.{chance.randrange(2, 250)}.{chance.randrange(1, 255)}"
        usual = Ends(stranger, _host(chance.randrange(1, 10)), target_port=chance.choice((22, 23, 445, 1433)))
        yield tcp(start + i * 600 * SECOND, usual, SYN)
    for i in range(36):
        one = Ends(_MEMBERS[i % len(_MEMBERS)], _host(i % 9 + 1), target_port=9527)
        yield tcp(start + (95 * 3600 + 90 * i) * SECOND, one, SYN)


EXAMPLES = (
    Example("SYN scan of ports", ("vertical",), (_SCANNER,), _vertical(SYN)),
    Example("SYN scan, refused", ("vertical",), (_SCANNER,), _refused),
    Example("FIN scan", ("vertical",), (_SCANNER,), _vertical(FIN)),
    Example("NULL scan", ("vertical",), (_SCANNER,), _vertical(0)),
    Example("Xmas scan", ("vertical",), (_SCANNER,), _vertical(FIN | PSH | URG)),
    Example("ACK scan", ("vertical",), (_SCANNER,), _vertical(ACK)),
    Example("UDP scan", ("vertical",), (_SCANNER,), _ports_of_udp),
    Example("sweep of a port", ("horizontal",), (_SCANNER,), _horizontal(0.05, 30)),
    Example("sweep over IPv6", ("horizontal",), (_SCANNER6,), _ipv6),
    Example("ports on many hosts", ("block",), (_SCANNER,), _block),
    Example("ping sweep", ("horizontal",), (_SCANNER,), _pings),
    Example("ARP sweep", ("horizontal",), (_SCANNER,), _neighbours),
    Example("a target every 30 s", ("horizontal",), (_SCANNER,), _horizontal(30, 40)),
    Example("a target every 5 min", ("horizontal",), (_SCANNER,), _horizontal(300, 24)),
    Example("a target every 30 min", ("horizontal",), (_SCANNER,), _horizontal(1800, 48)),
    Example("a port every 5 min", ("vertical",), (_SCANNER,), _vertical(SYN, 300, 24)),
    Example("12 sources, 3 tries each", ("coordinated",), _MEMBERS, _group),
    Example("browser with 60 connections", (), (_SCANNER,), _browser),
    Example("resolver", (), (_SCANNER,), _resolver),
    Example("client of dead servers", (), (_SCANNER,), _retries),
    Example("answers without questions", (), (_SCANNER,), _answers),
)
