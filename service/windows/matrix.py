"""A window's counts as a labelled matrix: sources × services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.windows.counts import WindowCounts


@dataclass(frozen=True, slots=True, eq=False)
class CountMatrix:
    """log(1 + distinct targets) of each source (row, as in `WindowCounts.sources`) and service (column)."""

    values: csr_array
    """Shape (n, m), float64."""
    services: NDArray[np.int32]
    """Numbers of the services of the m columns, ascending."""


def count_matrix(window: WindowCounts) -> CountMatrix:
    """Return the matrix of a window; its columns are the services that occur.

    The logarithm keeps one sweep of ten thousand targets from hiding everything else.
    """
    services, column = np.unique(window.rows.service, return_inverse=True)
    values = csr_array(
        (np.log1p(window.rows.targets.astype(np.float64)), (window.rows.source, column)),
        shape=(len(window.sources), len(services)),
    )
    return CountMatrix(values, services)
