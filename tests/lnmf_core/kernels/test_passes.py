from __future__ import annotations

import math

import numpy as np
import pytest

from lnmf_core.kernels.passes import (
    dead_one,
    explained,
    follow_all,
    lanes_of,
    lined,
    padded,
    project_all,
    relative,
    settle,
    squared,
    tiled,
)
from lnmf_core.kernels.sweeps import hals_sweeps
from lnmf_core.kernels.tiles import ROWS
from lnmf_core.kernels.vectors import WIDTH
from tests.lnmf_core.kernels.problem import COLUMNS, WIDTHS, Problem, close, filled


def test_room_begins_with_a_line_of_the_cache_and_is_zero() -> None:
    room = lined(5, 12)
    assert room.shape == (5, 12)
    assert room.ctypes.data % 64 == 0
    assert not room.any()
    assert [padded(k) for k in (1, 4, 5, 10)] == [4, 4, 8, 12]
    assert [tiled(rows) for rows in (0, 1, ROWS, ROWS + 1)] == [0, ROWS, ROWS, 2 * ROWS]


@pytest.mark.parametrize("rows", [0, 1, 5, 400, 5000])
def test_lanes_are_rows_modulo_the_width_of_a_tile(rows: int) -> None:
    lengths = np.random.default_rng(rows).choice([0, 1, 2, 8, 9, 40], rows) * (np.arange(rows) % 400 < 150)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    lanes = np.full(indptr[-1] + WIDTH, 99, np.int8)
    lanes_of(indptr, lanes)
    np.testing.assert_array_equal(lanes[: indptr[-1]], np.repeat(np.arange(rows) % ROWS, lengths))


@pytest.mark.parametrize("blank", [0, 1])
@pytest.mark.parametrize("k", WIDTHS)
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 2 * ROWS + 5])
def test_all_rows_follow_as_by_separate_products_and_sweeps(rows: int, k: int, blank: int) -> None:
    p = Problem(rows, k)
    D, gram, peaks = filled(p.D)[:rows], np.ones((k, k)), np.zeros(k + 1)
    X = (p.indptr, p.lanes, p.indices, p.X.data)
    fit, known = follow_all(*X, filled(p.Ct), p.gram_C, 2, 0.0, blank, 7.0, D, gram, peaks)
    expected = hals_sweeps(0 * p.D if blank else p.D, p.dense @ p.Ct, p.gram_C, 2, 0.0)
    close(D[:, :k], expected)
    close(gram, expected.T @ expected)
    close(peaks, [*gram.diagonal(), 7.0])
    assert fit == pytest.approx((p.Ct * (p.dense.T @ expected)).sum())
    assert (p.dense**2).sum() - known == pytest.approx(((p.dense - expected @ p.Ct.T) ** 2).sum())
    assert not D[:, k:].any()
    cross = filled(np.ones((COLUMNS, k)))
    project_all(*X, D, cross)
    close(cross[:COLUMNS, :k], p.dense.T @ expected)
    assert not cross[:, k:].any()


@pytest.mark.parametrize("k", WIDTHS)
def test_patterns_are_moved_in_all_columns_and_in_some(k: int) -> None:
    p = Problem(50, k)
    cross = p.dense.T @ p.D
    moved = hals_sweeps(p.Ct, cross, p.gram_D, 2, 0.0)
    touched = np.array([30, 2, 36], np.int32)
    Ct, gram_C = filled(p.Ct), np.ones((k, k))
    fit = settle(touched, COLUMNS, Ct, filled(cross), p.gram_D, 2, 0.0, gram_C)
    close(Ct[:COLUMNS, :k], moved)
    close(gram_C, moved.T @ moved)
    assert fit == pytest.approx((moved * cross).sum())
    Ct, gram_C = filled(p.Ct), p.gram_C.copy()
    fit = settle(touched, 0, Ct, filled(cross), p.gram_D, 2, 0.0, gram_C)
    expected = p.Ct.copy()
    expected[touched] = moved[touched]
    close(Ct[:COLUMNS, :k], expected)
    close(gram_C, expected.T @ expected)
    assert fit == pytest.approx((moved * cross)[touched].sum())


@pytest.mark.parametrize("length", [0, 1, ROWS - 1, ROWS, 3 * ROWS + 5])
def test_squares_are_summed(length: int) -> None:
    data = np.random.default_rng(length).random(length)
    assert squared(data) == pytest.approx((data**2).sum())


def test_the_relative_error_is_made_of_what_is_explained() -> None:
    p = Problem(70, 6)
    fit = float((p.Ct * (p.dense.T @ p.D)).sum())
    energy = float((p.dense**2).sum())
    expected = np.linalg.norm(p.dense - p.D @ p.Ct.T) / math.sqrt(energy)
    assert relative(explained(fit, p.gram_C, p.gram_D), energy) == pytest.approx(expected)
    assert relative(0.0, 0.0) == 0.0
    assert relative(5.0, 4.0) == 0.0
    assert relative(-math.inf, 4.0) == math.inf
    assert relative(math.nan, 4.0) == math.inf


def test_the_first_dead_component_is_named_unless_all_are() -> None:
    alive, two_dead, none = np.eye(3), np.diag([1.0, 0.0, 0.0]), np.zeros((3, 3))
    assert dead_one(alive, alive, 1e-300) == -1
    assert dead_one(alive, two_dead, 1e-300) == 1
    assert dead_one(two_dead, alive, 1e-300) == 1
    assert dead_one(none, alive, 1e-300) == -1


@pytest.mark.parametrize("blank", [0, 1])
def test_a_dead_component_stays_and_nan_is_passed_on(blank: int) -> None:
    indptr, indices, lanes = np.array([0, 1]), np.array([0], np.int32), np.zeros(1, np.int8)
    D, Ct, gram = filled(np.array([[0.5, 0.25]])), filled(np.array([[0.0, 1.0]])), np.diag([0.0, 1.0])
    X = (indptr, lanes, indices, np.array([np.nan]))
    follow_all(*X, Ct, gram, 2, 1e-300, blank, 1.0, D, np.eye(2), np.zeros(3))
    assert D[0, 0] == (0.0 if blank else 0.5)
    assert np.isnan(D[0, 1])
