from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.direction import Conversations, ConversationSpec
from service.capture.hosts import HostTable
from tests.capture.reading import batch_of, told_by
from tests.packets import START
from tests.reference import ACK, FIN, PSH, RST, SECOND, SYN, URG, Packet, Told, attempts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

A, B, C = "10.0.0.1", "10.0.0.2", "192.0.2.3"
DAY = 86_400 * SECOND
HOSTS = HostTable(1)


DEFAULT = ConversationSpec()


def followed(packets: Sequence[Packet], spec: ConversationSpec = DEFAULT, cuts: Iterable[int] = ()) -> list[Told]:
    """Return what the compiled loops tell of packets that come in batches, cut at the given places."""
    conversations = Conversations(spec)
    places = sorted({0, len(packets), *cuts})
    told: list[Told] = []
    for start, end in pairwise(places):
        told += told_by(conversations.follow(batch_of(list(packets[start:end]))), HOSTS)
    return told + told_by(conversations.finish(), HOSTS)


def tcp(
    flags: int,
    *,
    time: float = 0,
    source: str = A,
    target: str = B,
    sport: int = 40000,
    dport: int = 23,
    payload: bool = False,
    bare: bool = False,
) -> Packet:
    at = START + round(time * SECOND)
    return Packet(at, source, target, "tcp", sport, dport, "tcp", flags, payload, bare=bare)


def udp(*, time: float = 0, source: str = A, target: str = B, sport: int = 40000, dport: int = 53) -> Packet:
    return Packet(START + round(time * SECOND), source, target, "udp", sport, dport, "udp")


def group(sport: int = 40000) -> Packet:
    return replace(udp(sport=sport, target="239.255.255.250", dport=1900), group=True)


def echo(*, time: float = 0, source: str = A, target: str = B) -> Packet:
    return Packet(START + round(time * SECOND), source, target, "icmp", 0, 8, "request")


def back(packet: Packet, *, after: float = 0.01, **changes: object) -> Packet:
    """Return a packet of the other end."""
    turned = replace(
        packet,
        time=packet.time + round(after * SECOND),
        source=packet.target,
        target=packet.source,
        source_port=packet.target_port,
        target_port=packet.source_port,
        event="reply" if packet.event == "request" else packet.event,
    )
    return replace(turned, **changes)  # type: ignore[arg-type]


def error(packet: Packet, event: str = "unreachable", *, after: float = 0.01) -> Packet:
    """Return the ICMP error that a packet draws."""
    return replace(packet, time=packet.time + round(after * SECOND), event=event, flags=0, payload=False)


def briefly(told: list[Told]) -> list[str]:
    return sorted(f"{one.outcome} {one.source} {one.service} {one.target}" for one in told)


ATTEMPT, ANSWERED, REFUSED, HUNG_UP, EMPTY = (
    f"{outcome} {A} tcp/23 {B}" for outcome in ("attempt", "answered", "refused", "hung_up", "empty")
)
MET = [tcp(SYN), back(tcp(SYN | ACK)), tcp(ACK, time=0.02)]
"""A connection up to where both ends have agreed."""
WEB = [f"{outcome} {A} tcp/443 {B}" for outcome in ("answered", "attempt", "hung_up")]
XMAS = FIN | PSH | URG

