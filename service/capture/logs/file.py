"""A log of flows as a `TrafficSource`, whatever tool wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from service.capture.chunks import Chunks
from service.capture.hosts import HostTable
from service.capture.logs.lines import Lines, TooLong, blocks
from service.capture.logs.tally import LineTally
from service.capture.source import Damage, Losses
from service.capture.stream import open_stream
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.capture.batch import FlowBatch


class LogReader(Protocol):
    """A format: turns lines into flows, one block after the other, headers included."""

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """Yield the flows of some lines; every other line is counted in the tally.

        Raises BadHeaderError if nothing that follows can be read.
        """
        ...


class BadHeaderError(Exception):
    """A header says nothing that the format can be read by; the message names what is missing."""


class LogFile:
    """A log, plain or packed. Raises CaptureError if the file can't be opened."""

    def __init__(self, path: Path, reader: Callable[[HostTable, LineTally], LogReader], hosts: HostTable) -> None:
        self.hosts = hosts
        self._name = str(path)
        self._tally = LineTally()
        self._reader = reader(hosts, self._tally)
        self._file, self._stream = open_stream(path)
        self._position = 0
        self._chunks = Chunks(self._stream)
        self._damage: Damage | None = None

    def batches(self) -> Iterator[FlowBatch]:
        """Yield the flows in the order of the lines.

        Ends early where the file is damaged, see `losses`. Raises CaptureError at the end if no line made sense.
        """
        try:
            for lines in blocks(self._chunks):
                yield from self._read(lines)
        except BadHeaderError as error:
            if not self._tally.good:
                raise CaptureError(f"{self._name}: {error}") from None
            self._damage = Damage(self._name, self._chunks.offset, str(error))
        finally:
            self.close()
        if self._chunks.broken:
            self._damage = Damage(self._name, self._chunks.offset, self._chunks.broken)
        self._refuse_rubbish()

    def position(self) -> int:
        """Return how many bytes of the file, packed if it is, were consumed."""
        return self._position if self._file.closed else self._file.tell()

    def losses(self) -> Losses:
        """Return what was not followed up to now."""
        return Losses(
            packets=0,
            unparsed=dict(self._tally.skipped),
            damage=self._damage,
            flows=self._tally.good,
            bad_lines=self._tally.bad_lines(self._name),
        )

    def first_time(self) -> int:
        """Return the earliest time of the first flows, ns since the epoch, or 0; ends the reading."""
        try:
            for batch in self.batches():
                return int(batch.time.min())
            return 0
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if not self._file.closed:
            self._position = self._file.tell()
        self._stream.close()
        self._file.close()

    def _read(self, lines: Lines | TooLong) -> Iterator[FlowBatch]:
        if isinstance(lines, TooLong):
            self._tally.bad("longer than any record", np.array([lines.number]))
            return
        for flows in self._reader.flows(lines):
            if len(flows):
                yield flows

    def _refuse_rubbish(self) -> None:
        """Raise CaptureError if there were lines, and none of them made sense."""
        bad = self._tally.bad_lines(self._name)
        if bad and not self._tally.good:
            count = sum(lines.count for lines in bad)
            raise CaptureError(
                f"{self._name}: none of {count} lines could be read; line {bad[0].first}: {bad[0].reason}; "
                "if it is a log of another kind, name that with --input"
            )
