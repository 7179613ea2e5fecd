from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lnmf_core.kernels.sweeps import hals_sweeps  # noqa: E402
from lnmf_core.training.problems import Uniform  # noqa: E402
from lnmf_core.training.sweeps import gram_of, settled, squared_error, swept  # noqa: E402


def normal_equations(absent: int | None = None) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(2)
    factor, partner = rng.random((3, 7, 4)), rng.random((3, 9, 4))
    if absent is not None:
        partner[1, :, absent] = 0
    # Shifted, so that many entries meet the bound.
    cross = rng.normal(1.0, 2.0, (3, 7, 4))
    return factor, cross, partner.transpose(0, 2, 1) @ partner


@pytest.mark.parametrize("sweeps", [1, 5])
@pytest.mark.parametrize("absent", [None, 0, 2])
def test_sweeps_are_those_of_the_kernel(sweeps: int, absent: int | None) -> None:
    factor, cross, gram = normal_equations(absent)
    tensors = [torch.from_numpy(each) for each in (factor, cross, gram)]
    found = swept(tensors[0], tensors[1], tensors[2], sweeps).numpy()
    least = float(np.finfo(np.float64).tiny)
    for at in range(3):
        expected = hals_sweeps(factor[at], cross[at], gram[at], sweeps, least)
        np.testing.assert_allclose(found[at], expected, atol=1e-12)
    assert (found == 0).any()


def test_the_derivatives_of_sweeps_are_those_of_finite_differences() -> None:
    tensors = [torch.from_numpy(each).requires_grad_() for each in normal_equations()]
    assert torch.autograd.gradcheck(
        lambda factor, cross, gram: swept(factor, cross, gram, 3), tensors, eps=1e-7, atol=1e-5
    )


def test_settled_factors_fit_better_than_those_that_made_the_matrix() -> None:
    batch = Uniform(20, 15, 3, 0.1).draw(np.random.default_rng(0), 5)
    X, D, Ct = (torch.from_numpy(each.astype(np.float64)) for each in (batch.X, batch.D, batch.Ct))
    planted, found = squared_error(X, D, Ct), settled(X, D, Ct)
    assert (found < planted).all()
    # (n + m − k)·k of n·m degrees of freedom are fitted away.
    np.testing.assert_allclose((found / planted).mean(), 1 - 32 * 3 / 300, atol=0.08)


def test_the_gram_is_that_of_the_columns() -> None:
    factor = torch.arange(12.0).reshape(2, 3, 2)
    assert gram_of(factor).tolist() == [[[20.0, 26.0], [26.0, 35.0]], [[200.0, 224.0], [224.0, 251.0]]]
