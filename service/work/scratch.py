"""Files that are needed while an upload is read, and their disk, which may be full."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from service.disk import is_full, unwritten
from service.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Scratch:
    """A file without a name: whatever ends this process, nothing is left of it."""

    def __init__(self, file: IO[bytes]) -> None:
        # Without a buffer: a disk that is full shows when something is written, not when the file is closed.
        self._file = file

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._file.fileno()

    def write(self, data: bytes) -> None:
        """Write all of something; raises FullError if there is no room, and StoreError if it can't be written."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _unusable(error) from error

    def read(self, size: int) -> bytes:
        """Return what follows, fewer bytes at its end only."""
        return self._file.read(size)

    def rewind(self) -> None:
        """Go to the beginning."""
        self._file.seek(0)


@contextmanager
def scratch(folder: Path | None) -> Iterator[Scratch]:
    """Open a file in a folder, or in that for temporary files; raises as `Scratch.write` does."""
    try:
        file = tempfile.TemporaryFile(prefix="yocho-", dir=folder, buffering=0)  # noqa: SIM115  (closed below)
    except OSError as error:
        raise _unusable(error) from error
    with file:
        yield Scratch(file)


def _unusable(error: OSError) -> StoreError:
    what = "uploads can't be read now: the folder for temporary files"
    return (
        unwritten(what, error) if is_full(error) else StoreError(f"{what} can't be used: {error.strerror or error}")
    )
