from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys
from scipy import sparse

from lnmf_core import ExtrapolatedHals, Hals, LearnedMomentum, RandomStart, Stop, factorize

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _counted() -> Iterator[None]:
    """Let numba count what compiled code allocates."""
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


@pytest.mark.usefixtures("_counted")
@pytest.mark.parametrize(
    "rule", [Hals(), ExtrapolatedHals(), LearnedMomentum()], ids=lambda rule: type(rule).__name__
)
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
def test_an_iteration_of_sweeps_allocates_nothing(rule: Any, layout: Any) -> None:
    X = layout(np.random.default_rng(0).poisson(0.5, (70, 40)).astype(float))

    def allocated(iterations: int) -> int:
        before = rtsys.get_allocation_stats().alloc
        solution = factorize(X, 5, rule=rule, start=RandomStart(1), stop=Stop(iterations, 0.0))
        assert solution.iterations == iterations
        return int(rtsys.get_allocation_stats().alloc - before)

    allocated(1)  # what is compiled or looked up once
    assert allocated(4) > 0
    assert allocated(24) == allocated(4)
