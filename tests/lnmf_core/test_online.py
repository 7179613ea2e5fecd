from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core import (
    FactorError,
    Factorizer,
    MatrixError,
    Nndsvd,
    ParameterError,
    RankError,
    Rows,
    Stop,
    StreamSpec,
    factorize,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = NDArray[np.floating[Any]]
Plain = dict[int, dict[int, int]]
"""What is held, by key of the row and key of the column."""

RANK = 3
CALM = StreamSpec(alarm=1e9, unrest=1e9, cold_every=10**6)
"""Looks cold at the start, and once more if that is not made `calm`."""


def traffic(rng: np.random.Generator, patterns: Array, rows: int) -> Array:
    """Return counts of sources that follow one pattern each, and some noise."""
    rates = patterns[rng.integers(0, len(patterns), rows)] * rng.gamma(2.0, 3.0, (rows, 1))
    return rng.poisson(rates + 0.02).astype(float)


def patterns_of(rng: np.random.Generator, count: int, columns: int) -> Array:
    return np.asarray(rng.gamma(0.3, 1.0, (count, columns)) * (rng.random((count, columns)) < 0.4))


def rows_of(keys: Any, X: Any) -> Rows:
    return Rows(np.asarray(keys, np.int64), X, np.arange(X.shape[1]))


def followed(rows: int = 200, spec: StreamSpec = CALM) -> tuple[Factorizer, Array, Array, np.random.Generator]:
    """Return a Factorizer that has seen a window, the window, and the patterns behind it."""
    rng = np.random.default_rng(4)
    patterns = patterns_of(rng, RANK, 30)
    X = traffic(rng, patterns, rows)
    factorizer = Factorizer(RANK, spec)
    factorizer.window(rows_of(range(rows), X))
    return calm(factorizer), X, patterns, rng


def calm(factorizer: Factorizer) -> Factorizer:
    """Return a likeness that has looked cold just now and found nothing better."""
    state = factorizer.state()
    state["measures"][4] = 0.0
    return Factorizer.restore(state)


def true_error(factorizer: Factorizer, X: Array) -> float:
    factors = factorizer.factors()
    return float(np.linalg.norm(X - factors.D @ factors.C) / np.linalg.norm(X))


def held(plain: Plain, factorizer: Factorizer) -> Array:
    """Return X as the Factorizer should hold it, in its order of rows and columns."""
    place = {int(key): at for at, key in enumerate(factorizer.column_keys)}
    X = np.zeros((len(factorizer.row_keys), len(place)))
    for at, key in enumerate(factorizer.row_keys):
        for column, value in plain[int(key)].items():
            if value:  # a column without entries may be unknown
                X[at, place[column]] = value
    return X


def check_sums(factorizer: Factorizer, plain: Plain) -> None:
    """Compare all that is kept by differences with what it stands for."""
    X, state = held(plain, factorizer), factorizer.state()
    D, Ct = state["D"], state["Ct"]
    scale = max(float(np.abs(state["cross"]).max(initial=0)), float((X**2).sum()), 1e-300)
    csr = sparse.csr_array((state["data"], state["indices"], state["indptr"]), shape=X.shape)
    np.testing.assert_array_equal(csr.toarray(), X)
    np.testing.assert_allclose(state["cross"], X.T @ D, atol=1e-9 * scale)
    np.testing.assert_allclose(state["gram_D"], D.T @ D, atol=1e-9 * max(float((D**2).sum()), 1e-300))
    np.testing.assert_allclose(state["gram_C"], Ct.T @ Ct, atol=1e-9 * max(float((Ct**2).sum()), 1e-300))
    assert state["measures"][0] == pytest.approx((X**2).sum(), rel=1e-9, abs=1e-9)
    assert state["measures"][1] == pytest.approx((Ct * (X.T @ D)).sum(), rel=1e-6, abs=1e-9 * scale)
    for factor in (D, Ct):
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()


small_rows = st.dictionaries(
    st.integers(-3, 12),
    st.dictionaries(st.integers(-(2**40), 2**40) | st.integers(0, 6), st.integers(0, 50), max_size=4),
    max_size=6,
)


def as_rows(drawn: Plain) -> Rows:
    columns = sorted({column for row in drawn.values() for column in row})
    X = np.array([[float(row.get(column, 0)) for column in columns] for row in drawn.values()])
    return Rows(np.array(list(drawn), np.int64), X.reshape(len(drawn), len(columns)), np.array(columns, np.int64))


@settings(deadline=None, derandomize=True, max_examples=25)
@given(data=st.data(), steps=st.integers(1, 9), settle=st.sampled_from([0.0, 0.3, 1.0]))
def test_after_any_sequence_the_sums_are_those_computed_from_scratch(
    data: st.DataObject, steps: int, settle: float
) -> None:
    factorizer = Factorizer(RANK, StreamSpec(settle=settle, cold_every=3))
    plain: Plain = {}
    for _ in range(steps):
        drawn: Plain = data.draw(small_rows)
        if data.draw(st.integers(0, 5)) == 0:
            plain = dict(drawn)
            step = factorizer.window(as_rows(drawn))
        else:
            gone = data.draw(st.lists(st.sampled_from(sorted(plain)), unique=True)) if plain else []
            gone = [key for key in gone if key not in drawn]
            step = factorizer.update(as_rows(drawn), np.array(gone, np.int64))
            plain = {key: row for key, row in plain.items() if key not in gone} | drawn
        assert sorted(factorizer.row_keys.tolist()) == sorted(plain)
        check_sums(factorizer, plain)
        X = held(plain, factorizer)
        if X.any():
            assert step.error**2 == pytest.approx(true_error(factorizer, X) ** 2, abs=1e-9)
        else:
            assert step.error == 0.0


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 2**32), before=st.integers(0, 5), after=st.integers(1, 5))
def test_a_restored_stream_goes_on_bit_by_bit(seed: int, before: int, after: int) -> None:
    rng = np.random.default_rng(seed)
    patterns = patterns_of(rng, RANK, 12)
    first = Factorizer(RANK, StreamSpec(cold_every=2, sweeps=3, settle=0.2))
    inputs = [
        (rows_of(rng.choice(40, 9, replace=False), traffic(rng, patterns, 9)), bool(rng.random() < 0.3))
        for _ in range(before + after)
    ]
    ticks: Iterator[float] = iter(range(10**6))
    for rows, whole in inputs[:before]:
        first.window(rows) if whole else first.update(rows)
    file = io.BytesIO()
    np.savez(file, **first.state())  # type: ignore[arg-type]  # the stub takes allow_pickle for one of them
    file.seek(0)
    with np.load(file, allow_pickle=False) as saved:
        second = Factorizer.restore(saved, clock=lambda: next(ticks))
    for rows, whole in inputs[before:]:
        steps = [one.window(rows) if whole else one.update(rows) for one in (first, second)]
        assert (steps[0].error, steps[0].cold) == (steps[1].error, steps[1].cold)
    ours, theirs = first.state(), second.state()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


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
    assert shuffled.error == pytest.approx(step.error, rel=1e-9)
    np.testing.assert_allclose(again.factors().C, factorizer.factors().C[:, order], rtol=1e-9, atol=1e-12)


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
    assert looks == [1, 1, 1, 1, 1, 1, 2, 2, 2]


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


