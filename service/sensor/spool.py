"""Windows on disk, in order, until they are sent."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from service.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"(\d{16})\.window")
_UNFINISHED = ".part"
_POSITION = "position"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class SpoolSpec:
    """Where windows wait, and how many; raises ValueError unless `most_bytes` is positive."""

    folder: Path
    most_bytes: int = 1 << 30
    """Beyond, the oldest are shed."""

    def __post_init__(self) -> None:
        if self.most_bytes < 1:
            raise ValueError(f"most_bytes: {self.most_bytes} is not positive")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A window in the spool: its number, larger than those of all before it, and its size in bytes."""

    number: int
    size: int


class Spool:
    """Keeps windows in a folder of its own, one file each; what `put` returns from outlives a crash.

    One thread may put while another takes. Raises SettingsError if the folder can't be used, or another process
    uses it.
    """

    def __init__(self, spec: SpoolSpec) -> None:
        self._spec = spec
        self._changing = threading.Lock()
        try:
            spec.folder.mkdir(parents=True, exist_ok=True)
            self._owned = self._own()
            self._waiting = deque(self._found())
        except OSError as error:
            raise SettingsError(
                f"{spec.folder}: {error.strerror}; name a folder that may be written with --spool"
            ) from None
        self._next = self._waiting[-1].number + 1 if self._waiting else 1
        self._bytes = sum(each.size for each in self._waiting)
        self.shed = 0
        """Windows that were shed since the start, because there was no room."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, document: bytes, position: int) -> None:
        """Keep a window behind all others, and `position`, ns since the epoch: what was counted up to then is here.

        Raises OSError if the disk refuses; then nothing is changed.
        """
        with self._changing:
            number = self._next
            self._write(f"{number:016d}.window", document)
            self._write(_POSITION, str(position).encode())
            self._next += 1
            self._waiting.append(Waiting(number, len(document)))
            self._bytes += len(document)
            while self._bytes > self._spec.most_bytes and len(self._waiting) > 1:
                self._drop(self._waiting[0])
                self.shed += 1

    def oldest(self) -> tuple[Waiting, bytes] | None:
        """Return the window to be sent next, or None."""
        with self._changing:
            if not self._waiting:
                return None
            return self._waiting[0], self._path(self._waiting[0]).read_bytes()

    def done(self, window: Waiting) -> None:
        """Forget a window that was sent; one that was shed meanwhile is forgotten already."""
        with self._changing:
            if self._waiting and self._waiting[0] == window:
                self._drop(window)

    def position(self) -> int:
        """Return the latest position that `put` was told, or 0."""
        try:
            text = (self._spec.folder / _POSITION).read_text()
        except FileNotFoundError:
            return 0
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0

    def close(self) -> None:
        """Let another process use the folder."""
        self._owned.close()

    def _own(self) -> TextIO:
        lock = (self._spec.folder / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise SettingsError(
                f"{self._spec.folder}: another process sends from here; name another folder with --spool"
            ) from None
        return lock

    def _found(self) -> list[Waiting]:
        found = []
        for path in self._spec.folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match:
                found.append(Waiting(int(match[1]), path.stat().st_size))
            elif path.suffix == _UNFINISHED:
                path.unlink()
        return sorted(found, key=lambda each: each.number)

    def _path(self, window: Waiting) -> Path:
        return self._spec.folder / f"{window.number:016d}.window"

    def _drop(self, window: Waiting) -> None:
        self._path(window).unlink(missing_ok=True)
        self._waiting.popleft()
        self._bytes -= window.size

    def _write(self, name: str, content: bytes) -> None:
        """Write a file that is there wholly or not at all."""
        unfinished = self._spec.folder / (name + _UNFINISHED)
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._spec.folder / name)
        folder = os.open(self._spec.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
