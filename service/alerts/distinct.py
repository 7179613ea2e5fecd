"""Distinct members across windows, in bounded memory.

The members with the smallest hashes stand for all (k minimum values: Bar-Yossef et al., "Counting distinct elements
in a data stream", 2002). Up to `SIZE` members the count is exact, beyond it the standard error is 1/√SIZE, 3 %.
"""

from __future__ import annotations

import numpy as np

from service.alerts.alert import Distinct
from service.windows.close import hash_addresses
from service.windows.counts import SAMPLE_SIZE as SIZE

_WORD = (1 << 64) - 1


def smallest(members: list[int]) -> list[tuple[int, int]]:
    """Return (hash, member) of the at most `SIZE` members with the smallest hashes, ascending."""
    words = np.zeros((len(members), 2), np.uint64)
    if max(members, default=0) > _WORD:
        words[:] = [(member >> 64, member & _WORD) for member in members]
    else:
        words[:, 1] = members
    hashes = hash_addresses(words)
    order = np.lexsort((words[:, 1], words[:, 0], hashes))[:SIZE]
    return list(zip(hashes[order].tolist(), [members[place] for place in order.tolist()], strict=True))


def distinct(count: int, members: list[int]) -> Distinct:
    """Return a set of `count` members of which some, those with the smallest hashes among them, are given."""
    return Distinct(count, exact=True, sample=tuple(member for _, member in smallest(members)))


def union(a: Distinct, b: Distinct) -> Distinct:
    """Return the union of two sets, its count estimated where a sample isn't the whole set."""
    ranked = smallest(list(set(a.sample) | set(b.sample)))
    sample = tuple(member for _, member in ranked)
    whole = all(part.exact and part.count == len(part.sample) for part in (a, b))
    if whole and len(set(a.sample) | set(b.sample)) <= SIZE:
        return Distinct(len(sample), exact=True, sample=sample)
    least, most = max(a.count, b.count), a.count + b.count
    estimate = len(sample)
    if len(ranked) == SIZE:
        estimate = round((SIZE - 1) / (ranked[-1][0] / 2**64))
    return Distinct(min(max(estimate, least), most), exact=False, sample=sample)