def test_it_looks_again_one_window_after_it_has_found_something_better() -> None:
    rng = np.random.default_rng(4)
    patterns = patterns_of(rng, RANK, 30)
    spec = StreamSpec(alarm=1e9, unrest=1e9, cold_every=10**6, cold_gain=0.5)
    factorizer = Factorizer(RANK, spec)
    steps = [factorizer.window(rows_of(range(200), traffic(rng, patterns, 200))) for _ in range(4)]
    assert [step.cold for step in steps] == [True, False, False, False]
    assert factorizer.state()["counters"][1] == 2


def test_updates_age_by_the_share_of_rows_that_they_change() -> None:
    factorizer, _, patterns, rng = followed(spec=StreamSpec(cold_every=1, alarm=1e9, unrest=1e9))
    looks = []
    for _ in range(8):
        factorizer.update(rows_of(range(50), traffic(rng, patterns, 50)))
        looks.append(int(factorizer.state()["counters"][1]))
    assert looks == [1, 1, 1, 2, 2, 2, 2, 3]


def test_a_dead_component_begins_anew_where_most_is_unexplained() -> None:
    factorizer, _, patterns, rng = followed()
    state = factorizer.state()
    state["Ct"][:, 1] = 0.0
    state["gram_C"] = state["Ct"].T @ state["Ct"]
    again = Factorizer.restore(state)
    X = traffic(rng, patterns, 200)
    step = again.window(rows_of(range(200), X))
    assert step.respawned == 1
    assert not step.cold
    assert step.error == pytest.approx(true_error(again, X), rel=1e-9)
    for _ in range(3):
        step = again.window(rows_of(range(200), X))
    assert step.respawned is None
    assert step.error < 1.05 * factorize(X, RANK, stop=Stop(200)).error


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


