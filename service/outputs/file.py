"""Events as lines of a file that others read and rotate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import DeliveryError
from service.outputs.forms import Form, written

if TYPE_CHECKING:
    from pathlib import Path

    from service.outputs.output import Notice

_LONGEST_HALF = 1 << 22
"""Bytes of a line without an end that can be ours: an alert has a thousand sources at most."""
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class FileSpec:
    """The file, and what is written to it."""

    path: Path
    form: Form = Form.EVE
    mode: int = 0o640
    """Of a file that is made."""


class File:
    """Appends events, each on the disk before it counts as told.

    A file that was moved away or removed is made anew, so it may be rotated at any time. A line that a crash or a
    full disk cut off is removed: its event comes again.
    """

    def __init__(self, spec: FileSpec, version: str) -> None:
        self._spec, self._version = spec, version
        self._file: int | None = None

    def deliver(self, notice: Notice) -> None:
        """See `Output`."""
        line = written(self._spec.form, notice, self._version) + b"\n"
        try:
            self._append(self._opened(), line)
        except OSError as error:
            self.close()
            raise DeliveryError(f"{self._spec.path}: {error.strerror}", away=True) from error

    def close(self) -> None:
        """See `Output`."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    def _opened(self) -> int:
        if self._file is not None and not self._is_there(self._file):
            self.close()
        if self._file is None:
            new = not self._spec.path.exists()
            # Read as well: a half line has to be found.
            self._file = os.open(
                self._spec.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, self._spec.mode
            )
            if new:
                _sync_folder(self._spec.path.parent)
        return self._file

    def _is_there(self, file: int) -> bool:
        """Tell whether the open file is still the one of that name."""
        try:
            named = self._spec.path.stat()
        except FileNotFoundError:
            return False
        opened = os.fstat(file)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    @staticmethod
    def _append(file: int, line: bytes) -> None:
        # Another process may have been killed in the middle of a line since this one opened the file.
        _repair(file)
        size = os.fstat(file).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except OSError:
            if os.fstat(file).st_size > size:
                os.ftruncate(file, size)
            raise


def _repair(file: int) -> None:
    """Remove what follows the last line's end; if that is too long to be ours, end it instead."""
    size = end = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) == b"\n":
        return
    while end > max(0, size - _LONGEST_HALF):
        start = max(0, end - _PIECE)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    else:
        if end:
            os.write(file, b"\n")
            return
    if end < size:
        os.ftruncate(file, end)
        os.fsync(file)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
