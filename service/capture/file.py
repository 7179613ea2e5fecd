"""Capture files of any supported format, found by content."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from service.capture import pcap, pcapng
from service.capture.chunks import Chunks
from service.capture.decoder import Decoder
from service.capture.hosts import HostTable
from service.capture.records import Corrupt, RecordBlock
from service.capture.source import Damage, Losses
from service.capture.stream import Opened, open_stream
from service.capture.tunnels import Tunnels
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.capture.batch import PacketBatch
    from service.capture.records import RecordReader


class CaptureFile:
    """A capture as a `TrafficSource`: pcap or pcapng, plain, in gzip or in zstd; a file, a pipe, or ``-``.

    Raises CaptureError if it can't be opened or is no capture.
    """

    def __init__(self, path: Path, hosts: HostTable | None = None, tunnels: Tunnels = Tunnels.INNER) -> None:
        self.hosts = hosts or HostTable()
        self._path = path
        self._decoder = Decoder(self.hosts, tunnels)
        self._damage: Damage | None = None
        self._open()

    def _open(self) -> None:
        self._opened = open_stream(self._path)
        self._chunks = Chunks(self._opened.stream)
        try:
            reader = _reader(self._chunks, self._opened, self._path)
        except CaptureError:
            self.close()
            raise
        self._blocks: Iterator[RecordBlock] = reader.blocks(self._chunks)

    def batches(self) -> Iterator[PacketBatch]:
        """Yield the packets in order; ends early where the file is damaged, see `losses`."""
        if self._opened.origin.closed:
            self._open()
        name = str(self._path)
        try:
            for block in self._blocks:
                yield self._decoder.decode(block)
        except Corrupt as reason:
            self._damage = Damage(name, self._chunks.offset, self._chunks.broken or str(reason))
        else:
            if self._chunks.broken:
                self._damage = Damage(name, self._chunks.offset, self._chunks.broken)
        finally:
            self.close()

    def position(self) -> int:
        """Return how many bytes of the file, compressed if it is, were consumed."""
        return self._opened.origin.position

    def losses(self) -> Losses:
        """Return what was not followed up to now."""
        decoder = self._decoder
        return Losses(decoder.packets, decoder.unparsed(), self._damage, tunnelled=decoder.tunnelled())

    def first_time(self) -> int:
        """Return the time of the first packet, ns since the epoch, or 0; to be asked for before `batches`.

        A file is closed until it is read, so that a thousand can wait; a pipe stays open.
        """
        try:
            first = next(self._blocks, None)
        except Corrupt as reason:
            first, self._blocks = None, _corrupt(reason)
        if first is not None:
            self._blocks = chain([first], self._blocks)
        if self._opened.origin.regular:
            self.close()
            del self._chunks, self._blocks  # megabytes; `batches` makes them anew
        return 0 if first is None else int(first.time[0])

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()


def _corrupt(reason: Corrupt) -> Iterator[RecordBlock]:
    yield from ()
    raise reason


def _reader(chunks: Chunks, opened: Opened, path: Path) -> RecordReader:
    if not chunks.need(4):
        why = (
            f"the {opened.packing} data is damaged ({chunks.broken})"
            if chunks.broken
            else "it is shorter than 4 bytes"
        )
        raise CaptureError(f"{path}: not a capture file: {why}")
    magic = chunks.data[:4].tobytes()
    if magic in pcap.MAGIC:
        return pcap.PcapRecords()
    if magic == pcapng.MAGIC:
        return pcapng.PcapngRecords()
    raise CaptureError(
        f"{path}: not a capture file: it begins with {magic.hex(' ')}; give a pcap or pcapng file, plain "
        "or in gzip or zstd"
    )
