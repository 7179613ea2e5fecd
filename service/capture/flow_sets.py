"""Sets of data records, until those of many datagrams are decoded together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import FlowBatch, take
from service.capture.kernels import flow_records as records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.capture.flow_templates import Template
    from service.capture.hosts import HostTable


class SetBatch:
    """The sets of some datagrams, until they are decoded together."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._length = 0
        self._sets: list[tuple[int, int, int, int, int, int, int]] = []
        self._programs: dict[Template, tuple[int, int]] = {}
        self._rows: list[NDArray[np.int64]] = []
        self._used = 0

    def begin(self, data: bytes) -> int:
        """Add a datagram, and return where its first byte stands."""
        self._chunks.append(data)
        self._length += len(data)
        return self._length - len(data)

    def add(self, begin: int, end: int, template: Template, export: int, boot: int) -> None:
        """Add a set of records of flows."""
        assert template.program is not None  # noqa: S101  (others are not added)
        place = self._programs.get(template)
        if place is None:
            place = (self._used, self._used + len(template.program))
            self._programs[template] = place
            self._rows.append(template.program)
            self._used = place[1]
        self._sets.append((begin, end, *place, template.least, export, boot))

    def __len__(self) -> int:
        return len(self._sets)

    def decode(self, hosts: HostTable, tally: NDArray[np.int64]) -> tuple[FlowBatch, NDArray[np.int64]]:
        """Return the flows, and the number of records of each set; what can't be followed is tallied."""
        found = np.zeros(len(self._sets), dtype=np.int64)
        if not self._sets:
            return FlowBatch.room(0), found
        sets = np.array(self._sets, dtype=np.int64)
        flows = FlowBatch.room(int(((sets[:, 1] - sets[:, 0]) // sets[:, 4]).sum()))
        rows = records.decode(
            np.frombuffer(b"".join(self._chunks), dtype=np.uint8),
            sets,
            np.concatenate(self._rows),
            hosts.words,
            hosts.slots,
            tally,
            found,
            flows.time,
            flows.end,
            flows.source,
            flows.target,
            flows.source_port,
            flows.target_port,
            flows.protocol,
            flows.packets,
            flows.returned,
            flows.flags,
            flows.returned_flags,
            flows.state,
            flows.directed,
        )
        return take(flows, slice(rows)), found
