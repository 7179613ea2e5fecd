"""How many components X deserves."""

from __future__ import annotations

import numpy as np

from lnmf_core.errors import ParameterError, RankError, whole_number
from lnmf_core.matrix import Counts, checked
from lnmf_core.singular import leading_triplets


def choose_rank(X: Counts, cap: int, energy: float = 0.9, *, seed: int = 0) -> int:
    """Return the smallest k whose leading singular values hold the share `energy` of ‖X‖²_F, at most `cap`.

    `cap` may exceed min(n, m), which then takes its place. The values come from a randomised decomposition
    that finds them from below: the answer may be too large by one, never too small. Equal seeds give equal
    answers. Raises MatrixError for a bad X, RankError for a bad `cap`, ParameterError unless 0 < energy ≤ 1.
    """
    most = whole_number("cap", cap, RankError)
    if not 0 < energy <= 1:
        raise ParameterError(f"energy is {energy}: it must lie above 0 and not above 1")
    matrix = checked(X)
    values = leading_triplets(matrix, min(most, *matrix.shape), seed).values
    held = np.cumsum(np.square(values, dtype=np.float64)) / matrix.squared_norm
    # Rounding must not cost a component where the energy is held exactly.
    enough = held >= energy - 64 * np.finfo(matrix.dtype).eps
    return int(enough.argmax()) + 1 if enough.any() else len(values)
