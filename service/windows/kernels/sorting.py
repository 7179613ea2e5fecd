"""Sorting by whole numbers, without comparing them: a radix sort, least digit first.

What is sorted is words: a key of up to 32 bits, above the place from which it came, 32 bits. So words are moved,
and nothing is looked up. Digits that all words share cost no pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.compiled import compiled

PLACE = 0xFFFFFFFF
_SHIFT = 32
_FEW = 1 << 10
"""Words up to which digits are short: 256 counters are sooner cleared than 2048."""


@compiled
def sort(
    words: NDArray[np.int64], spare: NDArray[np.int64], bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort words by the lowest bits of their keys, equal ones in their order.

    Returns the sorted words and the array that is left over; both are those that were given.
    """
    n = len(words)
    digit = 8 if n <= _FEW else 11
    counts = np.empty(1 << digit, np.int64)
    differs = np.int64(0)
    for i in range(1, n):
        differs |= words[i] ^ words[0]
    at = _SHIFT
    while at < _SHIFT + bits:
        mask = (1 << min(digit, _SHIFT + bits - at)) - 1
        if differs >> at & mask:
            counts[: mask + 1] = 0
            for i in range(n):
                counts[words[i] >> at & mask] += 1
            total = np.int64(0)
            for value in range(mask + 1):
                count = counts[value]
                counts[value] = total
                total += count
            for i in range(n):
                value = words[i] >> at & mask
                spare[counts[value]] = words[i]
                counts[value] += 1
            words, spare = spare, words
        at += digit
    return words, spare


@compiled
def numbered(values: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the distinct values, ascending, and which of them each value is: np.unique, sooner."""
    n = len(values)
    words = np.empty(n, np.int64)
    for i in range(n):
        words[i] = np.int64(values[i]) << _SHIFT | i
    words, spare = sort(words, np.empty(n, np.int64), 32)
    distinct = np.empty(n, np.uint32)
    number = spare
    count = 0
    for i in range(n):
        value = np.uint32(words[i] >> _SHIFT & PLACE)
        if i == 0 or value != distinct[count - 1]:
            distinct[count] = value
            count += 1
        number[words[i] & PLACE] = count - 1
    return distinct[:count].copy(), number


@compiled
def by_service(number: NDArray[np.int64], service: NDArray[np.int32], bits: int) -> NDArray[np.int64]:
    """Return the places of pairs by number, which has so many bits, then by service; as the lower half of words."""
    n = len(number)
    words = np.empty(n, np.int64)
    for i in range(n):
        words[i] = np.int64(service[i]) << _SHIFT | i
    words, spare = sort(words, np.empty(n, np.int64), 24)
    for i in range(n):
        place = words[i] & PLACE
        words[i] = number[place] << _SHIFT | place
    return sort(words, spare, bits)[0]


@compiled
def by_target(
    number: NDArray[np.int64], target: NDArray[np.uint32], service: NDArray[np.int32], bits: int
) -> NDArray[np.int64]:
    """Return the places of pairs by number, which has so many bits, then by means, then by target; as above."""
    n = len(number)
    words = np.empty(n, np.int64)
    for i in range(n):
        words[i] = np.int64(target[i]) << _SHIFT | i
    words, spare = sort(words, np.empty(n, np.int64), 32)
    for i in range(n):
        place = words[i] & PLACE
        words[i] = np.int64(service[place] >> 17) << _SHIFT | place  # see service.capture.services.means
    words, spare = sort(words, spare, 3)
    for i in range(n):
        place = words[i] & PLACE
        words[i] = number[place] << _SHIFT | place
    return sort(words, spare, bits)[0]
