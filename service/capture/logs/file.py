"""A log of flows as a `TrafficSource`, whatever tool wrote it."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import numpy as np

from service.capture.batch import joined
from service.capture.hosts import HostTable
from service.capture.logs.lines import Lines, TooLong, blocks
from service.capture.logs.tally import LineTally
from service.capture.mark import BEGINNING, Mark
from service.capture.opening import Opening
from service.capture.source import Damage, Losses
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.capture.batch import FlowBatch
    from service.capture.chunks import Chunks


class LogReader(Protocol):
    """A format: turns lines into flows, one block after the other, headers included."""

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """Yield the flows of some lines; every other line is counted in the tally.

        Raises BadHeaderError if nothing that follows can be read.
        """
        ...

    def preamble(self) -> list[str]:
        """Return lines from which another reader learns what this one knows: headers."""
        ...


class BadHeaderError(Exception):
    """A header says nothing that the format can be read by; the message names what is missing."""


class LogFile:
    """A log, plain or packed. Raises CaptureError if the file can't be opened."""

    is_log = True

    def __init__(
        self,
        source: Path | Opening,
        reader: Callable[[HostTable, LineTally], LogReader],
        hosts: HostTable,
        at: Mark = BEGINNING,
    ) -> None:
        self.hosts = hosts
        self._opening = source if isinstance(source, Opening) else Opening(source)
        self._name = str(self._opening.path)
        self._make_reader = reader
        self._damage: Damage | None = None
        self._mark = at
        self._begin(at)

    def _begin(self, at: Mark) -> None:
        self._from, self._handed = at, at
        self._tally = LineTally()
        self._flows = self._read_all(self._make_reader(self.hosts, self._tally), at)

    def batches(self) -> Iterator[FlowBatch]:
        """Yield the flows in the order of the lines.

        Ends early where the file is damaged, see `losses`. Raises CaptureError at the end if no line made sense.
        """
        for flows in self._flows:
            self._from = self._handed
            yield flows

    def _read_all(self, reader: LogReader, at: Mark) -> Iterator[FlowBatch]:
        chunks = self._opening.chunks
        number = self._learn(reader, at)
        try:
            if at.offset and not chunks.go_to(at.offset):
                self._damage = Damage(self._name, chunks.offset, f"the file ends before byte {at.offset}")
                return
            for lines in blocks(chunks, number):
                yield from self._read(reader, lines, chunks)
        except BadHeaderError as error:
            if not self._tally.good:
                raise CaptureError(f"{self._name}: {error}") from None
            self._damage = Damage(self._name, chunks.offset, str(error))
        finally:
            self.close()
        if chunks.broken:
            self._damage = Damage(self._name, chunks.offset, chunks.broken)
        self._refuse_rubbish()

    def _learn(self, reader: LogReader, at: Mark) -> int:
        """Have a reader know what it has to at a mark, and return the number of the line there."""
        if not at.offset:
            return 1
        state = at.known()
        texts, number = state.get("preamble"), state.get("line")
        if (
            not isinstance(number, int)
            or not isinstance(texts, list)
            or any(type(text) is not str for text in texts)
        ):
            raise CaptureError(f"{self._name}: mark: not one of a log")
        if texts:
            try:
                list(reader.flows(Lines(texts, np.zeros(len(texts), np.int64))))
            except BadHeaderError as error:
                raise CaptureError(f"{self._name}: mark: not one of this log: {error}") from None
        return number

    def mark(self) -> Mark:
        """Return where to go on after the batches that were taken, see `service.capture.source.TrafficFile`."""
        return self._from

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
            self._begin(self._from)
        elif first is not None:
            self._flows = chain([first], self._flows)
        return 0 if first is None else int(first.time.min())

    def close(self) -> None:
        """Let go of the file."""
        self._opening.close()

    def _read(self, reader: LogReader, lines: Lines | TooLong, chunks: Chunks) -> Iterator[FlowBatch]:
        """Yield the flows of a block of lines as one batch, so that the file can be read on after it."""
        if isinstance(lines, TooLong):
            self._tally.bad("longer than any record", np.array([lines.number]))
            return
        found: list[FlowBatch] = []
        try:
            found.extend(flows for flows in reader.flows(lines) if len(flows))
        finally:
            if found:
                state = {"line": lines.following, "preamble": reader.preamble()}
                self._handed = Mark(chunks.offset, json.dumps(state))
                yield joined(found)

    def _refuse_rubbish(self) -> None:
        """Raise CaptureError if there were lines, and none of them made sense."""
        bad = self._tally.bad_lines(self._name)
        if bad and not self._tally.good:
            count = sum(lines.count for lines in bad)
            raise CaptureError(
                f"{self._name}: none of {count} lines could be read; line {bad[0].first}: {bad[0].reason}; "
                "if it is a log of another kind, name that with --input"
            )
