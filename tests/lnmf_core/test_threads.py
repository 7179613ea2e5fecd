from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import lnmf_core
from lnmf_core import threads as module
from lnmf_core.threads import parts_of

RULES = [lnmf_core.Hals(2), lnmf_core.ExtrapolatedHals(2), lnmf_core.JointGaussNewton()]
STOP = lnmf_core.Stop(12, 0.0)


def counts(dtype: Any) -> Any:
    rng = np.random.default_rng(5)
    return rng.poisson(rng.gamma(0.3, 2.0, (200, 5)) @ rng.gamma(0.3, 2.0, (5, 90))).astype(dtype)


@pytest.fixture
def _in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide small matrices too."""
    monkeypatch.setattr(module, "SPARSE", ((0, 3),))
    monkeypatch.setattr(module, "DENSE", ((0, 3),))


@pytest.mark.usefixtures("_in_parts")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_threads_change_nothing(rule: Any, form: Any, dtype: Any) -> None:
    X = form(counts(dtype))
    start = lnmf_core.RandomStart(1)
    alone, *others = (
        lnmf_core.factorize(X, 5, rule=rule, start=start, stop=STOP, threads=threads) for threads in (1, 2, 3)
    )
    assert alone.iterations > 4
    for other in others:
        assert other.errors == alone.errors
        assert other.reason is alone.reason
        np.testing.assert_array_equal(other.factors.D, alone.factors.D)
        np.testing.assert_array_equal(other.factors.C, alone.factors.C)


def test_parts_of_dense_products_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    X = counts(np.float64)
    whole = lnmf_core.factorize(X, 5, rule=lnmf_core.ExtrapolatedHals(2), stop=STOP)
    monkeypatch.setattr(module, "DENSE", ((0, 3),))
    divided = lnmf_core.factorize(X, 5, rule=lnmf_core.ExtrapolatedHals(2), stop=STOP)
    assert divided.errors == pytest.approx(whole.errors, rel=1e-9)
    np.testing.assert_allclose(divided.factors.D, whole.factors.D, atol=1e-8)


def test_the_number_of_parts_depends_on_the_size_alone() -> None:
    assert [parts_of(size, sparse=True) for size in (1, (1 << 20) - 1, 1 << 20, 1 << 22)] == [1, 1, 2, 4]
    assert [parts_of(size, sparse=False) for size in (1, (1 << 20) - 1, 1 << 20)] == [1, 1, 4]


def test_an_impossible_number_of_threads_is_refused() -> None:
    with pytest.raises(lnmf_core.ParameterError, match="threads is 0"):
        lnmf_core.factorize(counts(np.float64), 5, threads=0)
