from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.batch import UNKNOWN, FlowBatch, FlowState, Outcome, take
from service.capture.flags import ACK, FIN, PSH, RST, SYN, URG, parse_flags
from service.capture.flow_direction import MOST_TRIES, FlowDirection, attempts_of, states
from service.capture.kernels.headers import GROUP
from service.capture.services import Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPEN, ANSWERED, UNANSWERED, REFUSED, NONE = (
    FlowState.OPEN,
    FlowState.ANSWERED,
    FlowState.UNANSWERED,
    FlowState.REFUSED,
    FlowState.NO_ATTEMPT,
)


def flow(  # noqa: PLR0917
    sent: int = 0,
    back: int = 0,
    packets: int = 1,
    returned: int = UNKNOWN,
    ports: tuple[int, int] = (40_000, 22),
    protocol: Protocol = Protocol.TCP,
    state: int = OPEN,
    directed: bool = True,
    time: int = 5,
) -> FlowBatch:
    """Return a single flow."""

    def one(value: int, kind: type[np.generic]) -> NDArray[np.generic]:
        return np.array([value], dtype=kind)

    columns: dict[str, NDArray[np.generic]] = {
        "time": one(time, np.int64),
        "end": one(time + 1, np.int64),
        "source": one(7, np.uint32),
        "target": one(9, np.uint32),
        "source_port": one(ports[0], np.uint16),
        "target_port": one(ports[1], np.uint16),
        "protocol": one(protocol, np.uint8),
        "packets": one(packets, np.int64),
        "returned": one(returned, np.int64),
        "flags": one(sent, np.uint16),
        "returned_flags": one(back, np.uint16),
        "state": one(state, np.uint8),
        "directed": one(directed, np.bool_),
    }
    return FlowBatch(**columns)  # type: ignore[arg-type]  # the kinds are given above


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (flow(SYN, returned=0), UNANSWERED),
        (flow(SYN), UNANSWERED),
        (flow(SYN, SYN | ACK), ANSWERED),
        (flow(SYN, RST | ACK), REFUSED),
        (flow(SYN | ACK, returned=0), ANSWERED),
        (flow(SYN, returned=3), ANSWERED),
        (flow(SYN, ACK), ANSWERED),
        (flow(SYN | RST, SYN | ACK), ANSWERED),
        (flow(FIN, returned=0), UNANSWERED),
        (flow(FIN | PSH | URG, RST | ACK), REFUSED),
        (flow(0, RST | ACK), REFUSED),
        (flow(0, RST, packets=0), NONE),
        (flow(ACK, returned=0), UNANSWERED),
        (flow(ACK, returned=0, packets=4), NONE),
        (flow(ACK), NONE),
        (flow(ACK, RST), REFUSED),
        (flow(ACK, RST, ports=(80, 40_000)), NONE),
        (flow(FIN | ACK, RST | ACK), REFUSED),
        (flow(ACK | PSH, ACK | PSH, returned=9), NONE),
        (flow(RST, returned=0), NONE),
        (flow(PSH, returned=0), NONE),
        (flow(returned=0), UNANSWERED),
        (flow(returned=2), ANSWERED),
        (flow(returned=0, ports=(443, 40_000)), NONE),
        (flow(returned=2, ports=(443, 40_000)), ANSWERED),
        (flow(SYN, returned=0, ports=(80, 40_000)), UNANSWERED),
        (flow(protocol=Protocol.UDP, returned=0), UNANSWERED),
        (flow(protocol=Protocol.UDP, returned=1), ANSWERED),
        (flow(protocol=Protocol.UDP, ports=(53, 40_000)), NONE),
        (flow(protocol=Protocol.UDP, ports=(5060, 40_000)), NONE),
        (flow(protocol=Protocol.UDP, ports=(5060, 5060)), UNANSWERED),
        (flow(protocol=Protocol.UDP, ports=(53, 40_000), state=UNANSWERED), NONE),
        (flow(protocol=Protocol.ICMP, ports=(0, 8), returned=0), UNANSWERED),
        (flow(protocol=Protocol.ARP, ports=(0, 1), returned=1), ANSWERED),
        (flow(SYN | GROUP), NONE),
        (flow(state=ANSWERED), ANSWERED),
        (flow(state=NONE, returned=4), NONE),
        (flow(state=UNANSWERED, ports=(80, 40_000)), UNANSWERED),
    ],
)
def test_what_flows_are(found: FlowBatch, what: int) -> None:
    assert states(found).tolist() == [what]


