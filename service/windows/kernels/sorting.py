"""Sorting by whole numbers, without comparing them: a radix sort, least digit first.

What is sorted is words: a key, above what goes with it, such as the place from which it came. So words are moved,
and nothing is looked up. Digits that all words share cost no pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.hashing import mix64
from service.compiled import compiled

PLACE = 0xFFFFFFFF
_SHIFT = 32

MEANS_SHIFT, NUMBER_SHIFT = 34, 36
"""Where the means and the number of a pair stand in the words of `by_target`; the target stands above `NOTE`."""
NOTE = 3

_ARP_LAST = 4 << 16 | 0xFFFF  # what came later (service.capture.services.Protocol) is of the first means

_FEW = 1 << 10
"""Words up to which digits are short: 256 counters are sooner cleared than 2048."""


@compiled
def means_of(service: int) -> int:
    """Return the means of a service, see `service.capture.services.means`."""
    return 0 if service > _ARP_LAST else service >> 17


@compiled
def sort(
    words: NDArray[np.int64], spare: NDArray[np.int64], low: int, bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort words by so many bits from the bit `low` on, equal ones in their order.

    Returns the sorted words and the array that is left over; both are those that were given.
    """
    n = len(words)
    digit = 8 if n <= _FEW else 11
    counts = np.empty(1 << digit, np.int64)
    differs = np.int64(0)
    for i in range(1, n):
        differs |= words[i] ^ words[0]
    at = low
    while at < low + bits:
        mask = (1 << min(digit, low + bits - at)) - 1
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
def _in_order(found: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return distinct values as words, ascending."""
    words = np.empty(len(found), np.int64)
    for i in range(len(found)):
        words[i] = np.int64(found[i]) << _SHIFT | i
    return sort(words, np.empty(len(found), np.int64), _SHIFT, 32)[0]


@compiled
def numbered(values: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the distinct values, ascending, and which of them each value is: np.unique, sooner.

    Only the distinct ones are sorted. Many come more than once, and often again at once.
    """
    n = len(values)
    number = np.empty(n, np.int64)
    found = np.empty(n, np.uint32)
    slots = np.zeros(max(2, 1 << _bits(2 * n)), np.int32)
    mask = len(slots) - 1
    count = 0
    before = np.int64(-1)
    for i in range(n):
        if before < 0 or values[i] != found[before]:
            at = np.int64(mix64(np.int64(values[i]))) & mask
            while slots[at] and found[slots[at] - 1] != values[i]:
                at = (at + 1) & mask
            if slots[at] == 0:
                found[count] = values[i]
                count += 1
                slots[at] = count
            before = np.int64(slots[at] - 1)
        number[i] = before
    order = _in_order(found[:count])
    distinct = np.empty(count, np.uint32)
    rank = np.empty(count, np.int64)
    for i in range(count):
        rank[order[i] & PLACE] = i
        distinct[i] = found[order[i] & PLACE]
    for i in range(n):
        number[i] = rank[number[i]]
    return distinct, number


@compiled
def _bits(n: int) -> int:
    bits = 0
    while n >> bits:
        bits += 1
    return bits


@compiled
def grouped(
    number: NDArray[np.int64], service: NDArray[np.int32], numbers: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return the number and the service of each combination of both, ascending, and which of them each pair has.

    All numbers are below `numbers`.
    """
    n = len(number)
    group = np.empty(n, np.int32)
    first = np.empty(n, np.int64)
    slots = np.zeros(max(2, 1 << _bits(2 * n)), np.int32)
    mask = len(slots) - 1
    count = 0
    before = np.int64(-1)
    for i in range(n):
        if before < 0 or number[i] != number[i - 1] or service[i] != service[i - 1]:
            at = np.int64(mix64(number[i] << 32 | service[i])) & mask
            while slots[at]:
                held = first[slots[at] - 1]
                if number[held] == number[i] and service[held] == service[i]:
                    break
                at = (at + 1) & mask
            if slots[at] == 0:
                first[count] = i
                count += 1
                slots[at] = count
            before = np.int64(slots[at] - 1)
        group[i] = before
    found, services = np.empty(count, np.int32), np.empty(count, np.int32)
    words = np.empty(count, np.int64)
    for i in range(count):
        words[i] = np.int64(service[first[i]]) << _SHIFT | i
    words, spare = sort(words, np.empty(count, np.int64), _SHIFT, 24)
    for i in range(count):
        place = words[i] & PLACE
        words[i] = number[first[place]] << _SHIFT | place
    words, spare = sort(words, spare, _SHIFT, _bits(numbers))
    for i in range(count):
        place = words[i] & PLACE
        found[i], services[i] = number[first[place]], service[first[place]]
        spare[place] = i
    for i in range(n):
        group[i] = spare[group[i]]
    return found, services, group


@compiled
def by_target(
    number: NDArray[np.int64], target: NDArray[np.uint32], service: NDArray[np.int32], note: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Return pairs as words, ascending by number, then by means, then by target.

    A word is these three (see `MEANS_SHIFT` and `NUMBER_SHIFT`; 27 bits of number) and the pair's note, of 2 bits.
    """
    n = len(number)
    words = np.empty(n, np.int64)
    most = np.int64(0)
    for i in range(n):
        most = max(most, number[i])
        means = means_of(np.int64(service[i]))
        words[i] = number[i] << NUMBER_SHIFT | means << MEANS_SHIFT | np.int64(target[i]) << 2 | note[i]
    return sort(words, np.empty(n, np.int64), 2, NUMBER_SHIFT - 2 + _bits(most))[0]
