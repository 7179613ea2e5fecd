"""The compiled loop of sweeps with momentum for many problems at once, with derivatives.

The tests hold it against `lnmf_core.kernels.loop`. Deep unfolding: each iteration is a layer, its momenta are what
is learned (Monga, Li & Eldar 2021, "Algorithm unrolling").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.training.sweeps import gram_of, squared_error, swept

if TYPE_CHECKING:
    from lnmf_core.training.sweeps import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Problems of one size, their starts, and the best relative error that is known for each.

    X is problems × n × m, D problems × n × k, Ct problems × m × k, best one number a problem; all of one dtype.
    """

    X: Tensor
    D: Tensor
    Ct: Tensor
    best: Tensor

    def __len__(self) -> int:
        return len(self.best)

    def part(self, chosen: Tensor) -> Pool:
        """Return the problems with these numbers."""
        return Pool(self.X[chosen], self.D[chosen], self.Ct[chosen], self.best[chosen])


@dataclass(frozen=True, slots=True)
class Unfolding:
    """How the loop of a `SweepPlan` is unrolled; all but `reach` and `from_length` describe the plan.

    Raises ParameterError unless 1 ≤ `period` ≤ rows, 1 ≤ `from_length` ≤ `reach` and the others are positive.
    """

    sweeps: int = 8
    period: int = 16
    cap: float = 10.0
    """A momentum is cap · sigmoid(b) for a trained number b."""
    from_length: int = 3
    """Iterations that the first steps unroll, ..."""
    reach: int = 36
    """... and the later ones; the run grows evenly over the first half of the training."""

    def __post_init__(self) -> None:
        for name in ("sweeps", "period", "from_length"):
            whole_number(name, getattr(self, name), ParameterError)
        whole_number("reach", self.reach, ParameterError, least=self.from_length)
        if not self.cap > 0:
            raise ParameterError(f"cap is {self.cap}: it must be positive")

    def length_at(self, step: int, steps: int) -> int:
        """Return how many iterations step 0, 1, … of `steps` unrolls."""
        grown = 2 * step * (self.reach - self.from_length + 1) // steps
        return min(self.from_length + grown, self.reach)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """One factor of every problem: what is kept, and what momentum comes from."""

    best: Tensor
    kept: Tensor
    before: Tensor

    def moved(self, accepted: Tensor, handed: Tensor, result: Tensor) -> Memory:
        """Return the memory after an iteration, which was taken back where it was not `accepted`."""
        best = torch.where(accepted, handed, self.best)
        return Memory(best, torch.where(accepted, result, best), torch.where(accepted, self.kept, best))


def unfolded(pool: Pool, momenta: Tensor, unfolding: Unfolding, length: int) -> Tensor:
    """Return the relative errors of the best pair after 1 … `length` iterations, length × problems.

    `momenta` is rows × 3 as in `SweepPlan.momentum`. Where the error rises, a problem goes back to its best
    pair and moves without momentum once, as in the loop.
    """
    X, squared = pool.X, (pool.X**2).sum((1, 2))
    D, C = Memory(pool.D, pool.D, pool.D), Memory(pool.Ct, pool.Ct, pool.Ct)
    best = squared_error(X, D.best, C.best) / squared
    accepted = torch.ones_like(best, dtype=torch.bool)[:, None, None]
    errors = []
    for step in range(length):
        first, second, third = momenta[row_at(step, len(momenta), unfolding.period)]
        # Once taken back, a factor is where it was before: `first` and `second` have nothing to extrapolate.
        new_D = swept(_ahead(D.kept, D.before, first), X @ C.best, gram_of(C.best), unfolding.sweeps)
        handed = _ahead(new_D, D.kept, third * accepted)
        origin = _ahead(C.kept, C.before, second)
        new_C = swept(origin, X.transpose(1, 2) @ handed, gram_of(handed), unfolding.sweeps)
        tried = squared_error(X, handed, new_C) / squared
        better = tried <= best
        accepted = better[:, None, None]
        best = torch.where(better, tried, best)
        D, C = D.moved(accepted, handed, new_D), C.moved(accepted, new_C, new_C)
        errors.append(best.clamp_min(torch.finfo(best.dtype).tiny).sqrt())
    return torch.stack(errors)


def unfolded_loss(pool: Pool, numbers: Tensor, unfolding: Unfolding, length: int, least: float = 1e-4) -> Tensor:
    """Return the mean over problems and iterations of log₁₀([f_t/f* − 1]₊ + least), f the relative error.

    `numbers` is rows × 3: momenta before cap · sigmoid.
    """
    errors = unfolded(pool, unfolding.cap * numbers.sigmoid(), unfolding, length)
    return ((errors / pool.best - 1).clamp_min(0) + least).log10().mean()


def row_at(step: int, rows: int, period: int) -> int:
    """Return which row iteration `step` takes; the last `period` rows are repeated for ever."""
    return step if step < rows else rows - period + (step - rows) % period


def _ahead(new: Tensor, old: Tensor, momentum: Tensor) -> Tensor:
    return (new + momentum * (new - old)).clamp_min(0)
