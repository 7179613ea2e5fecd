"""Small streams of counts that the tests of `Factorizer` share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core import Factorizer, Rows, StreamSpec

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
    state["measures"][4:] = state["spec_cold_every"]
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
