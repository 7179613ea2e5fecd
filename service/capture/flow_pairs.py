"""Records of one direction are joined: which end began a flow, and whether the other one answered.

Exporters of NetFlow tell each direction by itself. The two records of a conversation are one flow here. Who sent a
SYN without ACK began it; where flags don't tell, the earlier one did, unless it spoke from a known service to a
client's port; where times are equal, the one that spoke to a known service. A lone half is decided on after a
while: a lone SYN, a FIN, NULL or Xmas probe and a few bare ACKs are attempts in vain, of UDP the first record is
one unless it comes from a service to a client's port; a lone answer, a reset or the middle of a conversation begins
nothing. A flow told in slices is one attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from service.capture.batch import FlowBatch
from service.capture.direction import known_services
from service.capture.kernels import flow_pairs as kernels

SECOND = 1_000_000_000
MOST_TRIES = 16
"""A flow without an answer counts as at most so many attempts."""

_SMALLEST = 1 << 10
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class PairSpec:
    """Bounds of the table of halves.

    Raises ValueError if `slots` is no power of two from 1024 on, or one of the others is not positive.
    """

    wait: int = 30 * SECOND
    """How long a half waits for the other one, ns of event time: by the latest end of a flow seen."""
    gap: int = 15 * SECOND
    """A record that follows another of the same ends later than this, ns, is no slice of the same flow: what
    exporters wait for before they call a flow over."""
    memory: int = 300 * SECOND
    """A conversation is forgotten after one to two times this time without records, ns of event time."""
    slots: int = 1 << 17
    """Most places in each of two generations, 104 bytes each; a generation holds half as many conversations."""
    waiting: int = 1 << 16
    """Halves that may wait at a time; then the oldest is decided on."""

    def __post_init__(self) -> None:
        if self.slots < _SMALLEST or self.slots & (self.slots - 1):
            raise ValueError(f"slots: {self.slots} is no power of two from {_SMALLEST} on")
        for name in ("wait", "gap", "memory", "waiting"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not positive")


class FlowPairs:
    """Joins the records of one exporter from batch to batch, in bounded memory."""

    def __init__(self, spec: PairSpec = PairSpec()) -> None:
        self._spec = spec
        self._young = np.zeros((_SMALLEST, kernels.WIDTH), dtype=np.int64)
        self._old = np.zeros((_SMALLEST, kernels.WIDTH), dtype=np.int64)
        self._used = 0
        self._began = 0
        self._waiting = np.zeros((spec.waiting, 3), dtype=np.int64)
        self._cursor = np.zeros(6, dtype=np.int64)
        self._serves = known_services()
        self._sampled = False

    @property
    def hurried(self) -> int:
        """Halves that were decided on before their time, because a table was full."""
        return int(self._cursor[kernels.HURRIED])

    @property
    def late(self) -> int:
        """Answers that came after their flow was told as unanswered, and had it told again."""
        return int(self._cursor[kernels.LATE])

    @property
    def clock(self) -> int:
        """The latest end of a flow seen, ns since the epoch."""
        return int(self._cursor[kernels.CLOCK])

    def join(self, flows: FlowBatch, *, sampled: bool = False) -> FlowBatch:
        """Return the flows that are decided on: `directed`, with a state, each told by whoever began it.

        Where the exporter looks at a sample of packets only, the lack of an answer proves nothing: a lone half that
        begins something is left `FlowState.OPEN`.
        """
        self._sampled = sampled
        out = self._room(2 * len(flows))
        records = _packed(flows)
        at = rows = 0
        ended = kernels.ROTATE
        while ended == kernels.ROTATE:
            at, self._used, rows, ended = kernels.follow(
                at,
                records,
                self._serves,
                sampled,
                self._spec.wait,
                self._spec.gap,
                self._waiting,
                self._cursor,
                self._young,
                self._old,
                self._used,
                self._began + self._spec.memory,
                rows,
                out,
            )
            if ended == kernels.ROTATE:
                rows = self._make_room(rows, out)
        return _unpacked(out[:rows])

    def advance(self, now: int) -> FlowBatch:
        """Let event time go on to `now`, ns, without records; return the flows that have waited long enough."""
        self._cursor[kernels.CLOCK] = max(self._cursor[kernels.CLOCK], now)
        return self._settle(int(self._cursor[kernels.CLOCK]) - self._spec.wait)

    def finish(self) -> FlowBatch:
        """Return the flows that were still waiting, at the end of the traffic."""
        return self._settle(_NEVER)

    def _room(self, more: int) -> NDArray[np.int64]:
        """Return room for all that wait, and for more."""
        return np.empty((int(self._cursor[kernels.WAITING]) + more, kernels.COLUMNS), dtype=np.int64)

    def _settle(self, until: int) -> FlowBatch:
        out = self._room(0)
        rows = kernels.settle(
            until,
            0,
            self._serves,
            self._sampled,
            self._waiting,
            self._cursor,
            self._young,
            self._old,
            0,
            out,
        )
        return _unpacked(out[:rows])

    def _make_room(self, rows: int, out: NDArray[np.int64]) -> int:
        """Begin a young table, or grow the one that is there; return the rows written for what is dropped."""
        if self._used * 2 > len(self._young) and len(self._young) < self._spec.slots:
            larger = np.zeros((2 * len(self._young), kernels.WIDTH), dtype=np.int64)
            kernels.move(self._young, larger)
            self._young = larger
            return rows
        rows = kernels.give_up(self._old, self._serves, self._sampled, self._cursor, rows, out)
        if len(self._old) == len(self._young):
            self._young, self._old = self._old, self._young
            self._young[:] = 0
        else:
            self._old = self._young
            self._young = np.zeros_like(self._old)
        self._used = 0
        self._began = max(self._began, self.clock)
        return rows


def _packed(flows: FlowBatch) -> NDArray[np.int64]:
    """Return a batch as one array, shape (n, 13), in the order of the batch's columns."""
    packed = np.empty((len(flows), kernels.COLUMNS), dtype=np.int64)
    for at, column in enumerate(fields(FlowBatch)):
        packed[:, at] = getattr(flows, column.name)
    return packed


def _unpacked(rows: NDArray[np.int64]) -> FlowBatch:
    flows = FlowBatch.room(len(rows))
    for at, column in enumerate(fields(FlowBatch)):
        getattr(flows, column.name)[:] = rows[:, at]
    return flows
