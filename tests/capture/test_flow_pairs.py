from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.batch import UNKNOWN, FlowBatch, FlowState
from service.capture.flow_direction import attempts_of
from service.capture.flow_pairs import FlowPairs, PairSpec
from service.capture.hosts import HostTable
from service.capture.services import Protocol
from tests.capture.exports import Row, rows_of
from tests.capture.reading import _host, told_by
from tests.packets import START
from tests.reference import ACK, FIN, PSH, RST, SECOND, SYN, URG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
HOSTS = HostTable(1)
WHOLE = SYN | ACK | PSH | FIN
GROUP = 1 << 9


def tcp(
    flags: int,
    *,
    at: float = 0,
    lasts: float = 0,
    source: str = A,
    target: str = B,
    sport: int = 40000,
    dport: int = 23,
    packets: int = 1,
    returned: int = UNKNOWN,
    returned_flags: int = 0,
) -> Row:
    return Row(source, sport, target, dport, "tcp", packets, returned, flags, returned_flags, at, at + lasts)


def udp(
    *, at: float = 0, lasts: float = 0, source: str = A, target: str = B, sport: int = 40000, dport: int = 53
) -> Row:
    return replace(
        tcp(0, at=at, lasts=lasts, source=source, target=target, sport=sport, dport=dport), protocol="udp"
    )


def echo(*, at: float = 0, lasts: float = 0) -> Row:
    return Row(A, 0, B, 8, "icmp", 1, UNKNOWN, 0, 0, at, at + lasts)


def back(row: Row, flags: int = 0, *, after: float = 0.01, packets: int = 1) -> Row:
    """Return the record of the other direction."""
    return replace(
        row,
        source=row.target,
        target=row.source,
        source_port=row.target_port,
        target_port=row.source_port,
        flags=flags,
        packets=packets,
        start=round(row.start + after, 6),
        end=round(row.end + after, 6),
    )


def flows_of(rows: Sequence[Row]) -> FlowBatch:
    flows = FlowBatch.room(len(rows))
    for i, row in enumerate(rows):
        flows.time[i], flows.end[i] = START + round(row.start * SECOND), START + round(row.end * SECOND)
        flows.source[i], flows.target[i] = _host(row.source), _host(row.target)
        flows.source_port[i], flows.target_port[i] = row.source_port, row.target_port
        flows.protocol[i] = Protocol[row.protocol.upper()]
        flows.packets[i], flows.returned[i] = row.packets, row.returned
        flows.flags[i], flows.returned_flags[i] = row.flags, row.returned_flags
        flows.state[i], flows.directed[i] = row.state, row.directed
    return flows


