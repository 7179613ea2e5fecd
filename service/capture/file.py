"""Capture files of any supported format, found by content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.capture import pcap, pcapng
from service.capture.chunks import Chunks
from service.capture.decoder import Decoder
from service.capture.hosts import HostTable
from service.capture.records import Corrupt, RecordBlock
from service.capture.source import Damage, Losses
from service.capture.stream import open_stream
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.capture.batch import PacketBatch
    from service.capture.records import RecordReader


class CaptureFile:
    """A capture file as a `TrafficSource`: pcap or pcapng, plain or in gzip.

    Raises CaptureError if the file can't be opened or is no capture.
    """

    def __init__(self, path: Path, hosts: HostTable | None = None) -> None:
        self.hosts = hosts or HostTable()
        self._name = str(path)
        self._file, self._stream = open_stream(path)
        self._position = 0
        self._chunks = Chunks(self._stream)
        try:
            self._reader = _reader(self._chunks, path)
        except CaptureError:
            self.close()
            raise
        self._decoder = Decoder(self.hosts)
        self._damage: Damage | None = None

    def batches(self) -> Iterator[PacketBatch]:
        """Yield the packets in order; ends early where the file is damaged, see `losses`."""
        try:
            for block in self._reader.blocks(self._chunks):
                yield self._decoder.decode(block)
        except Corrupt as reason:
            self._damage = Damage(self._name, self._chunks.offset, self._chunks.broken or str(reason))
        else:
            if self._chunks.broken:
                self._damage = Damage(self._name, self._chunks.offset, self._chunks.broken)
        finally:
            self.close()

    def position(self) -> int:
        """Return how many bytes of the file, compressed if it is, were consumed."""
        return self._position if self._file.closed else self._file.tell()

    def losses(self) -> Losses:
        """Return what was not followed up to now."""
        return Losses(self._decoder.packets, self._decoder.unparsed(), self._damage)

    def first_time(self) -> int:
        """Return the time of the first packet, ns since the epoch, or 0; ends the reading."""
        for block in self._first_block():
            return int(block.time[0])
        return 0

    def close(self) -> None:
        """Let go of the file."""
        if not self._file.closed:
            self._position = self._file.tell()
        self._stream.close()
        self._file.close()

    def _first_block(self) -> Iterator[RecordBlock]:
        try:
            yield from self._reader.blocks(self._chunks)
        except Corrupt:
            return
        finally:
            self.close()


def _reader(chunks: Chunks, path: Path) -> RecordReader:
    if not chunks.need(4):
        why = f"the gzip data is damaged ({chunks.broken})" if chunks.broken else "it is shorter than 4 bytes"
        raise CaptureError(f"{path}: not a capture file: {why}")
    magic = chunks.data[:4].tobytes()
    if magic in pcap.MAGIC:
        return pcap.PcapRecords()
    if magic == pcapng.MAGIC:
        return pcapng.PcapngRecords()
    raise CaptureError(
        f"{path}: not a capture file: it begins with {magic.hex(' ')}; give a pcap or pcapng file, plain or gzip"
    )
