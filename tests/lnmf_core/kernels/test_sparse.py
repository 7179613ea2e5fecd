from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import ExtrapolatedHals, Hals, Nndsvd, RandomStart, Stop, threads
from lnmf_core.kernels.tiles import room
from lnmf_core.matrix import checked
from lnmf_core.rules.sweep_plan import Pace
from lnmf_core.solve import _iterate, _iterate_compiled

WILD = Pace(1.0, 1.5, 1.3, 1.1, 2.0)


def counts(rows: int, columns: int) -> Any:
    rng = np.random.default_rng(rows)
    X = rng.poisson(rng.gamma(0.3, 2.0, (rows, 5)) @ rng.gamma(0.3, 2.0, (5, columns))).astype(float)
    X[rows // 2] = X[:, columns // 2] = 0.0
    return sparse.csr_array(X)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("rule", [Hals(2), ExtrapolatedHals(2), ExtrapolatedHals(2, WILD)], ids=str)
@pytest.mark.parametrize(("shape", "k"), [((70, 33), 9), ((32, 64), 8), ((5, 40), 4), ((100, 90), 17)])
def test_the_pass_over_blocks_is_the_loop(shape: tuple[int, int], k: int, rule: Any, index: Any) -> None:
    X = counts(*shape)
    X.indptr, X.indices = X.indptr.astype(index), X.indices.astype(index)
    matrix = checked(X)
    for start in (Nndsvd(1), RandomStart(1)):
        first = start.factors(matrix, k)
        factors, errors, reason = _iterate(matrix, first, rule, Stop(12, 1e-9))
        same, same_errors, same_reason = _iterate_compiled(
            matrix, first.D.copy(), first.C.T.copy(), rule.plan(k), Stop(12, 1e-9)
        )
        assert same_errors == pytest.approx(errors, rel=1e-7, abs=1e-7)
        assert same_reason is reason
        np.testing.assert_allclose(same.D @ same.C, factors.D @ factors.C, rtol=1e-4, atol=1e-6)


def test_a_component_that_is_absent_from_the_partner_is_left_as_it_is() -> None:
    matrix = checked(counts(40, 35))
    first = RandomStart(0).factors(matrix, 3)
    D, C = np.array(first.D), np.array(first.C)
    C[1] = 0.0
    dead = type(first)(D, C)
    factors, _, _ = _iterate(matrix, dead, Hals(2), Stop(1, 0.0))
    same, _, _ = _iterate_compiled(matrix, dead.D.copy(), dead.C.T.copy(), Hals(2).plan(3), Stop(1, 0.0))
    np.testing.assert_array_equal(same.D[:, 1], D[:, 1])
    np.testing.assert_allclose(same.C, factors.C, atol=1e-9)


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("pace", [Pace(), WILD], ids=["steady", "wild"])
def test_parts_only_change_the_order_of_sums(parts: int, pace: Pace) -> None:
    matrix = checked(counts(100, 90))
    plan, stop = ExtrapolatedHals(2, pace).plan(9), Stop(12, 1e-9)
    first = RandomStart(1).factors(matrix, 9)
    factors, errors, reason = _iterate_compiled(matrix, first.D.copy(), first.C.T.copy(), plan, stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "SPARSE", ((0, parts),))
        same, same_errors, same_reason = _iterate_compiled(matrix, first.D.copy(), first.C.T.copy(), plan, stop)
    assert same_errors == pytest.approx(errors, rel=1e-9)
    assert same_reason is reason
    np.testing.assert_allclose(same.D, factors.D, atol=1e-8)


def test_room_begins_at_a_cache_line() -> None:
    assert [room(3, 5, np.zeros(1)).ctypes.data % 64 for _ in range(4)] == [0] * 4