@pytest.mark.parametrize(
    ("found", "outcomes"),
    [
        (flow(SYN, packets=3), [0, 0, 0]),
        (flow(SYN, packets=10**12), [0] * MOST_TRIES),
        (flow(SYN, packets=UNKNOWN), [0]),
        (flow(SYN, RST, packets=2), [0, 0, Outcome.REFUSED]),
        (flow(SYN, SYN | ACK, packets=9), [0, Outcome.ANSWERED]),
        (flow(SYN | RST, SYN | ACK, packets=2), [0, Outcome.ANSWERED, Outcome.HUNG_UP]),
        (flow(SYN | RST, SYN | ACK, packets=2, ports=(40_000, 443)), [0, Outcome.ANSWERED]),
        (flow(SYN | RST | ACK, SYN | ACK, packets=3), [0, Outcome.ANSWERED]),
        (flow(SYN | RST, SYN | ACK | PSH, packets=3), [0, Outcome.ANSWERED]),
        (flow(protocol=Protocol.ICMP, ports=(0, 8), packets=4, returned=4), [0, 0, 0, 0, Outcome.ANSWERED]),
        (flow(ACK), []),
    ],
)
def test_attempts_and_what_became_of_them(found: FlowBatch, outcomes: list[int]) -> None:
    attempts = attempts_of(found)
    assert attempts.outcome.tolist() == outcomes
    assert set(attempts.time.tolist()) <= {5}
    assert set(attempts.service.tolist()) <= {int(found.protocol[0]) << 16 | int(found.target_port[0])}


class Swaps:
    """A joiner that turns flows around, and holds the last one back."""

    def __init__(self) -> None:
        self.held: FlowBatch | None = None

    def join(self, flows: FlowBatch) -> FlowBatch:
        self.held = self._turned(take(flows, slice(-1, None)))
        return self._turned(take(flows, slice(-1)))

    def finish(self) -> FlowBatch:
        assert self.held is not None
        return self.held

    def _turned(self, flows: FlowBatch) -> FlowBatch:
        return replace(flows, source=flows.target, target=flows.source, directed=np.ones(len(flows), np.bool_))


def test_what_is_not_directed_goes_through_the_joiner() -> None:
    parts = [flow(SYN, time=1), flow(SYN, time=2, directed=False), flow(SYN, time=3, directed=False)]
    both = FlowBatch(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in FlowBatch.__dataclass_fields__}
    )
    direction = FlowDirection(Swaps())
    found = [(int(a.time[0]), int(a.source[0])) for a in direction.follow(both) if len(a)]
    assert found == [(1, 7), (2, 9)]
    last = direction.finish()
    assert (last.time.tolist(), last.source.tolist()) == ([3], [9])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.builds(
        flow,
        sent=st.integers(0, 1023),
        back=st.integers(0, 255),
        packets=st.integers(-1, 100),
        returned=st.integers(-1, 100),
        ports=st.tuples(st.sampled_from([0, 22, 53, 5060, 40_000]), st.sampled_from([0, 22, 53, 5060, 40_000])),
        protocol=st.sampled_from(list(Protocol)),
        state=st.integers(0, 4),
    )
)
def test_every_flow_comes_to_something(found: FlowBatch) -> None:
    (state,) = states(found).tolist()
    assert state in (ANSWERED, UNANSWERED, REFUSED, NONE)
    if found.flags[0] & GROUP:
        assert state == NONE
    attempts = attempts_of(found)
    assert (len(attempts) == 0) == (state == NONE)
    assert int((attempts.outcome != Outcome.ATTEMPT).sum()) == (state in (ANSWERED, REFUSED))


def test_flags_are_written_as_letters() -> None:
    assert parse_flags("...AP.SF") == ACK | PSH | SYN | FIN
    assert parse_flags("") == 0