def joined(
    rows: Sequence[Row], pairs: FlowPairs | None = None, *, size: int | None = None, sampled: bool = False
) -> list[Row]:
    """Return the flows that are decided on, the last ones at the end of the traffic."""
    pairs = pairs or FlowPairs()
    size = size or max(len(rows), 1)
    told = [pairs.join(flows_of(rows[at : at + size]), sampled=sampled) for at in range(0, len(rows), size)]
    return [row for flows in [*told, pairs.finish()] for row in rows_of(flows, HOSTS, START // SECOND)]


STATES = {
    FlowState.OPEN: "open",
    FlowState.ANSWERED: "answered",
    FlowState.UNANSWERED: "unanswered",
    FlowState.REFUSED: "refused",
    FlowState.NO_ATTEMPT: "nothing",
}


def briefly(rows: Iterable[Row]) -> list[str]:
    return sorted(f"{STATES[row.state]} {row.source}→{row.target}:{row.target_port}" for row in rows)


ANSWERED, UNANSWERED, REFUSED, NOTHING = (
    f"{state} {A}→{B}:23" for state in ("answered", "unanswered", "refused", "nothing")
)
DNS = f"answered {A}→{B}:53"
BACKWARDS = f"nothing {B}→{A}:40000"

STORIES: dict[str, tuple[list[Row], list[str]]] = {
    "a whole conversation": ([tcp(WHOLE), back(tcp(WHOLE), WHOLE)], [ANSWERED]),
    "the answer comes first": ([back(tcp(WHOLE), WHOLE), tcp(WHOLE)], [ANSWERED]),
    "a SYN that nobody answers": ([tcp(SYN, packets=3)], [UNANSWERED]),
    "a refused SYN": ([tcp(SYN), back(tcp(0), RST | ACK)], [REFUSED]),
    "a half-open scan": ([tcp(SYN | RST, packets=2), back(tcp(0), SYN | ACK)], [ANSWERED]),
    "a SYN-ACK answers, though its clock is early": (
        [tcp(WHOLE, packets=4), back(tcp(0), SYN | ACK, after=-0.1)],
        [ANSWERED],
    ),
    "a SYN begins, though its clock is late": ([tcp(SYN), back(tcp(0), WHOLE, after=-0.1)], [ANSWERED]),
    "data and then a reset": ([tcp(WHOLE), back(tcp(0), SYN | ACK | PSH | RST)], [ANSWERED]),
    "equal times: the service's port breaks the tie": ([tcp(WHOLE), back(tcp(0), WHOLE, after=0)], [ANSWERED]),
    "a lone SYN-ACK": ([back(tcp(0), SYN | ACK)], [BACKWARDS]),
    "a lone half of a server": ([back(tcp(0), WHOLE, packets=9)], [BACKWARDS]),
    "a lone half of a client": ([tcp(WHOLE, packets=9)], [ANSWERED]),
    "a lone half between high ports": ([tcp(WHOLE, packets=9, dport=8080)], [f"nothing {A}→{B}:8080"]),
    "a lone reset": ([tcp(RST | ACK)], [NOTHING]),
    "backscatter that is reset": (
        [back(tcp(0), SYN | ACK), replace(tcp(RST), start=0.02, end=0.02)],
        [f"nothing {A}→{B}:23"],
    ),
    "the middle of a conversation": ([tcp(ACK | PSH, packets=50), back(tcp(0), ACK | PSH)], [NOTHING]),
    "a kept-alive connection": ([tcp(ACK), back(tcp(0), ACK)], [NOTHING]),
    "a FIN probe": ([tcp(FIN)], [UNANSWERED]),
    "a refused FIN probe": ([tcp(FIN), back(tcp(0), RST | ACK)], [REFUSED]),
    "a Xmas probe": ([tcp(FIN | PSH | URG)], [UNANSWERED]),
    "a refused NULL probe": ([tcp(0), back(tcp(0), RST | ACK)], [REFUSED]),
    "an ACK probe": ([tcp(ACK)], [UNANSWERED]),
    "a refused ACK probe": ([tcp(ACK), back(tcp(0), RST)], [REFUSED]),
    "a lone ACK of a server": ([tcp(ACK, sport=443, dport=40000)], [f"nothing {A}→{B}:40000"]),
    "many lone ACKs": ([tcp(ACK, packets=40)], [NOTHING]),
    "flags that are not told": ([tcp(0, packets=5), back(tcp(0), packets=5)], [ANSWERED]),
    "a server's half, flags not told": ([back(tcp(0, packets=5))], [BACKWARDS]),
    "slices of a long flow": (
        [
            tcp(WHOLE, lasts=60),
            back(tcp(WHOLE, lasts=60), WHOLE),
            tcp(ACK, at=60.5, lasts=60),
            back(tcp(ACK, at=60.5, lasts=60), ACK),
        ],
        [ANSWERED],
    ),
    "the last ACK after a flow was exported": ([tcp(WHOLE), back(tcp(0), WHOLE), tcp(ACK, at=3)], [ANSWERED]),
    "the same ports again": (
        [tcp(WHOLE), back(tcp(0), WHOLE), tcp(WHOLE, at=60), back(tcp(0, at=60), WHOLE)],
        [ANSWERED] * 2,
    ),
    "a retry after the exporter forgot": (
        [tcp(SYN, packets=5, lasts=15), tcp(SYN, at=50, packets=1), udp(source=C, at=99)],
        [UNANSWERED, UNANSWERED, f"unanswered {C}→{B}:53"],
    ),
    "an answer that comes late": (
        [tcp(SYN), udp(source=C, at=40), back(tcp(0), SYN | ACK)],
        [ANSWERED, UNANSWERED, f"unanswered {C}→{B}:53"],
    ),
    "a group address": ([replace(udp(target="224.0.0.251"), flags=GROUP)], [f"nothing {A}→224.0.0.251:53"]),
    "both directions in one record": ([tcp(SYN, returned=1, returned_flags=RST | ACK)], [REFUSED]),
    "both directions, the flags of one": ([tcp(SYN, returned=1)], [REFUSED]),
    "both directions, an honest one": ([tcp(WHOLE, returned=9)], [ANSWERED]),
    "both directions, a server's record": (
        [tcp(WHOLE, sport=443, dport=40000, source=B, target=A, returned=9)],
        [f"answered {A}→{B}:443"],
    ),
    "a record that knows who began": ([replace(tcp(ACK, returned=4), directed=True)], [ANSWERED]),
    "a firewall that denied": ([replace(tcp(0), directed=True, state=FlowState.REFUSED)], [REFUSED]),
    "a question of UDP": ([udp(), back(udp())], [DNS]),
    "UDP that nobody answers": ([udp()], [DNS.replace("answered", "unanswered")]),
    "a resolver's lone answer": ([back(udp())], [BACKWARDS]),
    "a resolver's answer with an early clock": ([udp(), back(udp(), after=-0.001)], [DNS]),
    "a lone answer of a service above 1023": ([udp(sport=1900, dport=40000)], [f"nothing {A}→{B}:40000"]),
    "slices of UDP": ([udp(lasts=60), udp(at=61, lasts=60), udp(at=122)], [DNS.replace("answered", "unanswered")]),
    "a long silence in a talk": ([udp(), back(udp()), udp(at=100), back(udp(at=100), after=-1)], [DNS]),
    "a ping": ([echo(), back(echo())], [f"answered {A}→{B}:8"]),
    "a ping that nobody answers": ([echo()], [f"unanswered {A}→{B}:8"]),
    "a lone pong": ([back(echo())], [f"nothing {B}→{A}:0"]),
    "a pong that is exported first": ([back(echo()), echo()], [f"answered {A}→{B}:8"]),
}


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("size", [None, 1])
def test_stories(name: str, size: int | None) -> None:
    rows, expected = STORIES[name]
    told = joined(rows, size=size)
    assert briefly(told) == sorted(expected)
    assert all(row.directed for row in told)


def test_a_flow_is_told_by_its_beginner_with_what_both_sent() -> None:
    (row,) = joined([back(tcp(0), WHOLE, packets=7), tcp(WHOLE, lasts=2, packets=5)])
    assert row == Row(A, 40000, B, 23, "tcp", 5, 7, WHOLE, WHOLE, 0.0, 2.0, FlowState.ANSWERED, directed=True)
    (row,) = joined([tcp(SYN, packets=3, lasts=3)])
    assert row == Row(A, 40000, B, 23, "tcp", 3, 0, SYN, 0, 0.0, 3.0, FlowState.UNANSWERED, directed=True)


def test_a_server_that_speaks_to_many_clients_is_no_scanner() -> None:
    lone = [tcp(WHOLE, source=B, target=A, sport=443, dport=port, packets=9) for port in range(30000, 30200)]
    lone += [tcp(SYN | ACK, source=B, target=A, sport=8443, dport=port) for port in range(30000, 30200)]
    lone += [udp(source=B, target=A, sport=53, dport=port) for port in range(30000, 30200)]
    lone += [tcp(RST | ACK, source=B, target=A, sport=port, dport=50000) for port in range(200)]
    assert {row.state for row in joined(lone)} == {FlowState.NO_ATTEMPT}


def test_a_sample_leaves_open_whether_there_was_an_answer() -> None:
    (row,) = joined([tcp(SYN)], sampled=True)
    assert (row.state, row.returned) == (FlowState.OPEN, UNKNOWN)
    (row,) = joined([tcp(SYN), back(tcp(0), RST | ACK)], sampled=True)
    assert row.state == FlowState.REFUSED


def test_a_half_waits_by_event_time() -> None:
    pairs = FlowPairs(PairSpec(wait=30 * SECOND))
    assert len(pairs.join(flows_of([tcp(SYN)]))) == 0
    assert len(pairs.join(flows_of([udp(source=C, at=30)]))) == 0
    assert briefly(rows_of(pairs.join(flows_of([udp(source=C, at=30.1, sport=7)])), HOSTS)) == [UNANSWERED]
    assert len(pairs.advance(START + 59 * SECOND)) == 0
    assert len(pairs.advance(START + 61 * SECOND)) == 2
    assert len(pairs.finish()) == 0


SMALL = PairSpec(slots=1024, waiting=64)


def test_nothing_is_lost_when_tables_are_full() -> None:
    random = Random(5)
    rows = []
    for n in range(5000):
        lone = tcp(SYN, sport=1024 + n, dport=random.randrange(1, 1000), at=n / 1000)
        rows += [lone, back(lone, RST | ACK)] if n % 2 else [lone]
    pairs = FlowPairs(SMALL)
    told = joined(rows, pairs, size=100)
    keys = [(row.source_port, row.target_port, row.state) for row in told]
    assert len(keys) == len(set(keys)) == 5000
    assert sum(row.state == FlowState.REFUSED for row in told) == 2500
    assert pairs.hurried > 1000
    assert max(len(pairs._young), len(pairs._old)) <= 1024


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 50))
def test_each_conversation_is_told_once_however_its_halves_come(random: Random, size: int) -> None:
    rows: list[Row] = []
    expected = []
    for n in range(60):
        target = f"10.1.0.{n}"
        first = tcp(WHOLE, target=target, sport=30000 + n, lasts=random.random() * 9, at=random.random() * 9)
        rows += [first, back(first, WHOLE)]
        expected.append(f"answered {A}→{target}:23")
    random.shuffle(rows)
    assert briefly(joined(rows, size=size)) == sorted(expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            tcp,
            st.integers(0, 63),
            at=st.floats(0, 2000),
            source=st.sampled_from([A, B]),
            target=st.sampled_from([A, B, C]),
            sport=st.sampled_from([23, 40000]),
            dport=st.sampled_from([23, 40000]),
            packets=st.integers(-1, 5),
            returned=st.integers(-1, 2),
            returned_flags=st.integers(0, 63),
        ),
        max_size=40,
    ),
    st.integers(1, 9),
)
def test_whatever_comes_is_decided_on_with_a_state(rows: list[Row], size: int) -> None:
    told = joined(rows, size=size)
    assert len(told) <= 2 * len(rows)
    ends = {frozenset([(row.source, row.source_port), (row.target, row.target_port)]) for row in rows}
    assert {frozenset([(row.source, row.source_port), (row.target, row.target_port)]) for row in told} == ends
    assert all(row.directed and row.state != FlowState.OPEN for row in told)


