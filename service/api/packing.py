"""Bodies that come packed (``Content-Encoding``, RFC 9110, 8.4), unpacked piece by piece: never much at a time."""

from __future__ import annotations

import sys
import zlib
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, cast

from starlette.exceptions import HTTPException

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 1 << 18
"""Bytes that are unpacked at a time."""

_SLICE = 1 << 12
"""Packed bytes that are looked at at a time: so exactly is it known where they are damaged."""
_MOST_MEMBERS = 1 << 16
"""Of one stream. They may be empty, and each takes its time: nobody needs so many, not even bgzip of 256 MiB."""
_WINDOW_LOG = 23
"""zstd looks back 8 MiB at most, as RFC 9659 wants it of content codings."""


class Decompressor(Protocol):
    """Unpacks one member of a stream."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether there is no more without further data."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given and came after its end."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return what follows, at most so many bytes; an error of its library if that is damaged."""
        ...


class ZlibGzip:
    """Gzip by the standard library, with the interface of all others."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """See `Decompressor`."""
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        """See `Decompressor`."""
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """See `Decompressor`."""
        found = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        # Up to the bound there may be more that it holds back.
        self.needs_input = not self._stream.unconsumed_tail and len(found) < max_length
        return found


def _gzip() -> tuple[Callable[[], Decompressor], type[Exception]]:
    try:
        from isal import igzip_lib  # noqa: PLC0415  (not on every machine)
    except ImportError:
        return ZlibGzip, zlib.error
    make = partial(igzip_lib.IgzipDecompressor, flag=igzip_lib.DECOMP_GZIP)
    return make, cast("type[Exception]", igzip_lib.error)


def _zstd() -> Decompressor:
    limits: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return zstd.ZstdDecompressor(options=limits)


_MAKE_GZIP, _GZIP_ERROR = _gzip()
_MAKERS: dict[str, Callable[[], Decompressor]] = {"gzip": _MAKE_GZIP, "zstd": _zstd}
_DAMAGE = (EOFError, zlib.error, zstd.ZstdError, _GZIP_ERROR)

CODINGS = tuple(_MAKERS)
"""What a body may be packed with."""


class Unpacker:
    """Unpacks a stream: feed it, and take until nothing comes. Members that follow one another are one stream.

    All raise HTTPException 400 where it is damaged. `make` makes what unpacks a member, `coding` is its name.
    """

    def __init__(self, coding: str, make: Callable[[], Decompressor] | None = None) -> None:
        self._coding = coding
        self._make = make or _MAKERS[coding]
        self._member: Decompressor | None = None
        self._members = 0
        self._waiting = memoryview(b"")
        self._rest = b""
        self.seen = 0
        """Packed bytes that were looked at."""

    def feed(self, data: bytes) -> None:
        """Take packed bytes; what was fed before has been taken out."""
        self._waiting = memoryview(data)

    def take(self) -> bytes:
        """Return what follows, at most `PIECE` bytes; nothing when more has to be fed."""
        while True:
            member = self._member
            if member is None or member.needs_input:
                data = self._next()
                if not data:
                    return b""
                member = self._member or self._begin()
            else:
                data = b""
            if found := self._unpacked(member, data):
                return found

    def finish(self) -> None:
        """Raise HTTPException 400 if the stream is cut off, or there was none."""
        if self._member is not None or not self._members:
            raise _damaged(
                f"the body ends at byte {self.seen}, before its {self._coding} data does; send all of it"
            )

    def _next(self) -> bytes:
        data = self._rest
        if data:
            self._rest = b""
        else:
            data, self._waiting = bytes(self._waiting[:_SLICE]), self._waiting[_SLICE:]
        self.seen += len(data)
        return data

    def _begin(self) -> Decompressor:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise _damaged(f"the body has more than {_MOST_MEMBERS} members of {self._coding}; pack it as one")
        self._member = self._make()
        return self._member

    def _unpacked(self, member: Decompressor, data: bytes) -> bytes:
        try:
            found = member.decompress(data, PIECE)
        except _DAMAGE as error:
            raise _damaged(
                f"the body is no {self._coding} data, or damaged, at byte {self.seen} or before: {error}"
            ) from None
        if member.eof:
            self._rest, self._member = member.unused_data, None
            self.seen -= len(self._rest)
        return found


def _damaged(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, detail)