def test_no_digits_are_lost_when_large_counts_leave() -> None:
    factorizer, X, *_ = followed()
    factorizer.update(rows_of([1000], np.full((1, 30), 1e12)))
    step = factorizer.update(vanished=np.array([1000]))
    factors = factorizer.factors()
    state = factorizer.state()
    np.testing.assert_allclose(state["cross"], X.T @ factors.D, rtol=1e-9, atol=1e-9)
    assert step.error == pytest.approx(true_error(factorizer, X), rel=1e-6)


def test_rounding_does_not_gather() -> None:
    factorizer, X, patterns, rng = followed()
    for _ in range(600):
        keys = rng.choice(200, 5, replace=False)
        X[keys] = traffic(rng, patterns, 5) * 10.0 ** rng.integers(-2, 3)
        factorizer.update(rows_of(keys, X[keys]))
    state = factorizer.state()
    np.testing.assert_allclose(
        state["cross"], X.T @ factorizer.factors().D, rtol=0, atol=1e-11 * state["cross"].max()
    )
    # 3000 changes of 200 rows: summed afresh after each 101, or more often.
    assert state["counters"][0] <= 100


def test_overflow_is_met_with_a_cold_start() -> None:
    factorizer = Factorizer(1)
    factorizer.window(rows_of([0, 1], np.array([[1e-90, 0.0], [0.0, 0.5e-90]])))
    step = factorizer.window(rows_of([0, 1], np.full((2, 2), 1e99)))
    assert step.error < 1e-6
    assert np.isfinite(factorizer.factors().D).all()


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


@pytest.mark.parametrize(
    "wrong",
    [{"sweeps": 0}, {"passes": 0}, {"settle": 1.5}, {"alarm": 0.9},
     {"unrest": 0.9}, {"refresh": 1.5}, {"tolerance": -0.1}, {"memory": float("nan")}, {"seed": -1},
     {"seed": 2**62}, {"cold_every": 0}, {"cold_iterations": 0}, {"cold_gain": -0.1}],
)  # fmt: skip
def test_a_spec_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        StreamSpec(**wrong)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("D", None, "lacks 'D'"),
        ("D", np.zeros((3, 3)), r"shape \(3, 3\)"),
        ("D", np.full((200, 3), -1.0), "too small"),
        ("Ct", np.full((30, 3), np.nan), "not finite"),
        ("Ct", np.zeros((30, 0)), "shape"),
        ("cross", np.zeros(3), "dimensions"),
        ("spec_sweeps", np.array(0), "sweeps"),
        ("spec_seed", np.array(["x"]), "dimensions"),
        ("indices", np.array([5000], np.int32), "CSR|rows of counts"),
        ("data", np.array([-1.0]), "CSR|rows of counts"),
        ("row_keys", np.zeros(200, np.int64), "occurs twice"),
    ],
)
def test_a_damaged_state_is_refused(name: str, value: Any, message: str) -> None:
    state = followed()[0].state()
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(ValueError, match=message) as caught:
        Factorizer.restore(state)
    assert isinstance(caught.value, FactorError | MatrixError | ParameterError)
