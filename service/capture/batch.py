"""Packets, flows and attempts as columns: struct of arrays, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence


class Outcome:
    """What an `AttemptBatch` row tells."""

    ATTEMPT = 0
    """The source tried to begin a conversation."""
    ANSWERED = 1
    """The target took part in the conversation."""
    REFUSED = 2
    """The target, or a router before it, said no."""
    EXPIRED = 3
    """The packet's time to live ran out on the way: a traceroute, or a routing loop."""
    HUNG_UP = 4
    """The target agreed, and the source reset the connection at once: a scan of half-open connections."""
    EMPTY = 5
    """The target agreed, and the source soon closed the connection, as the first of both, and had sent no data."""


@dataclass(frozen=True, slots=True, eq=False)
class PacketBatch:
    """Packets that can be followed, in the order of the capture; all columns of length n.

    Raises ValueError if the columns differ in length.
    """

    time: NDArray[np.int64]
    """ns since the epoch"""
    source: NDArray[np.uint32]
    """Host number: unicast IPv4 as it is, everything else as `HostTable` numbers it."""
    target: NDArray[np.uint32]
    source_port: NDArray[np.uint16]
    target_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    """`service.capture.services.Protocol`"""
    event: NDArray[np.uint8]
    """What the packet does: constants of `service.capture.kernels.headers`."""
    flags: NDArray[np.uint16]
    """TCP's flags, whether there is payload or a group address, and marks of scanners."""

    def __post_init__(self) -> None:
        _check_lengths(self)

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def room(cls, n: int) -> PacketBatch:
        """Return n rows to be filled in."""
        return cls(
            time=np.empty(n, np.int64),
            source=np.empty(n, np.uint32),
            target=np.empty(n, np.uint32),
            source_port=np.empty(n, np.uint16),
            target_port=np.empty(n, np.uint16),
            protocol=np.empty(n, np.uint8),
            event=np.empty(n, np.uint8),
            flags=np.empty(n, np.uint16),
        )


@dataclass(frozen=True, slots=True, eq=False)
class AttemptBatch:
    """Attempts and what became of them; all columns of length n.

    Raises ValueError if the columns differ in length.
    """

    time: NDArray[np.int64]
    """Time of the attempt, ns since the epoch, also in the rows that tell its outcome."""
    source: NDArray[np.uint32]
    target: NDArray[np.uint32]
    service: NDArray[np.int32]
    outcome: NDArray[np.uint8]
    """`Outcome`"""
    tools: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """`service.capture.tools.Marks` of an attempt's packet; 0 where it was not seen, as in all other rows."""

    def __post_init__(self) -> None:
        if not len(self.tools):
            object.__setattr__(self, "tools", np.zeros(len(self.time), np.uint8))
        _check_lengths(self)

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def room(cls, n: int) -> AttemptBatch:
        """Return n rows to be filled in."""
        return cls(
            time=np.empty(n, np.int64),
            source=np.empty(n, np.uint32),
            target=np.empty(n, np.uint32),
            service=np.empty(n, np.int32),
            outcome=np.empty(n, np.uint8),
            tools=np.empty(n, np.uint8),
        )


class FlowState:
    """What a record of a flow says, or leaves open, about the flow."""

    OPEN = 0
    """Nothing: packets and flags have to tell."""
    ANSWERED = 1
    """The target took part."""
    UNANSWERED = 2
    """The target kept silent."""
    REFUSED = 3
    """The target, or a router before it, said no."""
    NO_ATTEMPT = 4
    """Nobody began anything: a stray answer, a reset, the middle of a conversation."""


UNKNOWN = -1
"""A number of packets that a record does not tell."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowBatch:
    """Flows as an exporter or a log tells them, in the order of the records; all columns of length n.

    Raises ValueError if the columns differ in length.
    """

    time: NDArray[np.int64]
    """Of the first packet, ns since the epoch."""
    end: NDArray[np.int64]
    """Of the last packet, ns since the epoch."""
    source: NDArray[np.uint32]
    """Host number, as in `PacketBatch`."""
    target: NDArray[np.uint32]
    source_port: NDArray[np.uint16]
    target_port: NDArray[np.uint16]
    """Of ICMP and ARP the number of the service, as in `PacketBatch`."""
    protocol: NDArray[np.uint8]
    """`service.capture.services.Protocol`"""
    packets: NDArray[np.int64]
    """From source to target, or `UNKNOWN`."""
    returned: NDArray[np.int64]
    """From target to source, or `UNKNOWN`, as in records of one direction."""
    flags: NDArray[np.uint16]
    """All flags of TCP that the source sent, one or-ed; and `service.capture.kernels.headers.GROUP`."""
    returned_flags: NDArray[np.uint16]
    """The same of the target."""
    state: NDArray[np.uint8]
    """`FlowState`"""
    directed: NDArray[np.bool_]
    """Whether the record itself says that the source began."""

    def __post_init__(self) -> None:
        _check_lengths(self)

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def room(cls, n: int) -> FlowBatch:
        """Return n rows to be filled in."""
        return cls(
            time=np.empty(n, np.int64),
            end=np.empty(n, np.int64),
            source=np.empty(n, np.uint32),
            target=np.empty(n, np.uint32),
            source_port=np.empty(n, np.uint16),
            target_port=np.empty(n, np.uint16),
            protocol=np.empty(n, np.uint8),
            packets=np.empty(n, np.int64),
            returned=np.empty(n, np.int64),
            flags=np.empty(n, np.uint16),
            returned_flags=np.empty(n, np.uint16),
            state=np.empty(n, np.uint8),
            directed=np.empty(n, np.bool_),
        )


Batch = TypeVar("Batch", PacketBatch, FlowBatch, AttemptBatch)


def take(batch: Batch, which: slice | NDArray[np.intp]) -> Batch:
    """Return some rows of a batch; a slice shares its memory."""
    return type(batch)(*(getattr(batch, name)[which] for name in batch.__dataclass_fields__))


def joined(batches: Sequence[Batch]) -> Batch:
    """Return the rows of batches, of which there is at least one, one batch after the other."""
    if len(batches) == 1:
        return batches[0]
    names = batches[0].__dataclass_fields__
    return type(batches[0])(*(np.concatenate([getattr(batch, name) for batch in batches]) for name in names))


def _check_lengths(batch: PacketBatch | FlowBatch | AttemptBatch) -> None:
    for name in batch.__dataclass_fields__:  # `fields` takes longer than a small batch
        if len(getattr(batch, name)) != len(batch.time):
            raise ValueError(f"{name}: length differs from that of time")
