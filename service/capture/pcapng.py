"""The pcapng capture format (draft-ietf-opsawg-pcapng): sections, interfaces, packets."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from service.capture.chunks import LONGEST
from service.capture.kernels import records as kernels
from service.capture.records import Corrupt, RecordBlock, RecordColumns, go_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from service.capture.chunks import Chunks

MAGIC = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER = {b"\x1a\x2b\x3c\x4d": True, b"\x4d\x3c\x2b\x1a": False}
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14  # options of an interface
_MOST_INTERFACES = 1 << 16


class PcapngRecords:
    """Reads the packets of a pcapng file, section by section."""

    def __init__(self) -> None:
        self._big = False
        self._described: NDArray[np.int64] = np.empty((4, 4), dtype=np.int64)
        self._count = 0
        self._latest = 0
        self._offset = 0

    def state(self) -> dict[str, Any]:
        """Return the section's byte order and interfaces, and the time of the latest packet."""
        return {
            "big": self._big,
            "interfaces": self._described[: self._count].tolist(),
            "latest": self._latest,
        }

    def resume(self, offset: int, state: Mapping[str, Any]) -> None:
        """Have `blocks` begin at the block that stands there; see `service.capture.records.RecordReader`."""
        described = np.array(state["interfaces"], dtype=np.int64).reshape(-1, 4)
        if len(described) > _MOST_INTERFACES or (described[:, 2] < 1).any():
            raise ValueError("interfaces: too many, or one without ticks")
        self._big, self._latest, self._offset = bool(state["big"]), int(state["latest"]), offset
        self._described, self._count = np.concatenate([described, self._described]), len(described)

    def blocks(self, chunks: Chunks) -> Iterator[RecordBlock]:
        """Yield the packets; raises Corrupt at a block that can't be one."""
        go_to(chunks, self._offset)
        columns = RecordColumns.empty()
        while True:
            count, chunks.at, ended = kernels.pcapng_records(
                chunks.data,
                chunks.at,
                chunks.end,
                self._big,
                LONGEST,
                self._described[: self._count],
                self._latest,
                columns.offset,
                columns.length,
                columns.time,
                columns.link,
            )
            if count:
                self._latest = int(columns.time[count - 1])
                yield columns.block(chunks.data, count)
            if ended == kernels.CONTROL:
                self._control(chunks)
            elif ended == kernels.CORRUPT:
                raise Corrupt("a block's lengths contradict each other, or it names an unknown interface")
            elif ended == kernels.MORE and not chunks.more():
                break
        if chunks.end > chunks.at:
            raise Corrupt(f"the file ends inside a block, {chunks.end - chunks.at} bytes after its beginning")

    def _control(self, chunks: Chunks) -> None:
        """Take in a section or interface block."""
        if not chunks.need(12):
            raise Corrupt("the file ends inside a block")
        head = chunks.data[chunks.at : chunks.at + 12].tobytes()
        section = head[:4] == MAGIC
        if section:
            if head[8:12] not in _BYTE_ORDER:
                raise Corrupt("a section has no byte order")
            self._big = _BYTE_ORDER[head[8:12]]
        size = self._int(head[4:8])
        if size < (28 if section else 20) or size % 4 or size > LONGEST:
            raise Corrupt(f"a block claims {size} bytes")
        if not chunks.need(size):
            raise Corrupt("the file ends inside a block")
        body = chunks.data[chunks.at : chunks.at + size].tobytes()
        if self._int(body[-4:]) != size:
            raise Corrupt("a block tells two different lengths")
        chunks.at += size
        if section:
            self._count = 0
        elif self._count < _MOST_INTERFACES:
            self._add(self._interface(body))
        else:
            raise Corrupt(f"a section describes more than {_MOST_INTERFACES} interfaces")

    def _add(self, interface: NDArray[np.int64]) -> None:
        if self._count == len(self._described):  # doubled: a hostile file may describe thousands
            self._described = np.concatenate([self._described, np.empty_like(self._described)])
        self._described[self._count] = interface
        self._count += 1

    def _interface(self, body: bytes) -> NDArray[np.int64]:
        """Return link type, snap length, ticks a second, and offset in ns of an interface block."""
        ticks, offset = 1_000_000, 0
        for code, value in self._options(body[16:-4]):
            if code == _TIME_RESOLUTION and len(value) == 1:
                power = value[0] & 0x7F
                ticks = 2 ** min(power, 62) if value[0] & 0x80 else 10 ** min(power, 18)
            elif code == _TIME_OFFSET and len(value) == 8:
                seconds = struct.unpack(">q" if self._big else "<q", value)[0]
                offset = seconds * 1_000_000_000 if abs(seconds) < 1 << 33 else 0
        link = self._int(body[8:10])
        return np.array([link, self._int(body[12:16]), ticks, offset], dtype=np.int64)

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(data):
            code, size = self._int(data[at : at + 2]), self._int(data[at + 2 : at + 4])
            if code == 0:
                return
            yield code, data[at + 4 : at + 4 + size]
            at += 4 + (size + 3) // 4 * 4

    def _int(self, data: bytes) -> int:
        return int.from_bytes(data, "big" if self._big else "little")
