"""Records of a capture file, before anything inside them is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from service.capture.chunks import Chunks

BLOCK = 1 << 15
"""Most records of a block."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordBlock:
    """Consecutive packets in a buffer that is valid until the next block is asked for; columns of length n."""

    data: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    """Captured bytes."""
    time: NDArray[np.int64]
    """ns since the epoch"""
    link: NDArray[np.int64]
    """Link type as libpcap numbers it (LINKTYPE_*)."""


class Corrupt(Exception):  # noqa: N818  (a signal between two modules, not an error that anyone sees)
    """Nothing that follows can be read."""


def go_to(chunks: Chunks, offset: int) -> None:
    """Go on at an offset, if it is not 0; raises Corrupt if the file does not reach so far."""
    if offset and not chunks.go_to(offset):
        raise Corrupt(f"the file ends before byte {offset}, where it should be read on")


class RecordReader(Protocol):
    """A file format: turns chunks into blocks of records."""

    def blocks(self, chunks: Chunks) -> Iterator[RecordBlock]:
        """Yield the records from the beginning on, or from where `resume` was told.

        Raises Corrupt with the reason at a place that makes no sense.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return what has to be known to go on after the block that was yielded last."""
        ...

    def resume(self, offset: int, state: Mapping[str, Any]) -> None:
        """Have `blocks` begin there; raises KeyError, TypeError or ValueError if the state is none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RecordColumns:
    """Room for a block."""

    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    time: NDArray[np.int64]
    link: NDArray[np.int64]

    @classmethod
    def empty(cls) -> RecordColumns:
        """Return room for `BLOCK` records."""
        return cls(*(np.empty(BLOCK, dtype=np.int64) for _ in range(4)))

    def block(self, data: NDArray[np.uint8], count: int) -> RecordBlock:
        """Return the first `count` records as a block."""
        return RecordBlock(data, self.offset[:count], self.length[:count], self.time[:count], self.link[:count])
