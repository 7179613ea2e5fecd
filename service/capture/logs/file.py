"""A log of flows as a `TrafficSource`, whatever tool wrote it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Protocol

import numpy as np

from service.capture.hosts import HostTable
from service.capture.logs.lines import Lines, TooLong, blocks
from service.capture.logs.tally import LineTally
from service.capture.opening import Opening
from service.capture.source import Damage, Losses
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

    is_log = True

    def __init__(
        self, source: Path | Opening, reader: Callable[[HostTable, LineTally], LogReader], hosts: HostTable
    ) -> None:
        self.hosts = hosts
        self._opening = source if isinstance(source, Opening) else Opening(source)
        self._name = str(self._opening.path)
        self._make_reader = reader
        self._damage: Damage | None = None
        self._begin()

    def _begin(self) -> None:
        self._tally = LineTally()
        self._flows = self._read_all(self._make_reader(self.hosts, self._tally))

    def batches(self) -> Iterator[FlowBatch]:
        """Yield the flows in the order of the lines.

        Ends early where the file is damaged, see `losses`. Raises CaptureError at the end if no line made sense.
        """
        return self._flows

    def _read_all(self, reader: LogReader) -> Iterator[FlowBatch]:
        chunks = self._opening.chunks
        try:
            for lines in blocks(chunks):
                yield from self._read(reader, lines)
        except BadHeaderError as error:
            if not self._tally.good:
                raise CaptureError(f"{self._name}: {error}") from None
            self._damage = Damage(self._name, chunks.offset, str(error))
        finally:
            self.close()
        if chunks.broken:
            self._damage = Damage(self._name, chunks.offset, chunks.broken)
        self._refuse_rubbish()

    def position(self) -> int:
        """Return how many bytes of the file, packed if it is, were consumed."""
        return self._opening.position

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
        """Return the earliest time of the first flows, or 0; see `TrafficFile`."""
        first = next(self._flows, None)
        if self._opening.wait():
            self._begin()
        elif first is not None:
            self._flows = chain([first], self._flows)
        return 0 if first is None else int(first.time.min())

    def close(self) -> None:
        """Let go of the file."""
        self._opening.close()

    def _read(self, reader: LogReader, lines: Lines | TooLong) -> Iterator[FlowBatch]:
        if isinstance(lines, TooLong):
            self._tally.bad("longer than any record", np.array([lines.number]))
            return
        for flows in reader.flows(lines):
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
