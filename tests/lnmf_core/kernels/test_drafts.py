from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lnmf_core.kernels.drafts import draft, halving, room_for_drafts, track
from lnmf_core.kernels.sweeps import hals_sweeps
from lnmf_core.kernels.tiles import ROWS
from tests.lnmf_core.kernels.problem import COLUMNS, WIDTHS, Problem, close, filled

FARTHER = 0.25


def drafted(p: Problem, scale: float) -> Any:
    """Return XᵀD, DᵀD and the moved Cᵀ of X times `scale`, by numpy."""
    X = scale * p.dense
    D = hals_sweeps(0 * p.D, X @ p.Ct, p.gram_C, 2, 0.0)
    cross, gram = X.T @ D, D.T @ D
    swept = hals_sweeps(p.Ct, cross, gram, 2, 0.0)
    return cross, gram, np.maximum(swept + FARTHER * (swept - p.Ct), 0)


@pytest.mark.parametrize("scale", [1.0, 1e-60, 1e60])
@pytest.mark.parametrize("k", WIDTHS)
@pytest.mark.parametrize("rows", [ROWS - 1, ROWS, 2 * ROWS + 5])
def test_a_draft_moves_patterns_as_numpy_does_within_what_float32_can_tell(rows: int, k: int, scale: float) -> None:
    p = Problem(rows, k)
    cross, gram, moved = drafted(p, scale)
    Ct, gram_C, gram_D = filled(p.Ct), p.gram_C.copy(), np.ones((k, k))
    rough = np.full(room_for_drafts(COLUMNS, k, p.X.nnz), np.nan, np.float32)
    energy = float(((scale * p.dense) ** 2).sum())
    X = (p.indptr, p.lanes, p.indices, scale * p.X.data)
    between, after = draft(*X, Ct, gram_C, COLUMNS, 2, 0.0, FARTHER, energy, rough, gram_D)
    np.testing.assert_allclose(gram_D, gram, rtol=1e-3, atol=1e-5 * gram.max())
    found = Ct[:COLUMNS, :k]
    np.testing.assert_allclose(found, moved, rtol=1e-2, atol=1e-3 * moved.max())
    close(gram_C, found.T @ found)
    for told, patterns in ((between, p.Ct), (after, found)):
        expected = 2 * (patterns * cross).sum() - ((patterns.T @ patterns) * gram).sum()
        assert told == pytest.approx(expected, rel=1e-4)


def test_numbers_are_brought_near_one_by_powers_of_two() -> None:
    assert [halving(energy) for energy in (0.0, -1.0, math.inf, math.nan)] == [0.0] * 4
    for energy in (1e-200, 0.3, 1.0, 7.0, 1e200):
        assert math.frexp(halving(energy))[0] == 0.5
        assert 0.5 <= energy * halving(energy) ** 2 <= 2.0


def test_tracking_drafts_again_while_the_error_falls_and_lets_memberships_follow() -> None:
    p = Problem(200, 5)
    energy = float((p.dense**2).sum())
    errors = []
    for passes, tolerance in ((1, 0.0), (4, math.inf), (4, 0.0)):
        Ct, gram_C, D, gram_D, peaks = filled(p.Ct), p.gram_C.copy(), filled(p.D), np.ones((5, 5)), np.zeros(6)
        rough = np.zeros(room_for_drafts(COLUMNS, 5, p.X.nnz), np.float32)
        X = (p.indptr, p.lanes, p.indices, p.X.data)
        first, fit, known = track(
            *X, Ct, gram_C, COLUMNS, 2, passes, tolerance, 1e-8, 0.0, FARTHER, energy, rough, D, gram_D, peaks
        )
        found, C = D[:200, :5], Ct[:COLUMNS, :5].T
        close(found, hals_sweeps(0 * found, p.dense @ C.T, C @ C.T, 2, 0.0))
        assert fit == pytest.approx((found * (p.dense @ C.T)).sum())
        assert energy - known == pytest.approx(((p.dense - found @ C) ** 2).sum())
        assert first > 0
        errors.append(energy - known)
    assert errors[0] == errors[1]
    assert errors[2] < 0.99 * errors[0]


def test_where_nothing_is_known_nothing_is_told() -> None:
    p = Problem(40, 3)
    Ct, gram_C, D = filled(0 * p.Ct), np.zeros((3, 3)), filled(p.D)
    rough = np.zeros(room_for_drafts(COLUMNS, 3, p.X.nnz), np.float32)
    X = (p.indptr, p.lanes, p.indices, p.X.data)
    told = track(
        *X, Ct, gram_C, COLUMNS, 2, 4, 0.0, 1e-8, 0.0, FARTHER, 1.0, rough, D, np.ones((3, 3)), np.zeros(4)
    )
    assert told == (0.0, 0.0, 0.0)
    assert not D[:40].any()
    assert not Ct.any()
