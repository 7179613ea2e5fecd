"""A file as a row of chunks, so that memory doesn't grow with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CHUNK = 1 << 20
PIECE = 1 << 18
"""Bytes that are asked for at a time: gzip makes room for so many, however few it has."""
LONGEST = 1 << 24
"""No record or block may be longer, bytes."""


class ByteStream(Protocol):
    """The part of a binary file that is needed."""

    def readinto1(self, buffer: memoryview, /) -> int:
        """Read some bytes into the buffer; 0 at the end. Raises EOFError or OSError at damage.

        `readinto` would throw away what it had read of a damaged gzip file before the damage.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Chunks:
    """A window of bytes that slides over a stream.

    `pass_over` goes on in the stream so many bytes further without reading them, or returns False if it can't.
    """

    def __init__(self, stream: ByteStream, pass_over: Callable[[int], bool] = lambda _: False) -> None:
        self._stream = stream
        self._pass_over = pass_over
        self._buffer = bytearray(CHUNK)
        self.data: NDArray[np.uint8] = np.frombuffer(self._buffer, dtype=np.uint8)
        self.at = 0
        """First byte in `data` that is not consumed."""
        self.end = 0
        """End of the valid bytes in `data`."""
        self._before = 0
        self.broken: str | None = None
        """Why the stream itself could not be read on, such as damaged gzip data."""

    @property
    def offset(self) -> int:
        """Offset in the stream of the first byte that is not consumed."""
        return self._before + self.at

    def more(self) -> bool:
        """Drop what is consumed and read on; False at the end of the stream."""
        left = self.end - self.at
        if left == len(self._buffer):
            self._grow()
        if self.at:
            self.data[:left] = self.data[self.at : self.end].copy()
        self._before += self.at
        self.at, self.end = 0, left
        while self.end < len(self._buffer) and self._read(memoryview(self._buffer)[self.end :][:PIECE]):
            pass
        return self.end > left

    def need(self, count: int) -> bool:
        """Make `count` bytes available from `at` on; False if the stream has fewer."""
        while self.end - self.at < count:
            if not self.more():
                return False
        return True

    def go_to(self, offset: int) -> bool:
        """Consume all up to an offset in the stream; False if it is shorter, or that was consumed already."""
        if offset < self.offset:
            return False
        if offset > self._before + self.end and self._pass_over(offset - self._before - self.end):
            self._before, self.at, self.end = offset, 0, 0
        while offset > self._before + self.end:
            self.at = self.end
            if not self.more():
                return False
        self.at = offset - self._before
        return True

    def take(self, count: int) -> bytes:
        """Return and consume `count` bytes that `need` has made available."""
        found = bytes(self.data[self.at : self.at + count])
        self.at += count
        return found

    def _read(self, room: memoryview) -> bool:
        if self.broken is not None:
            return False
        try:
            got = self._stream.readinto1(room)
        except (EOFError, OSError) as error:  # both mean packed data that is damaged
            self.broken = str(error)
            return False
        self.end += got
        return bool(got)

    def _grow(self) -> None:
        self._buffer = bytearray(min(2 * len(self._buffer), LONGEST + CHUNK))
        grown = np.frombuffer(self._buffer, dtype=np.uint8)
        grown[: self.end] = self.data[: self.end]
        self.data = grown
