"""One-to-one assignments with the largest sum of scores.

scipy has this in `scipy.optimize`, of which nothing else is needed here, and which takes 23 MB of memory and a
tenth of a second to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def assign(scores: NDArray[np.float64], fits: NDArray[np.bool_]) -> dict[int, int]:
    """Return row → column, one to one, among what `fits`, with the largest sum of `scores`.

    Both have the shape (rows, columns); scores of what fits are positive and finite.
    """
    alone = fits & (fits.sum(axis=0) == 1) & (fits.sum(axis=1) == 1)[:, np.newaxis]
    found = dict(zip(*(side.tolist() for side in np.nonzero(alone)), strict=True))
    contested = fits & ~alone
    rows, columns = np.flatnonzero(contested.any(axis=1)), np.flatnonzero(contested.any(axis=0))
    if not len(rows):
        return found
    block = np.ix_(rows, columns)
    for i, j in _settle(np.where(fits[block], scores[block], 0.0)):
        if fits[rows[i], columns[j]]:
            found[int(rows[i])] = int(columns[j])
    return found


def _settle(gains: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return pairs (row, column) with the largest sum of gains, as many as the shorter side has.

    The Hungarian method by shortest augmenting paths (Kuhn 1955; Jonker & Volgenant 1987).
    """
    if gains.shape[0] > gains.shape[1]:
        return [(i, j) for j, i in _settle(gains.T)]
    costs = np.pad(-gains, ((0, 0), (1, 0)))  # column 0 is where a new row stands before it has one
    rows, columns = costs.shape
    of_row, of_column = np.zeros(rows), np.zeros(columns)  # dual variables
    owner = np.full(columns, -1)
    for row in range(rows):
        owner[0], here = row, 0
        least, way = np.full(columns, np.inf), np.zeros(columns, np.int64)
        done = np.zeros(columns, np.bool_)
        while owner[here] >= 0:
            done[here] = True
            reduced = costs[owner[here]] - of_row[owner[here]] - of_column
            nearer = ~done & (reduced < least)
            least[nearer], way[nearer] = reduced[nearer], here
            there = int(np.argmin(np.where(done, np.inf, least)))
            step = least[there]
            of_row[owner[done]] += step
            of_column[done] -= step
            least[~done] -= step
            here = there
        while here:
            owner[here] = owner[way[here]]
            here = int(way[here])
    return [(int(owner[column]), column - 1) for column in range(1, columns) if owner[column] >= 0]
