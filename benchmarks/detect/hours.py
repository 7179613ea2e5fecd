"""In how many hours a source tried a service: what a window of a day cannot tell by itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.windows.close import hash_addresses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.windows.counts import WindowCounts

    Ints = NDArray[np.int64]
    Keys = NDArray[np.uint64]

_KEPT = 25
"""Hours of a day, and one that has just begun."""
_LARGEST = 1 << 17
"""Rows of an hour, at most: those with the smallest hashes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Hour:
    start: int
    end: int
    keys: Keys


class ActiveHours:
    """The (source, service) rows of the last day's windows of an hour, as hashes.

    Not safe for use by several threads.
    """

    def __init__(self) -> None:
        self._hours: deque[_Hour] = deque(maxlen=_KEPT)

    def add(self, window: WindowCounts) -> None:
        """Take a window of an hour; later ones follow earlier ones, and none of them overlap."""
        keys = np.unique(_keys(window))
        self._hours.append(_Hour(window.start, window.end, keys[:_LARGEST]))

    def of(self, window: WindowCounts) -> Ints:
        """Return for each row of a longer window in how many of its hours the source tried the service."""
        keys = _keys(window)
        found = np.zeros(len(keys), np.int64)
        for hour in self._hours:
            if window.start <= hour.start and hour.end <= window.end and len(hour.keys):
                place = np.minimum(np.searchsorted(hour.keys, keys), len(hour.keys) - 1)
                found += hour.keys[place] == keys
        return found


def _keys(window: WindowCounts) -> Keys:
    """Return a hash of the source and the service of each row."""
    rows = window.rows
    source = hash_addresses(window.sources)[rows.source]
    service = np.stack([source, rows.service.astype(np.uint64)], axis=1)
    return hash_addresses(service)
