"""A capture's bytes, wherever they come from and whatever they are packed in."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import CaptureError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from service.capture.chunks import ByteStream

STANDARD_INPUT = Path("-")

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
"""How a zstd frame that holds no data goes on after its first byte."""
_WINDOW_LOG = 27
"""zstd looks back 128 MiB at most, as its own program does unless told otherwise; all of it is memory."""
_BUFFER = 1 << 17


class Origin(io.RawIOBase):
    """A file or pipe that is read once; its first bytes can be looked at without seeking."""

    def __init__(self, raw: io.FileIO, *, named: bool) -> None:
        self._raw = raw
        self._ahead = b""
        self.position = 0
        """Bytes that were consumed."""
        self.regular = named and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
        """Whether it can be read again under its name."""

    def peek(self, count: int) -> bytes:
        """Return the first `count` bytes, or all that there are, and consume none; call it before reading."""
        while len(self._ahead) < count and (more := self._raw.read(count - len(self._ahead))):
            self._ahead += more
        return self._ahead[:count]

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """See `io.RawIOBase`."""
        view = memoryview(buffer)
        if self._ahead:
            got = min(len(view), len(self._ahead))
            view[:got] = self._ahead[:got]
            self._ahead = self._ahead[got:]
        else:
            got = self._raw.readinto(view) or 0
        self.position += got
        return got

    def readinto1(self, buffer: memoryview, /) -> int:
        """Do the same under the name that buffered files have for it."""
        return self.readinto(buffer)

    def pass_over(self, count: int) -> bool:
        """Go on so many bytes further without reading them; False if it is no regular file, or too short."""
        if not self.regular or self._ahead or self.position + count > os.fstat(self._raw.fileno()).st_size:
            return False
        self._raw.seek(count, os.SEEK_CUR)
        self.position += count
        return True

    def close(self) -> None:
        """See `io.IOBase`."""
        self._raw.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Opened:
    """A capture that is open."""

    origin: Origin
    stream: ByteStream
    """The unpacked bytes; raises EOFError or OSError where they are damaged."""
    packing: str
    """gzip, zstd, or nothing"""

    def close(self) -> None:
        """Let go of the file."""
        self.stream.close()
        self.origin.close()


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """What a library unpacks, piece by piece: never more at a time than is asked for."""

    stream: io.BufferedIOBase
    error: type[Exception]
    """What the library raises at damage, besides EOFError and OSError."""

    def readinto1(self, buffer: memoryview, /) -> int:
        try:
            return self.stream.readinto1(buffer)
        except self.error as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        self.stream.close()


class _FastGzip:
    """Gzip by Intel's library, which takes half the time but keeps the last bytes before damage for itself.

    So where it meets damage the file is read again by the slow one, from the beginning up to there.
    """

    def __init__(self, fast: io.BufferedIOBase, packed: io.BufferedReader[Any], path: Path) -> None:
        self._stream: ByteStream = fast
        self._packed = packed  # held, for it closes the file when it is let go of
        self._path = path
        self._again: io.BufferedReader | None = None
        self._done = 0

    def readinto1(self, buffer: memoryview, /) -> int:
        try:
            got = self._stream.readinto1(buffer)
        except Exception:  # the slow one will say what it is
            if self._again is not None:
                raise
            self._start_again(buffer)
            got = self._stream.readinto1(buffer)
        self._done += got
        return got

    def close(self) -> None:
        self._stream.close()
        if self._again is not None:
            self._again.close()

    def _start_again(self, room: memoryview) -> None:
        self._stream.close()
        self._again = self._path.open("rb")
        self._stream = _gunzip(self._again)
        left = self._done
        while left > 0:
            left -= self._stream.readinto1(room[:left])


def open_stream(path: Path) -> Opened:
    """Open a file, a pipe, or for ``-`` standard input; raises CaptureError if it can't be read.

    What the bytes are packed in is told by the first of them.
    """
    try:
        origin = Origin(_raw(path), named=path != STANDARD_INPUT)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        magic = origin.peek(4)
    except OSError as error:
        origin.close()
        raise _unreadable(path, error) from None
    if magic[:2] == _GZIP:
        packed = io.BufferedReader(origin, _BUFFER)
        return Opened(origin, (origin.regular and _fast_gunzip(packed, path)) or _gunzip(packed), "gzip")
    if magic == _ZSTD or (magic[1:] == _SKIPPABLE and magic[0] >> 4 == 5):
        return Opened(origin, _unzstd(io.BufferedReader(origin, _BUFFER)), "zstd")
    return Opened(origin, origin, "")


def _unreadable(path: Path, error: OSError) -> CaptureError:
    return CaptureError(f"{path}: can't be read: {error.strerror}; check the path and its permissions")


def _raw(path: Path) -> io.FileIO:
    if path != STANDARD_INPUT:
        return path.open("rb", buffering=0)
    if os.isatty(0):
        raise CaptureError("-: standard input is a terminal; pipe a capture into it, or name a file")
    return io.FileIO(0, closefd=False)


def _gunzip(packed: io.BufferedReader[Any]) -> ByteStream:
    return _Unpacked(gzip.GzipFile(fileobj=packed), zlib.error)


def _fast_gunzip(packed: io.BufferedReader[Any], path: Path) -> ByteStream | None:
    try:
        from isal import igzip  # noqa: PLC0415  (not on every machine)
    except ImportError:
        return None
    return _FastGzip(igzip.IGzipFile(fileobj=packed), packed, path)  # type: ignore[no-untyped-call]


def _unzstd(packed: io.BufferedReader[Any]) -> ByteStream:
    limits: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return _Unpacked(zstd.ZstdFile(packed, options=limits), zstd.ZstdError)