STORIES: dict[str, tuple[list[Packet], list[str]]] = {
    "a SYN begins": ([tcp(SYN)], [ATTEMPT]),
    "a SYN-ACK answers": ([tcp(SYN), back(tcp(SYN | ACK))], [ANSWERED, ATTEMPT]),
    "a RST refuses": ([tcp(SYN), back(tcp(RST | ACK))], [ATTEMPT, REFUSED]),
    "who hangs up at once": ([tcp(SYN), back(tcp(SYN | ACK)), tcp(RST, time=0.1)], [ANSWERED, ATTEMPT, HUNG_UP]),
    "who hangs up twice": (
        [tcp(SYN), back(tcp(SYN | ACK)), tcp(RST, time=0.1), tcp(RST, time=0.2)], [ANSWERED, ATTEMPT, HUNG_UP],
    ),
    "who hangs up in the end": (
        [tcp(SYN), back(tcp(SYN | ACK)), tcp(ACK, time=0.1), tcp(RST, time=0.2)], [ANSWERED, ATTEMPT, EMPTY],
    ),
    "who hangs up on a web server": (
        [tcp(SYN, dport=443), back(tcp(SYN | ACK, dport=443)), tcp(RST, time=0.1, dport=443)], WEB[:2],
    ),
    "who hangs up on one, and no system asks so": (
        [tcp(SYN, dport=443, bare=True), back(tcp(SYN | ACK, dport=443)), tcp(RST, time=0.1, dport=443)], WEB,
    ),
    "who opens one, and does not speak": (
        [tcp(SYN, dport=80), back(tcp(SYN | ACK, dport=80)), tcp(ACK, time=0.1, dport=80),
         tcp(FIN | ACK, time=0.2, dport=80)],
        [f"{outcome} {A} tcp/80 {B}" for outcome in ("answered", "attempt")],
    ),
    "who says nothing and goes": ([*MET, tcp(FIN | ACK, time=1), tcp(RST, time=2)], [ANSWERED, ATTEMPT, EMPTY]),
    "who hears a banner and goes": (
        [*MET, back(tcp(PSH | ACK, payload=True), after=0.1), tcp(ACK, time=0.2), tcp(RST | ACK, time=0.3)],
        [ANSWERED, ATTEMPT, EMPTY],
    ),
    "who speaks and goes": (
        [*MET, tcp(PSH | ACK, time=0.1, payload=True), tcp(FIN | ACK, time=1)], [ANSWERED, ATTEMPT],
    ),
    "who speaks as he goes": ([*MET, tcp(FIN | ACK, time=1, payload=True)], [ANSWERED, ATTEMPT]),
    "who stays": ([*MET, tcp(FIN | ACK, time=15.1)], [ANSWERED, ATTEMPT]),
    "who is shown out": ([*MET, back(tcp(FIN | ACK), after=0.5), tcp(FIN | ACK, time=1)], [ANSWERED, ATTEMPT]),
    "who is thrown out": ([*MET, back(tcp(RST), after=0.5), tcp(FIN | ACK, time=1)], [ANSWERED, ATTEMPT]),
    "a reset from the other side at last": (
        [tcp(SYN), back(tcp(SYN | ACK)), back(tcp(RST), after=0.2), tcp(RST, time=0.3)],
        [ANSWERED, ATTEMPT, HUNG_UP],
    ),
    "answered only once": ([tcp(SYN), back(tcp(SYN | ACK)), back(tcp(SYN | ACK), after=1)], [ANSWERED, ATTEMPT]),
    "a late RST takes no answer back": (
        [tcp(SYN), back(tcp(SYN | ACK)), back(tcp(RST), after=1)], [ANSWERED, ATTEMPT],
    ),
    "the RST of who began refuses nothing": ([tcp(SYN), tcp(RST)], [ATTEMPT]),
    "who acknowledges was answered": ([tcp(SYN), tcp(ACK, time=0.1)], [ANSWERED, ATTEMPT]),
    "who acknowledges a RST was not": ([tcp(SYN), back(tcp(RST)), tcp(ACK, time=0.1)], [ATTEMPT, REFUSED]),
    "retries are attempts": ([tcp(SYN), tcp(SYN, time=1), tcp(SYN, time=3)], [ATTEMPT] * 3),
    "SYN with FIN begins": ([tcp(SYN | FIN)], [ATTEMPT]),
    "SYN with RST begins nothing": ([tcp(SYN | RST)], []),
    "a lone SYN-ACK begins nothing": ([back(tcp(SYN | ACK)), tcp(ACK, time=0.1), back(tcp(ACK), after=0.2)], []),
    "a lone RST begins nothing": ([tcp(RST), tcp(RST | ACK, sport=7)], []),
    "a FIN probe": ([tcp(FIN)], [ATTEMPT]),
    "a NULL probe": ([tcp(0)], [ATTEMPT]),
    "a Xmas probe": ([tcp(XMAS)], [ATTEMPT]),
    "probes again": ([tcp(FIN), tcp(FIN, time=1)], [ATTEMPT] * 2),
    "a refused FIN probe": ([tcp(FIN), back(tcp(RST | ACK))], [ATTEMPT, REFUSED]),
    "a FIN with data is no probe": ([tcp(FIN, payload=True)], []),
    "a bare ACK that nothing follows": ([tcp(ACK)], [ATTEMPT]),
    "a bare ACK that is refused": ([tcp(ACK), back(tcp(RST))], [ATTEMPT, REFUSED]),
    "a bare ACK that a router refuses": ([tcp(ACK), error(tcp(ACK))], [ATTEMPT, REFUSED]),
    "a bare ACK that is retried": ([tcp(ACK), tcp(ACK, time=1), tcp(ACK, time=2)], [ATTEMPT]),
    "a bare ACK of a talk seen from one side": ([tcp(ACK, time=t / 10) for t in range(4)], []),
    "a bare ACK that data follows": ([tcp(ACK), tcp(ACK, time=1, payload=True)], []),
    "a bare ACK that is acknowledged": ([tcp(ACK), back(tcp(ACK))], []),
    "a bare ACK and a SYN-ACK": ([tcp(ACK), back(tcp(SYN | ACK))], []),
    "a bare ACK and an answer that is too late": ([tcp(ACK), back(tcp(ACK), after=3.1)], [ANSWERED, ATTEMPT]),
    "a bare ACK and a SYN": ([tcp(ACK), tcp(SYN, time=1)], [ATTEMPT]),
    "a FIN-ACK probe": ([tcp(FIN | ACK), back(tcp(RST))], [ATTEMPT, REFUSED]),
    "a server's lone ACK": ([tcp(ACK, sport=443, dport=40000)], []),
    "data in the middle of a talk": ([tcp(ACK | PSH, payload=True), back(tcp(ACK))], []),
    "the same ports again": (
        [tcp(SYN), back(tcp(SYN | ACK)), tcp(FIN | ACK, time=1), tcp(SYN, time=60)],
        [ANSWERED, ATTEMPT, ATTEMPT, EMPTY],
    ),
    "the other end begins": ([tcp(SYN), back(tcp(SYN), after=1)], [ATTEMPT, f"attempt {B} tcp/40000 {A}"]),
    "a host that speaks to itself": ([tcp(SYN, target=A, sport=23)], [f"attempt {A} tcp/23 {A}"]),
    "multicast": ([replace(udp(), group=True)], []),
    "who answers a question to all begins nothing": (
        [group(), *(udp(sport=port, dport=40000, source=C, target=A) for port in (50000, 1900))],
        [],
    ),
    "who comes to another port does": (
        [group(), udp(sport=50000, dport=40001, source=C, target=A)], [f"attempt {C} udp/40001 {A}"],
    ),
    "a service answers one that asked all": ([group(5353), udp(sport=5353, dport=5353, source=C, target=A)], []),
    "a sweep of services that ask all": (
        [group(5353), udp(sport=50000, dport=5353, source=C, target=A)], [f"attempt {C} udp/5353 {A}"],
    ),
    "a question over TCP to all makes no answers": (
        [replace(tcp(SYN, sport=40000), group=True), udp(sport=50000, dport=40000, source=C, target=A)],
        [f"attempt {C} udp/40000 {A}"],
    ),
    "a DHCP server speaks to its clients": ([udp(sport=67, dport=68), udp(sport=547, dport=546)], []),
    "a DHCP client asks its server": ([udp(sport=68, dport=67)], [f"attempt {A} udp/67 {B}"]),
    "UDP begins": ([udp()], [f"attempt {A} udp/53 {B}"]),
    "UDP is answered": ([udp(), back(udp())], [f"answered {A} udp/53 {B}", f"attempt {A} udp/53 {B}"]),
    "UDP again": ([udp(), udp(time=1)], [f"attempt {A} udp/53 {B}"] * 2),
    "UDP in a talk": ([udp(), back(udp()), udp(time=1)], [f"answered {A} udp/53 {B}", f"attempt {A} udp/53 {B}"]),
    "UDP is refused": ([udp(), error(udp())], [f"attempt {A} udp/53 {B}", f"refused {A} udp/53 {B}"]),
    "an empty answer is none": (
        [replace(udp(sport=53, dport=40000), bare=True), udp(sport=53, dport=40001)],
        [f"attempt {A} udp/40000 {B}"],
    ),
    "an empty datagram that keeps a way open": ([replace(udp(sport=5060, dport=40000), bare=True)], []),
    "a resolver's lone answer": ([udp(sport=53, dport=40000), udp(sport=40000, dport=53, source=B, target=A)], []),
    "a lone answer from a high service": ([udp(sport=1900, dport=40000)], []),
    "services speak with each other": ([udp(sport=5060, dport=5060)], [f"attempt {A} udp/5060 {B}"]),
    "low ports speak with each other": ([udp(sport=123, dport=123)], [f"attempt {A} udp/123 {B}"]),
    "a traceroute": (
        [udp(dport=33434), error(udp(dport=33434), "expired")],
        [f"attempt {A} udp/33434 {B}", f"expired {A} udp/33434 {B}"],
    ),
    "an error about nothing": ([error(udp())], []),
    "an error about an answer": ([udp(), error(back(udp()))], [f"attempt {A} udp/53 {B}"]),
    "a ping": ([echo(), back(echo())], [f"answered {A} icmp/echo {B}", f"attempt {A} icmp/echo {B}"]),
    "a lone pong": ([back(echo())], []),
    "two hosts ping each other": (
        [echo(), echo(source=B, target=A), back(echo(source=B, target=A)), back(echo())],
        [f"{what} {one} icmp/echo {other}" for what in ("answered", "attempt") for one, other in ((A, B), (B, A))],
    ),
    "a host pings itself": (
        [echo(target=A), back(echo(target=A))], [f"answered {A} icmp/echo {A}", f"attempt {A} icmp/echo {A}"],
    ),
    "ARP": (
        [Packet(START, A, B, "arp", 0, 1, "request"), Packet(START + 5, B, A, "arp", 1, 0, "reply")],
        [f"answered {A} arp/request {B}", f"attempt {A} arp/request {B}"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_who_began(story: str) -> None:
    packets, expected = STORIES[story]
    assert briefly(attempts_of(packets)) == expected
    assert briefly(followed(packets)) == expected


@pytest.mark.parametrize("again", [udp, lambda *, time: tcp(FIN, time=time)])
def test_each_attempt_has_an_outcome_of_its_own(again: Callable[..., Packet]) -> None:
    """A traceroute that goes on for minutes draws an error in each of them."""
    packets = []
    for time in (0, 60):
        probe = again(time=time)
        packets += [probe, error(probe, "expired")]
    told = followed(packets)
    assert sorted(one.time for one in told if one.outcome == "expired") == [START, START + 60 * SECOND]


# --- against the reference ---

STEPS = [0] * 9 + [1, 1_000_000, SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND + 1, 61 * SECOND]
FLAGS = [SYN, SYN | ACK, ACK, ACK, RST, RST | ACK, FIN, 0, XMAS, FIN | ACK, PSH | ACK, SYN | FIN, SYN | RST, URG]
PORTS = {"tcp": [23, 443, 40000], "udp": [53, 1900, 5060, 33434, 40000], "icmp": [8, 13], "arp": [1]}
ENDS = [(A, B)] * 3 + [(B, A)] * 3 + [(A, C), (A, A)]


def packet_at(time: int, random: Random) -> Packet:
    """Return any packet of a few hosts with a few ports, so that all kinds meet in all orders."""
    source, target = random.choice(ENDS)
    event = random.choice(["tcp"] * 4 + ["udp", "udp", "request", "reply", "unreachable", "expired"])
    protocol = event if event in ("tcp", "udp") else random.choice(["tcp", "udp", "icmp", "arp"])
    if event in ("request", "reply"):
        protocol = random.choice(["icmp", "arp"])
    ports = PORTS.get(protocol, [8]) if protocol != "icmp" else [8]
    sport, dport = random.choice(ports), random.choice(ports)
    if protocol in ("icmp", "arp"):
        sport, dport = (sport, 0) if event == "reply" else (0, dport)
    flags = random.choice(FLAGS) if event == "tcp" else 0
    payload = event == "tcp" and random.random() < 0.3
    bare = (flags == SYN or event == "udp") and random.random() < 0.5
    group = random.random() < 0.03
    return Packet(time, source, target, protocol, sport, dport, event, flags, payload, group=group, bare=bare)


@pytest.mark.parametrize("seed", range(200))
def test_the_reference_tells_the_same(seed: int) -> None:
    random = Random(seed)
    packets: list[Packet] = []
    time = START
    for _ in range(random.choice([3, 10, 50, 400])):
        time += random.choice(STEPS)
        packets.append(packet_at(time, random))
    cuts = [random.randrange(len(packets)) for _ in range(random.randrange(4))]
    assert sorted(followed(packets, ConversationSpec(idle=DAY), cuts)) == sorted(attempts_of(packets))


def dialogue(kind: str, source: str, target: str, sport: int, dport: int) -> list[Packet]:
    """Return a whole talk, of the kinds that captures are full of."""
    syn = tcp(SYN, source=source, target=target, sport=sport, dport=dport)
    data = replace(syn, flags=ACK | PSH, payload=True)
    query = replace(syn, protocol="udp", event="udp", flags=0)
    ping = Packet(START, source, target, "icmp", 0, 8, "request")
    fin = replace(syn, flags=FIN | ACK)
    answer = back(syn, flags=SYN | ACK)
    return {
        "scan": [syn],
        "served": [syn, answer, replace(syn, flags=ACK), data, back(data), fin, back(fin), replace(syn, flags=ACK)],
        "half-open scan": [syn, answer, replace(syn, flags=RST)],
        "bare half-open scan": [replace(syn, bare=True), answer, replace(syn, flags=RST)],
        "connect scan": [syn, answer, replace(syn, flags=ACK), replace(syn, flags=RST | ACK)],
        "banner": [syn, answer, replace(syn, flags=ACK), back(data), fin, back(fin)],
        "refused": [syn, back(syn, flags=RST | ACK)],
        "retried": [syn, syn, syn],
        "client only": [syn, replace(syn, flags=ACK), data, fin],
        "server only": [answer, back(data), back(fin)],
        "middle": [data, back(data), replace(syn, flags=ACK)],
        "acks": [replace(syn, flags=ACK)] * 6,
        "ack probe": [replace(syn, flags=ACK), back(syn, flags=RST)],
        "fin probe": [replace(syn, flags=FIN), back(syn, flags=RST | ACK)],
        "query": [query, back(query)],
        "dead query": [query, error(query)],
        "route": [replace(query, target_port=33434 + dport % 100)] * 2 + [error(query, "expired")],
        "ping": [ping, back(ping)],
        "dark ping": [ping, ping],
        "ping refused": [ping, error(ping)],
        "reused": [syn, answer, replace(syn, flags=ACK), fin, syn, answer],
    }[kind]


KINDS = st.sampled_from(
    ["scan", "served", "half-open scan", "bare half-open scan", "connect scan", "banner",
     "refused", "retried", "client only", "server only", "middle", "acks",
     "ack probe", "fin probe", "query", "dead query", "route", "ping", "dark ping", "ping refused", "reused"]
)  # fmt: skip
addresses = st.integers(1, 12).map(lambda i: f"10.1.0.{i}")
dialogues = st.builds(
    dialogue,
    KINDS,
    addresses,
    addresses,
    st.integers(1024, 65535),
    st.sampled_from([22, 23, 53, 80, 443, 8080, 1900]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(dialogues, min_size=1, max_size=30), st.randoms(use_true_random=False), st.integers(0, 100))
def test_the_reference_tells_the_same_of_whole_talks(talks: list[list[Packet]], order: Random, cut: int) -> None:
    """Talks go on at the same time, each in its own order, a step of 40 ms at a time."""
    turns = [number for number, talk in enumerate(talks) for _ in talk]
    order.shuffle(turns)
    queues = [iter(talk) for talk in talks]
    packets = [replace(next(queues[number]), time=START + i * 40_000_000) for i, number in enumerate(turns)]
    told = followed(packets, ConversationSpec(idle=DAY), [cut % len(packets)])
    assert sorted(told) == sorted(attempts_of(packets))


def test_time_may_begin_at_zero() -> None:
    packets = [
        replace(packet, time=packet.time - START) for packet in (tcp(SYN), back(tcp(SYN | ACK)), tcp(ACK, sport=9))
    ]
    assert sorted(followed(packets)) == sorted(attempts_of(packets))


# --- bounded tables ---


@pytest.mark.parametrize("slots", [4, 16, 64])
def test_a_small_table_keeps_the_answers_of_recent_talks(slots: int) -> None:
    """Each SYN is answered before as many other talks have begun as half a generation holds."""
    packets: list[Packet] = []
    delay = slots // 4
    syns = [tcp(SYN, time=i / 1000, sport=1024 + i) for i in range(500)]
    for i, syn in enumerate(syns):
        packets.append(syn)
        if i >= delay:
            packets.append(back(syns[i - delay], flags=SYN | ACK, time=syn.time))
    told = followed(packets, ConversationSpec(slots=slots))
    assert sum(one.outcome == "attempt" for one in told) == 500
    assert sum(one.outcome == "answered" for one in told) == 500 - delay


@pytest.mark.parametrize(("talks", "pause", "forgotten"), [(4, 0.001, 0), (100, 0.001, 100 - 2 * 8), (100, 400, 0)])
def test_talks_that_have_to_go_before_they_are_idle_are_counted(talks: int, pause: float, forgotten: int) -> None:
    conversations = Conversations(ConversationSpec(slots=16))
    conversations.follow(batch_of([tcp(SYN, time=i * pause, sport=1024 + i) for i in range(talks)]))
    assert conversations.forgotten == pytest.approx(forgotten, abs=8)


def test_talks_are_kept_for_the_idle_time_and_forgotten_after_twice_that() -> None:
    spec = ConversationSpec(idle=100 * SECOND)

    def answers(after: float) -> int:
        talk = [tcp(SYN), tcp(SYN, time=99, sport=7), back(tcp(SYN | ACK), after=after)]
        return sum(one.outcome == "answered" for one in followed(talk, spec))

    assert answers(100) == 1
    assert answers(199) == 1
    assert answers(201) == 0


@pytest.mark.parametrize("slots", [16, 1 << 18])
@pytest.mark.parametrize("pending", [1, 2, 7, 1 << 16])
def test_no_bare_ack_is_lost_when_many_wait(slots: int, pending: int) -> None:
    packets = [tcp(ACK, time=i / 10_000, sport=1024 + i) for i in range(1000)]
    told = followed(packets, ConversationSpec(slots=slots, pending=pending), cuts=[300, 301])
    assert sorted(told) == sorted(attempts_of(packets))


@pytest.mark.parametrize("gap", [4, 299, 301, 599, 601, 3600, 86_400])
@pytest.mark.parametrize("cut", [[], [2], [3]])
def test_a_bare_ack_before_a_quiet_time_is_an_attempt(gap: float, cut: list[int]) -> None:
    packets = [udp(), tcp(ACK, time=1), tcp(SYN, time=1, sport=9), udp(time=1 + gap, source=C)]
    assert sorted(followed(packets, cuts=cut)) == sorted(attempts_of(packets))


def test_talks_that_are_forgotten_do_not_fill_the_table() -> None:
    """The answer to a bare ACK that comes in time silences it, whatever else goes on."""
    packets = []
    for i in range(300):
        probe = tcp(ACK, time=i / 100, sport=1024 + i)
        packets += [probe, back(probe, flags=ACK)]
    assert followed(packets, ConversationSpec(slots=8)) == []


@pytest.mark.parametrize("slots", [0, 1, 2, 3, 12, -4])
def test_a_table_needs_a_power_of_two_of_at_least_four(slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        ConversationSpec(slots=slots)


@pytest.mark.parametrize("pending", [0, -1])
def test_a_bare_ack_needs_a_place_to_wait(pending: int) -> None:
    with pytest.raises(ValueError, match="pending"):
        ConversationSpec(pending=pending)


def test_who_asked_all_is_forgotten_like_any_talk() -> None:
    spec = ConversationSpec(idle=10 * SECOND)
    for after, begun in ((9, 0), (19, 0), (60, 1)):
        between = [tcp(SYN, time=moment, sport=20000 + moment) for moment in range(1, after)]
        answer = udp(time=after, sport=50000, dport=40000, source=C, target=A)
        told = [one for one in followed([group(), *between, answer], spec) if one.source == C]
        assert len(told) == begun, after


def test_questions_to_groups_do_not_fill_the_smallest_table() -> None:
    packets = [replace(group(1024 + i), time=START + i) for i in range(500)]
    told = followed([*packets, *(udp(sport=30000 + i, time=1) for i in range(50))], ConversationSpec(slots=4))
    assert len(told) == 50
