"""Service sets that several sources have in common: intersections of the sets of two sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.patterns.groups import GroupSpec, Proposal, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.patterns.groups import Rows

SUPPORT = 3
MOST = 256
ROWS = 160
"""Rows whose pairs are looked at, at most: those with most services."""


def propose(rows: Rows) -> list[Proposal]:
    """Return the sets with at least two services that at least three sources hold, those with most cover first."""
    matrix, services = unit_rows(rows, GroupSpec(rows=ROWS))
    held = matrix.toarray() > 0
    if len(held) < SUPPORT:
        return []
    first, second = np.triu_indices(len(held), 1)
    both = held[first] & held[second]
    packed: NDArray[np.uint8] = np.packbits(both[both.sum(axis=1) >= 2], axis=1)
    sets = np.unpackbits(np.unique(packed, axis=0), axis=1, count=held.shape[1]).astype(np.float32)
    sizes = sets.sum(axis=1)
    support = (held.astype(np.float32) @ sets.T >= sizes).sum(axis=0)
    kept = np.flatnonzero(support >= SUPPORT)
    kept = kept[np.argsort(-(support * sizes)[kept], kind="stable")[:MOST]]
    return [Proposal(services[sets[at] > 0], np.ones(int(sizes[at]))) for at in kept]
