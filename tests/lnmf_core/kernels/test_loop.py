from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import ExtrapolatedHals, Hals, LearnedMomentum, RandomStart, Stop, factorize

if TYPE_CHECKING:
    from collections.abc import Iterator

# numba's memory keeps count of itself if it is told to, which only its own tests do: there are no types for it.
MEMORY: Any = import_module("numba.core.runtime.nrt").rtsys
SWITCHES: Any = import_module("numba.core.runtime._nrt_python")


@pytest.fixture
def _counted() -> Iterator[None]:
    """Let numba count what compiled code allocates."""
    SWITCHES.memsys_enable_stats()
    yield
    SWITCHES.memsys_disable_stats()


@pytest.mark.usefixtures("_counted")
@pytest.mark.parametrize(
    "rule", [Hals(), ExtrapolatedHals(), LearnedMomentum()], ids=lambda rule: type(rule).__name__
)
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
def test_an_iteration_of_sweeps_allocates_nothing(rule: Any, layout: Any) -> None:
    X = layout(np.random.default_rng(0).poisson(0.5, (70, 40)).astype(float))

    def allocated(iterations: int) -> int:
        before = MEMORY.get_allocation_stats().alloc
        solution = factorize(X, 5, rule=rule, start=RandomStart(1), stop=Stop(iterations, 0.0))
        assert solution.iterations == iterations
        return int(MEMORY.get_allocation_stats().alloc - before)

    allocated(1)  # what is compiled or looked up once
    assert allocated(4) > 0
    assert allocated(24) == allocated(4)
