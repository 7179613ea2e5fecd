"""Records become packets: the decoding kernel, and the count of what it could not follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import PacketBatch, take
from service.capture.kernels.fields import LAYER_SIZE
from service.capture.kernels.headers import RECENT, decode_plain
from service.capture.kernels.packets import decode_wrapped
from service.capture.tally import new_tally, tally_reasons, tally_tunnels
from service.capture.tunnels import Tunnels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.capture.hosts import HostTable
    from service.capture.records import RecordBlock


class Decoder:
    """Decodes the records of one source of traffic."""

    def __init__(self, hosts: HostTable, tunnels: Tunnels = Tunnels.INNER) -> None:
        self._hosts = hosts
        self._inside = tunnels is Tunnels.INNER
        self._tally = new_tally()
        self._recent = np.zeros((RECENT, 4), dtype=np.int64)
        self.packets = 0
        """All packets up to now, followed or not."""

    def decode(self, block: RecordBlock) -> PacketBatch:
        """Return the packets of a block that can be followed."""
        n = len(block.offset)
        self.packets += n
        batch = PacketBatch.room(n)
        arguments = (
            block.data,
            block.offset,
            block.length,
            block.time,
            block.link,
            self._hosts.words,
            self._hosts.slots,
            self._tally,
            batch.time,
            batch.source,
            batch.target,
            batch.source_port,
            batch.target_port,
            batch.protocol,
            batch.event,
            batch.flags,
            self._recent,
            np.zeros(2 * LAYER_SIZE, dtype=np.int64),
        )
        stopped, count = decode_plain(0, 0, *arguments)
        if stopped < n:
            count = decode_wrapped(stopped, count, self._inside, *arguments)
        return take(batch, slice(count))

    def state(self) -> list[list[int]]:
        """Return what later packets may be compared with: row, and the numbers that stand there."""
        rows = np.flatnonzero(self._recent.any(axis=1))
        return [[row, *numbers] for row, numbers in zip(rows.tolist(), self._recent[rows].tolist(), strict=True)]

    def resume(self, state: Sequence[Sequence[int]]) -> None:
        """Go on as the decoder whose state it was; raises TypeError, ValueError or IndexError if it is none."""
        for row, *numbers in state:
            self._recent[row] = numbers

    def unparsed(self) -> dict[str, int]:
        """Return the packets that are not followed, by reason."""
        return tally_reasons(self._tally)

    def tunnelled(self) -> dict[str, int]:
        """Return the packets that were read through a tunnel, by the kind of the outermost one."""
        return tally_tunnels(self._tally)
