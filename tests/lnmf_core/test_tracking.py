from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnmf_core import Factorizer, Stop, StreamSpec, factorize
from tests.lnmf_core.streams import (
    RANK,
    Plain,
    as_rows,
    check_sums,
    followed,
    held,
    rows_of,
    small_rows,
    traffic,
    true_error,
)


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
