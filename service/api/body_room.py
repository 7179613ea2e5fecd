"""Bodies that are in memory at the same time: each has a bound of its own, and all of them have one together.

A body counts from its first byte until what it says is stored, for reading it takes a multiple of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from service.errors import BusyError
from service.observe import SILENT, Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")

_LARGE = 1 << 20
"""Bytes from which on a body is read in turn with others ..."""
_LARGE_AT_ONCE = 2
"""... by so many threads: values take up to some 25 times the memory of their text, such as of ``[{},{},{}]``."""
_RETRY = 2
"""Seconds."""


class BodyRoom:
    """The room that all bodies have together, `most` bytes, of which one sender gets half; used by one event loop.

    A body that is larger is taken while it is alone.
    """

    def __init__(self, most: int, observer: Observer = SILENT) -> None:
        self._most = most
        self._observer = observer
        self._held = 0
        self._of: dict[str, int] = {}
        self._turns = anyio.CapacityLimiter(_LARGE_AT_ONCE)

    @contextmanager
    def portion(self, sender: str) -> Iterator[Portion]:
        """Let a body of a sender take room during the block."""
        portion = Portion(self, sender)
        try:
            yield portion
        finally:
            self.take(sender, -portion.bytes)

    def check(self, sender: str, size: int, mine: int) -> None:
        """Raise BusyError unless a body, of which `mine` bytes are counted, may have `size` now."""
        others = self._held - mine
        of_sender = self._of.get(sender, 0) - mine
        if (others and others + size > self._most) or (of_sender and of_sender + size > self._most // 2):
            raise BusyError(_RETRY, f"{others} bytes of other bodies are being read, and there is no room for more")

    def take(self, sender: str, size: int) -> None:
        """Count bytes, or fewer of them, of a sender's body."""
        self._held += size
        left = self._of.pop(sender, 0) + size
        if left:
            self._of[sender] = left
        self._observer.holding(self._held)

    async def read(self, size: int, function: Callable[[], Result]) -> Result:
        """Return what a function returns that reads a body of so many bytes, in a thread."""
        return await to_thread.run_sync(function, limiter=self._turns if size >= _LARGE else None)


class Portion:
    """What one body takes."""

    def __init__(self, room: BodyRoom, sender: str) -> None:
        self._room = room
        self._sender = sender
        self.bytes = 0

    def check(self, size: int) -> None:
        """Raise BusyError if a body of so many bytes would not be taken now."""
        self._room.check(self._sender, size, self.bytes)

    def more(self, size: int) -> None:
        """Take room for so many bytes more; raises BusyError if there is none."""
        self.check(self.bytes + size)
        self._room.take(self._sender, size)
        self.bytes += size
