"""Capture files of any supported format, found by content."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING

from service.capture import pcap, pcapng
from service.capture.decoder import Decoder
from service.capture.foreign import advice
from service.capture.hosts import HostTable
from service.capture.mark import BEGINNING, Mark
from service.capture.opening import Opening
from service.capture.records import Corrupt, RecordBlock
from service.capture.source import Damage, Losses
from service.capture.tunnels import Tunnels
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.capture.batch import PacketBatch
    from service.capture.records import RecordReader


_LONGEST_MAGIC = 16


class CaptureFile:
    """A capture as a `TrafficSource`: pcap or pcapng, plain, in gzip or in zstd; a file, a pipe, or ``-``.

    Raises CaptureError if it can't be opened or is no capture.
    """

    is_log = False

    def __init__(
        self,
        source: Path | Opening,
        hosts: HostTable | None = None,
        tunnels: Tunnels = Tunnels.INNER,
        at: Mark = BEGINNING,
    ) -> None:
        self.hosts = hosts or HostTable()
        self._opening = source if isinstance(source, Opening) else Opening(source)
        self._decoder = Decoder(self.hosts, tunnels)
        self._damage: Damage | None = None
        self._from = at
        self._begun = False
        try:
            self._blocks: Iterator[RecordBlock] | None = self._begin()
        except CaptureError:
            self.close()
            raise

    def _begin(self) -> Iterator[RecordBlock]:
        self._reader = _reader(self._opening)
        if self._from.offset:
            state = self._from.known()
            try:
                self._reader.resume(self._from.offset, state)
                self._decoder.resume(state["recent"])
            except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
                raise CaptureError(f"{self._opening.path}: mark: not one of this file: {error}") from None
        return self._reader.blocks(self._opening.chunks)

    def batches(self) -> Iterator[PacketBatch]:
        """Yield the packets in order; ends early where the file is damaged, see `losses`."""
        name, chunks = str(self._opening.path), self._opening.chunks
        blocks = self._begin() if self._blocks is None else self._blocks
        try:
            for block in blocks:
                self._begun = True
                yield self._decoder.decode(block)
        except Corrupt as reason:
            self._damage = Damage(name, chunks.offset, chunks.broken or str(reason))
        else:
            if chunks.broken:
                self._damage = Damage(name, chunks.offset, chunks.broken)
        finally:
            self.close()

    def position(self) -> int:
        """Return how many bytes of the file, compressed if it is, were consumed."""
        return self._opening.position

    def mark(self) -> Mark:
        """Return where to go on after the batches that were taken, see `TrafficFile`."""
        if not self._begun:
            return self._from
        state = {**self._reader.state(), "recent": self._decoder.state()}
        return Mark(self._opening.chunks.offset, json.dumps(state))

    def losses(self) -> Losses:
        """Return what was not followed up to now."""
        decoder = self._decoder
        return Losses(decoder.packets, decoder.unparsed(), self._damage, tunnelled=decoder.tunnelled())

    def first_time(self) -> int:
        """Return the time of the first packet, ns since the epoch, or 0; to be asked for before `batches`."""
        blocks = self._begin() if self._blocks is None else self._blocks
        try:
            first = next(blocks, None)
        except Corrupt as reason:
            first, blocks = None, _corrupt(reason)
        time = 0 if first is None else int(first.time[0])
        if self._opening.wait():
            self._blocks = None
        else:
            self._blocks = blocks if first is None else chain([first], blocks)
        return time

    def close(self) -> None:
        """Let go of the file."""
        self._opening.close()


def _corrupt(reason: Corrupt) -> Iterator[RecordBlock]:
    yield from ()
    raise reason


def _reader(opening: Opening) -> RecordReader:
    path, chunks = opening.path, opening.chunks
    if not chunks.need(4):
        why = (
            f"the {opening.packing} data is damaged ({chunks.broken})"
            if chunks.broken
            else "it is shorter than 4 bytes"
        )
        raise CaptureError(f"{path}: not a capture file: {why}")
    magic = chunks.data[chunks.at : chunks.at + 4].tobytes()
    if magic in pcap.MAGIC:
        return pcap.PcapRecords()
    if magic == pcapng.MAGIC:
        return pcapng.PcapngRecords()
    foreign = advice(chunks.data[chunks.at : chunks.end][:_LONGEST_MAGIC].tobytes())
    raise CaptureError(
        f"{path}: {foreign}"
        if foreign
        else f"{path}: not a capture file: it begins with {magic.hex(' ')}; give a pcap or pcapng file, plain "
        "or in gzip or zstd"
    )