def test_attempts_count_packets_where_nobody_answered() -> None:
    rows = [
        replace(tcp(SYN, packets=3), state=FlowState.UNANSWERED),
        replace(tcp(WHOLE, packets=90), state=FlowState.ANSWERED),
        replace(tcp(SYN, packets=UNKNOWN), state=FlowState.REFUSED),
        replace(tcp(RST), state=FlowState.NO_ATTEMPT),
        replace(udp(), packets=1000, state=FlowState.OPEN),
    ]
    told = [f"{one.outcome} {one.service}" for one in told_by(attempts_of(flows_of(rows)), HOSTS)]
    assert told == ["attempt tcp/23"] * 5 + ["attempt udp/53"] * 16 + ["answered tcp/23", "refused tcp/23"]


def test_no_flows_are_no_attempts() -> None:
    assert len(attempts_of(flows_of([]))) == 0
    assert len(FlowPairs().join(flows_of([]))) == 0


@pytest.mark.parametrize(
    ("name", "value"), [("slots", 1000), ("slots", 512), ("wait", 0), ("gap", 0), ("waiting", 0)]
)
def test_bounds_make_sense(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        PairSpec(**{name: value})


def test_columns_keep_their_types() -> None:
    flows = FlowPairs().join(flows_of([tcp(SYN), back(tcp(0), RST)]))
    assert [flows.time.dtype, flows.source.dtype, flows.flags.dtype, flows.directed.dtype] == [
        np.int64,
        np.uint32,
        np.uint16,
        np.bool_,
    ]
