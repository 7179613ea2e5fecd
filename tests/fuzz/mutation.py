"""Inputs at random: kept ones with pieces flipped, cut, doubled, joined and replaced; the same ones for a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

LONGEST = 1 << 13
"""Bytes of an input; longer ones show nothing more."""
_NUMBERS = tuple(
    number.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for number in (0, 1, (1 << 8 * size) - 1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1)
    for order in ("big", "little")
)


def mutants(inputs: Sequence[bytes], words: Sequence[bytes], count: int, random: Random) -> Iterator[bytes]:
    """Yield so many inputs, each made from one or two of those given by one to eight changes."""
    short = [data for data in inputs if len(data) <= LONGEST] or [b""]
    pieces = [*words, *_NUMBERS]
    for _ in range(count):
        data = bytearray(random.choice(short))
        for _ in range(1 << random.randrange(4)):
            _change(data, short, pieces, random)
        yield bytes(data[:LONGEST])


def _change(data: bytearray, inputs: Sequence[bytes], pieces: Sequence[bytes], random: Random) -> None:
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((1, 1, 2, 4, 16, 64)))
    kind = random.randrange(7)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << random.randrange(8)
    elif kind == 1:
        del data[at:end]
    elif kind == 2:
        data[at:at] = data[at:end] * random.choice((1, 2, 100))
    elif kind == 3:
        data[at:end] = random.randbytes(end - at)
    elif kind == 4:
        data[at:at] = random.choice(pieces)
    elif kind == 5:
        piece = random.choice(pieces)
        data[at : at + len(piece)] = piece
    else:
        other = random.choice(inputs)
        begin = random.randrange(len(other) + 1)
        data[at:end] = other[begin : begin + random.choice((4, 32, LONGEST))]
