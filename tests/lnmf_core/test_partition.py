from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from lnmf_core.matrix import checked
from lnmf_core.partition import sharded_normal


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 39), max_size=5, unique=True))
def test_shards_add_up_to_the_whole(layout: Any, dtype: Any, seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    X, D = (1 + rng.poisson(1.0, (40, 9))).astype(dtype), rng.random((40, 4)).astype(dtype)
    bounds = [0, *sorted(cuts), 40]
    shards = [(checked(layout(X[a:b])), D[a:b]) for a, b in itertools.pairwise(bounds)]
    normal = sharded_normal(iter(shards))
    assert normal.cross.dtype == normal.gram.dtype == dtype
    rounding = 100 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(normal.cross, X.T.astype(float) @ D, rtol=rounding)
    np.testing.assert_allclose(normal.gram, D.T.astype(float) @ D, rtol=rounding)


def test_shards_that_do_not_fit_are_refused() -> None:
    X, D = checked(np.ones((3, 4))), np.ones((3, 2))
    with pytest.raises(ValueError, match="there is no shard"):
        sharded_normal([])
    with pytest.raises(ValueError, match="shard 1: D is float64 of shape"):
        sharded_normal([(X, D), (X, D[:2])])
    with pytest.raises(ValueError, match="shard 0: D is float32"):
        sharded_normal([(X, D.astype(np.float32))])
    with pytest.raises(ValueError, match="shard 1: m × k is"):
        sharded_normal([(X, D), (checked(np.ones((3, 5))), D)])
