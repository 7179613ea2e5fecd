"""A file's bytes, whatever they are packed in."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from service.errors import CaptureError

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

    from service.capture.chunks import ByteStream

_GZIP = b"\x1f\x8b"


def open_stream(path: Path) -> tuple[BufferedReader, ByteStream]:
    """Return the file, for progress, and its unpacked bytes; raises CaptureError if it can't be read."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise CaptureError(f"{path}: can't be read: {error.strerror}; check the path and its permissions") from None
    try:
        magic = file.read(2)
        file.seek(0)
    except OSError as error:
        file.close()
        raise CaptureError(f"{path}: can't be read twice ({error}); give a file, not a pipe") from None
    return file, gzip.GzipFile(fileobj=file) if magic == _GZIP else file
