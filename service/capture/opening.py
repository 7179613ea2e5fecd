"""A file or pipe that traffic is read from: looked at first, then read, without seeking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.capture.chunks import Chunks
from service.capture.inflation import Inflation, InflationSpec
from service.capture.stream import Opened, open_stream

if TYPE_CHECKING:
    from pathlib import Path

    from service.capture.chunks import ByteStream


class Opening:
    """A path and its bytes, unpacked as far as `inflation` has it; raises CaptureError if it can't be opened.

    What was looked at is still there for whoever reads. A regular file can be let go of until it is read, so that
    a thousand can wait; a pipe stays open.
    """

    def __init__(self, path: Path, inflation: InflationSpec | None = None) -> None:
        self.path = path
        self._inflation = inflation
        self._open()

    def _open(self) -> None:
        self._opened: Opened = open_stream(self.path)
        self._chunks: Chunks | None = (
            Chunks(self._bounded(self._opened))
            if self._opened.packing
            else Chunks(self._opened.stream, self._opened.origin.pass_over)
        )

    def _bounded(self, opened: Opened) -> ByteStream:
        if self._inflation is None:
            return opened.stream
        return Inflation(opened.stream, lambda: opened.origin.position, self._inflation)

    @property
    def chunks(self) -> Chunks:
        """The bytes; of a file that was let go of from the beginning again."""
        if self._chunks is None:
            self._open()
        assert self._chunks is not None  # noqa: S101  (`_open` made it)
        return self._chunks

    @property
    def packing(self) -> str:
        """gzip, zstd or nothing."""
        return self._opened.packing

    @property
    def position(self) -> int:
        """Bytes of the file, packed if it is, that were consumed."""
        return self._opened.origin.position

    def wait(self) -> bool:
        """Let go of a regular file and its buffer, megabytes, and return True; a pipe is left as it is."""
        if not self._opened.origin.regular:
            return False
        self.close()
        self._chunks = None
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()
