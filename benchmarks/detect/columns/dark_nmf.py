"""Dark-NMF: groups of sources that are active at the same times, by the factors of the time × source matrix.

After Han, Shimamura, Takahashi, Inoue, Takeuchi & Nakao (2020), "Real-time detection of global cyberthreat based on
darknet by estimating anomalous synchronization using graphical lasso" and its successors by NMF: what is counted is
attempts of each source in each time slot, whatever the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import lnmf_core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

SLOTS = 96
RANK = 10
LEAST_SLOTS = 2
COSINE = 0.8


def groups(time: Ints, source: Ints, start: int, length: int) -> list[tuple[float, Ints]]:
    """Return groups of sources and their sizes: those whose activity points the same way as a factor.

    Sources that were active in one slot only say nothing of synchrony, and are left out.
    """
    slot = (time - start) * SLOTS // length
    names, row = np.unique(source, return_inverse=True)
    counts = np.zeros((len(names), SLOTS))
    np.add.at(counts, (row, slot), 1.0)
    kept = (counts > 0).sum(axis=1) >= LEAST_SLOTS
    names, values = names[kept], np.sqrt(counts[kept])
    if len(names) <= RANK:
        return []
    C = lnmf_core.factorize(values, RANK, stop=lnmf_core.Stop(60, 1e-4)).factors.C
    C = C / np.maximum(np.linalg.norm(C, axis=1, keepdims=True), 1e-12)
    cosine = values @ C.T / np.linalg.norm(values, axis=1, keepdims=True)
    follows = cosine >= COSINE
    return [(float(follows[:, k].sum()), names[follows[:, k]]) for k in range(RANK)]
