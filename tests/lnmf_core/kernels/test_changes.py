from __future__ import annotations

import numpy as np
import pytest

from lnmf_core.kernels.changes import solve_rows, withdraw_rows
from lnmf_core.kernels.sweeps import hals_sweeps
from lnmf_core.kernels.tiles import ROWS
from tests.lnmf_core.kernels.problem import COLUMNS, WIDTHS, Problem, close, filled


@pytest.mark.parametrize("k", WIDTHS)
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 2 * ROWS + 5])
def test_some_rows_are_solved_and_withdrawn(rows: int, k: int) -> None:
    p = Problem(rows, k)
    slots = np.random.default_rng(0).permutation(rows)[: max(rows - 2, 1)]
    D, Ct, cross, gram = filled(p.D), filled(p.Ct), filled(np.ones((COLUMNS, k))), np.ones((k, k))
    fit = solve_rows(slots, *p.parts, Ct, p.gram_C, 3, 0.0, D, cross, gram)
    expected = p.D.copy()
    expected[slots] = hals_sweeps(p.D[slots], (p.dense @ p.Ct)[slots], p.gram_C, 3, 0.0)
    close(D[:rows, :k], expected)
    close(cross[:COLUMNS, :k], 1 + p.dense[slots].T @ expected[slots])
    close(gram, 1 + expected[slots].T @ expected[slots])
    assert fit == pytest.approx((p.Ct * (p.dense[slots].T @ expected[slots])).sum())
    assert withdraw_rows(slots, *p.parts, Ct, D, cross, gram) == pytest.approx(-fit)
    close(cross[:COLUMNS, :k], 1.0)
    close(gram, 1.0)
