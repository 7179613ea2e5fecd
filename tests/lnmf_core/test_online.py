from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import FactorError, Factorizer, MatrixError, Nndsvd, RankError, Rows, Stop, StreamSpec, factorize
from tests.lnmf_core.streams import RANK, calm, followed, patterns_of, rows_of, traffic, true_error

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_partial_update_leaves_all_other_memberships_as_they_are_bit_by_bit() -> None:
    spec = StreamSpec(alarm=1e9, unrest=1e9, cold_every=10**6, settle=0.05, refresh=0.5)
    factorizer, _, patterns, rng = followed(spec=spec)
    for _ in range(20):
        before = dict(zip(factorizer.row_keys.tolist(), factorizer.factors().D, strict=True))
        keys = rng.choice(200, 2, replace=False)
        gone = rng.choice(factorizer.row_keys[~np.isin(factorizer.row_keys, keys)], 1)
        step = factorizer.update(rows_of(keys, traffic(rng, patterns, 2)), gone)
        assert not step.whole
        others = np.setdiff1d(factorizer.row_keys, keys)
        assert len(others) > 150
        np.testing.assert_array_equal(factorizer.memberships(others), [before[int(key)] for key in others])


def test_a_whole_pass_follows_when_a_quarter_of_the_rows_have_changed() -> None:
    factorizer, _, patterns, rng = followed(spec=StreamSpec(alarm=1e9, unrest=1e9, cold_every=10**6))
    whole = [factorizer.update(rows_of(range(30), traffic(rng, patterns, 30))).whole for _ in range(8)]
    assert whole == [False, True] * 4


def test_partial_updates_come_within_a_thousandth_of_full_passes() -> None:
    partial, X, patterns, rng = followed(1000)
    full = Factorizer.restore(partial.state())
    X = X.copy()
    for _ in range(100):
        keys = rng.choice(1000, 10, replace=False)
        X[keys] = traffic(rng, patterns, 10)
        step = partial.update(rows_of(keys, X[keys]))
        reference = full.window(rows_of(range(1000), X))
        assert step.error <= 1.001 * reference.error


def test_a_warm_window_is_as_good_as_a_cold_one_and_keeps_its_components() -> None:
    factorizer, _, patterns, rng = followed(500)
    before = factorizer.factors().C
    for window in range(1, 6):
        X = traffic(rng, patterns, 500)
        step = factorizer.window(rows_of(np.arange(500) + 500 * window, X))
        best = factorize(X, RANK, start=Nndsvd(), stop=Stop(300, 1e-7)).error
        assert not step.cold
        assert step.error == pytest.approx(true_error(factorizer, X), rel=1e-9)
        assert step.error <= 1.002 * best
    after = factorizer.factors().C
    cosines = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert cosines.min() > 0.95


def test_columns_are_known_by_their_keys_whatever_their_order() -> None:
    factorizer, _, patterns, rng = followed()
    again = Factorizer.restore(factorizer.state())
    X = traffic(rng, patterns, 50)
    order = rng.permutation(30)
    step = factorizer.window(rows_of(range(50), X))
    shuffled = again.window(Rows(np.arange(50), X[:, order], order))
    # Drafts add up in another order, in float32.
    assert shuffled.error == pytest.approx(step.error, rel=1e-7)
    np.testing.assert_allclose(again.factors().C, factorizer.factors().C[:, order], rtol=1e-4, atol=1e-6)


def test_a_window_forgets_the_columns_that_it_lacks_and_an_update_appends_those_in_use() -> None:
    factorizer, *_ = followed()
    factorizer.window(Rows(np.arange(5), np.eye(5, 4) + 1.0, np.array([7, 3, 100, 5])))
    np.testing.assert_array_equal(factorizer.column_keys, [7, 3, 100, 5])
    factorizer.update(Rows(np.array([9]), np.array([[0.0, 2.0, 3.0]]), np.array([1, 2, 5])))
    np.testing.assert_array_equal(factorizer.column_keys, [7, 3, 100, 5, 2])
    assert factorizer.factors().C.shape == (RANK, 5)


def test_it_looks_cold_when_the_error_rises_above_its_recent_level() -> None:
    spec = StreamSpec(alarm=1.05, unrest=1e9, passes=1, cold_every=10**6)
    factorizer, _, patterns, rng = followed(spec=spec)
    calm = [factorizer.window(rows_of(range(200), traffic(rng, patterns, 200))).cold for _ in range(3)]
    shifted = factorizer.window(rows_of(range(200), traffic(rng, patterns_of(rng, RANK, 30), 200)))
    assert calm == [False] * 3
    assert shifted.cold


def test_it_looks_cold_when_the_patterns_move_far_more_than_they_lately_did() -> None:
    spec = StreamSpec(alarm=1e9, unrest=3.0, cold_every=10**6, cold_gain=0.5)
    factorizer, _, patterns, rng = followed(2000, spec)
    looks = [int(factorizer.state()["counters"][1])]
    for window in range(8):
        if window == 5:
            patterns[0] = patterns_of(rng, 1, 30)[0]
        factorizer.window(rows_of(range(2000), traffic(rng, patterns, 2000)))
        looks.append(int(factorizer.state()["counters"][1]))
    # And once more in the window after that.
    assert looks == [1, 1, 1, 1, 1, 1, 2, 3, 3]


