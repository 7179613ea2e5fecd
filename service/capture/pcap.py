"""The classic capture format (draft-ietf-opsawg-pcap), both byte orders, micro- and nanoseconds.

Also its "modified" form of old Linux systems, whose records have a longer header.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from service.capture.kernels import records as kernels
from service.capture.records import Corrupt, RecordBlock, RecordColumns, go_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.capture.chunks import Chunks

_MODIFIED_HEADER = kernels.PACKET_HEADER + 8  # interface, protocol, kind of packet

# The first four bytes of a file: is it big-endian, how many ns has a tick, how long is a record's header?
MAGIC = {
    b"\xd4\xc3\xb2\xa1": (False, 1000, kernels.PACKET_HEADER),
    b"\xa1\xb2\xc3\xd4": (True, 1000, kernels.PACKET_HEADER),
    b"\x4d\x3c\xb2\xa1": (False, 1, kernels.PACKET_HEADER),
    b"\xa1\xb2\x3c\x4d": (True, 1, kernels.PACKET_HEADER),
    b"\x34\xcd\xb2\xa1": (False, 1000, _MODIFIED_HEADER),
    b"\xa1\xb2\xcd\x34": (True, 1000, _MODIFIED_HEADER),
}
_HEADER = 24
_LARGEST_SNAP_LENGTH = 262_144  # libpcap's MAXIMUM_SNAPLEN


class PcapRecords:
    """Reads the records of a classic capture file; its header says all that has to be known."""

    def __init__(self) -> None:
        self._offset = 0

    def state(self) -> dict[str, Any]:
        """Return nothing: see `service.capture.records.RecordReader`."""
        return {}

    def resume(self, offset: int, _: Mapping[str, Any]) -> None:
        """Have `blocks` begin at the record that stands there."""
        self._offset = offset

    def blocks(self, chunks: Chunks) -> Iterator[RecordBlock]:
        """Yield the records; raises Corrupt at a record that is longer than any packet."""
        if not chunks.need(_HEADER):
            raise Corrupt("the file header is cut short")
        header = chunks.take(_HEADER)
        big, ns_per_tick, record_header = MAGIC[header[:4]]
        snap_length, link = struct.unpack(">II" if big else "<II", header[16:24])
        longest = max(_LARGEST_SNAP_LENGTH, min(snap_length, 1 << 23))
        go_to(chunks, self._offset)
        columns = RecordColumns.empty()
        columns.link[:] = link & 0xFFFF  # the upper bits tell of checksums at the end of frames
        while True:
            count, chunks.at, ended = kernels.pcap_records(
                chunks.data,
                chunks.at,
                chunks.end,
                big,
                ns_per_tick,
                record_header,
                longest,
                columns.offset,
                columns.length,
                columns.time,
            )
            if count:
                yield columns.block(chunks.data, count)
            if ended == kernels.CORRUPT:
                raise Corrupt(f"a record claims more than {longest} bytes")
            if ended == kernels.MORE and not chunks.more():
                break
        if chunks.end > chunks.at:
            raise Corrupt(f"the file ends inside a record, {chunks.end - chunks.at} bytes after its beginning")
