"""Lines of a text in blocks, so that memory grows neither with the file nor with a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from service.capture.chunks import Chunks

BLOCK = 1 << 20
"""Most bytes of a block of lines."""
LONGEST = 1 << 18
"""No line may be longer, bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Some lines of a log with their numbers, which begin at 1; line ends are left out."""

    texts: list[str]
    numbers: NDArray[np.int64]
    following: int = 0
    """Number of the line after a whole block."""

    def __len__(self) -> int:
        return len(self.texts)

    def after(self, count: int) -> Lines:
        """Return the lines without the first `count` ones."""
        return Lines(self.texts[count:], self.numbers[count:])

    def pick(self, which: Sequence[int]) -> Lines:
        """Return some of the lines."""
        return Lines([self.texts[index] for index in which], self.numbers[list(which)])


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that was passed over."""

    number: int


def blocks(chunks: Chunks, number: int = 1) -> Iterator[Lines | TooLong]:
    """Yield the lines that are not empty, in order; `number` is that of the first.

    A block is consumed when it is yielded, and what is too long in it is told before. What is not UTF-8 becomes
    U+FFFD. A last line without an end counts, unless the stream broke off there.
    """
    while True:
        piece = chunks.data[chunks.at : min(chunks.end, chunks.at + BLOCK)].tobytes()
        cut = piece.rfind(b"\n") + 1
        if not cut and len(piece) <= LONGEST:
            if chunks.more():
                continue
            if not piece or chunks.broken:
                return
            cut = len(piece)
        if not cut:
            _pass_over(chunks)
            yield TooLong(number)
            number += 1
            continue
        chunks.at += cut
        texts = piece[:cut].decode("utf-8", "replace").removesuffix("\n").split("\n")
        yield from _short(texts, number)
        number += len(texts)


def _pass_over(chunks: Chunks) -> None:
    """Consume up to the end of the line."""
    while True:
        rest = chunks.data[chunks.at : chunks.end].tobytes()
        end = rest.find(b"\n") + 1
        chunks.at += end or len(rest)
        if end or not chunks.more():
            return


def _short(texts: list[str], first: int) -> Iterator[Lines | TooLong]:
    """Yield the lines that are neither empty nor too long, and say which ones are too long."""
    if first == 1:
        texts[0] = texts[0].removeprefix("\ufeff")
    filled = [index for index, text in enumerate(texts) if text and not text.isspace()]
    kept = [index for index in filled if len(texts[index]) <= LONGEST]
    if len(kept) < len(filled):
        yield from (TooLong(first + index) for index in filled if len(texts[index]) > LONGEST)
    if kept:
        texts_kept = [texts[index].rstrip("\r") for index in kept]
        yield Lines(texts_kept, np.array(kept, dtype=np.int64) + first, first + len(texts))