def test_it_passes_until_the_patterns_are_calm() -> None:
    _, X, _, rng = followed(400)
    shifted = traffic(rng, patterns_of(rng, RANK, 30), 400)
    errors = []
    for passes in (1, 2, 50):
        spec = StreamSpec(passes=passes, alarm=1e9, unrest=1e9, cold_every=10**6)
        stream = Factorizer(RANK, spec)
        stream.window(rows_of(range(400), X))
        errors.append(calm(stream).window(rows_of(range(400), shifted)).error)
    assert errors[0] > 1.01 * errors[1] > 1.01 * errors[2]


def test_it_looks_cold_when_the_time_has_come_but_keeps_what_is_as_good() -> None:
    factorizer, _, patterns, rng = followed(spec=StreamSpec(cold_every=2, cold_gain=0.5, alarm=1e9, unrest=1e9))
    looks = []
    for _ in range(4):
        factorizer.window(rows_of(range(200), traffic(rng, patterns, 200)))
        looks.append(int(factorizer.state()["counters"][1]))
    assert looks == [1, 2, 2, 3]


def test_after_it_has_found_something_better_it_looks_in_the_next_window_and_then_ever_more_seldom() -> None:
    rng = np.random.default_rng(4)
    patterns = patterns_of(rng, RANK, 30)
    spec = StreamSpec(alarm=1e9, unrest=1e9, cold_every=10**6, cold_gain=0.5)
    factorizer = Factorizer(RANK, spec)
    looks = []
    for window in range(9):
        step = factorizer.window(rows_of(range(200), traffic(rng, patterns, 200)))
        assert step.cold == (window == 0)
        looks.append(int(factorizer.state()["counters"][1]))
    assert looks == [1, 2, 2, 3, 3, 3, 3, 4, 4]


def test_updates_age_by_the_share_of_rows_that_they_change() -> None:
    factorizer, _, patterns, rng = followed(spec=StreamSpec(cold_every=1, alarm=1e9, unrest=1e9))
    looks = []
    for _ in range(8):
        factorizer.update(rows_of(range(50), traffic(rng, patterns, 50)))
        looks.append(int(factorizer.state()["counters"][1]))
    assert looks == [1, 1, 1, 2, 2, 2, 2, 3]


def test_the_rank_may_exceed_a_small_window_and_is_filled_later() -> None:
    rng = np.random.default_rng(0)
    patterns = patterns_of(rng, 8, 40)
    factorizer = Factorizer(8)
    assert factorizer.update(rows_of([5, 6], np.array([[1.0, 0.0], [0.0, 2.0]]))).error < 1e-6
    X = traffic(rng, patterns, 300)
    for _ in range(3):
        step = factorizer.window(rows_of(range(300), X))
    assert (factorizer.factors().C.max(axis=1) > 0).all()
    assert step.error < 1.05 * factorize(X, 8, stop=Stop(300)).error


def test_a_stream_that_is_still_silent_is_borne() -> None:
    factorizer = Factorizer(2)
    none = Rows(np.empty(0, np.int64), np.empty((0, 0)), np.empty(0, np.int64))
    assert factorizer.update().error == 0.0
    assert factorizer.window(none).error == 0.0
    assert factorizer.window(rows_of([1, 2], np.zeros((2, 3)))).error == 0.0
    assert not factorizer.factors().D.any()
    step = factorizer.update(rows_of([2, 3], np.ones((2, 3))))
    assert step.cold
    assert step.error < 1e-6
    assert factorizer.update(vanished=np.array([1, 2, 3])).error == 0.0
    with pytest.raises(FactorError, match="at least one row"):
        factorizer.factors()


def test_the_caller_keeps_what_was_passed_and_what_was_returned() -> None:
    factorizer, _, patterns, rng = followed()
    csr = sparse.csr_array(traffic(rng, patterns, 50))
    keys = np.arange(50)
    parts = [csr.data, csr.indices, csr.indptr, keys]
    copies = [part.copy() for part in parts]
    factorizer.window(Rows(keys, csr, np.arange(30)))
    returned = factorizer.factors()
    D, C = returned.D.copy(), returned.C.copy()
    for round_ in range(5):
        factorizer.update(rows_of([3, 77 + round_], traffic(rng, patterns, 2)), np.array([10 + round_]))
    for part, copy in zip(parts, copies, strict=True):
        np.testing.assert_array_equal(part, copy)
    np.testing.assert_array_equal(returned.D, D)
    np.testing.assert_array_equal(returned.C, C)


def test_seconds_are_those_of_the_clock() -> None:
    ticks: Iterator[float] = iter([1.0, 1.5, 2.0, 2.25])
    factorizer = Factorizer(1, clock=lambda: next(ticks))
    assert factorizer.window(rows_of([0], np.ones((1, 1)))).seconds == 0.5
    assert factorizer.update(rows_of([1], np.ones((1, 1)))).seconds == 0.25


def test_unknown_rows_are_refused_before_anything_changes() -> None:
    factorizer, *_ = followed()
    before = factorizer.state()
    one = rows_of([3], np.ones((1, 30)))
    with pytest.raises(MatrixError, match=r"vanished\[1\] is 999: no row with this key is held"):
        factorizer.update(one, np.array([2, 999]))
    with pytest.raises(MatrixError, match="row 3 is both changed and vanished"):
        factorizer.update(one, np.array([3]))
    with pytest.raises(MatrixError, match="vanished: 2 occurs twice"):
        factorizer.update(one, np.array([2, 2]))
    with pytest.raises(MatrixError, match=r"keys\[0\] is -1"):
        factorizer.memberships(np.array([-1]))
    for name, array in factorizer.state().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("rank", [0, -1, 1.5, True])
def test_a_rank_that_is_none_is_refused(rank: Any) -> None:
    with pytest.raises(RankError):
        Factorizer(rank)
