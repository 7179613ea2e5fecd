"""The refinement of a schedule by an evolution strategy, on the iterations that it really needs.

The unfolded loss is a likeness of the cost with a gradient; this is the cost itself. Needs numpy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.training.costs import Floats, mean_log_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lnmf_core.rules.sweep_plan import SweepPlan
    from lnmf_core.training.costs import Problem


@dataclass(frozen=True, slots=True)
class Refinement:
    """How long the search goes on, and from how far around.

    Raises ParameterError for a population below 4, numbers that are negative or a spread that is not positive.
    """

    generations: int = 200
    population: int = 16
    batch: int = 192
    """Problems that a generation is judged by, drawn anew each time."""
    spread: float = 0.5
    """Standard deviation of the first population, in the units of the trained numbers."""

    def __post_init__(self) -> None:
        whole_number("generations", self.generations, ParameterError, least=0)
        whole_number("population", self.population, ParameterError, least=4)
        whole_number("batch", self.batch, ParameterError)
        if not self.spread > 0:
            raise ParameterError(f"spread is {self.spread}: it must be positive")


def refined(
    numbers: Floats,
    plan_of: Callable[[Floats], SweepPlan],
    pool: Sequence[Problem],
    refinement: Refinement,
    rng: np.random.Generator,
    report: Callable[[int, float], None] | None = None,
) -> Floats:
    """Return numbers, of the same shape, whose plan has a lower mean log(iterations) on the pool.

    Sweeps and length of the schedule are given, so that iterations are proportional to time: compare schedules
    of different sweeps by time. `report` is called with each generation's number and the loss of its mean on
    its batch. Equal arguments give equal results.
    """
    search = SeparableSearch(numbers.ravel(), refinement.spread, refinement.population, rng)
    for generation in range(refinement.generations):
        chosen = rng.permutation(len(pool))[: refinement.batch]
        batch = [pool[index] for index in chosen]
        candidates = search.ask()
        losses = [mean_log_cost(plan_of(each.reshape(numbers.shape)), batch) for each in candidates]
        search.tell(candidates, np.array(losses))
        if report is not None:
            report(generation, mean_log_cost(plan_of(search.mean.reshape(numbers.shape)), batch))
    return search.mean.reshape(numbers.shape)


class SeparableSearch:
    """Evolution strategy with a diagonal covariance (separable CMA-ES, Ros & Hansen 2008)."""

    def __init__(self, mean: Floats, step: float, population: int, rng: np.random.Generator) -> None:
        size, half = len(mean), population // 2
        weights = math.log(population / 2 + 0.5) - np.log(np.arange(1, half + 1))
        self.mean, self._step, self._population, self._rng = mean, step, population, rng
        self._weights = weights / weights.sum()
        effective = 1 / float((self._weights**2).sum())
        self._variance, self._path, self._step_path = np.ones(size), np.zeros(size), np.zeros(size)
        self._effective = effective
        self._step_rate = (effective + 2) / (size + effective + 5)
        self._step_damping = 1 + 2 * max(0.0, math.sqrt((effective - 1) / (size + 1)) - 1) + self._step_rate
        self._path_rate = (4 + effective / size) / (size + 4 + 2 * effective / size)
        faster = (size + 2) / 3  # a diagonal has fewer numbers to learn than a full matrix
        self._rank_one = min(1.0, faster * 2 / ((size + 1.3) ** 2 + effective))
        rank_many = faster * 2 * (effective - 2 + 1 / effective) / ((size + 2) ** 2 + effective)
        self._rank_many = min(1 - self._rank_one, rank_many)
        self._expected = math.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size**2))

    def ask(self) -> Floats:
        """Return a population, one candidate a row."""
        normal = self._rng.standard_normal((self._population, len(self.mean)))
        return self.mean + self._step * np.sqrt(self._variance) * normal

    def tell(self, candidates: Floats, losses: Floats) -> None:
        """Move towards the candidates with the least losses."""
        best = candidates[np.argsort(losses, kind="stable")[: len(self._weights)]]
        moves = (best - self.mean) / self._step
        move = self._weights @ moves
        self.mean = self.mean + self._step * move
        rate = self._step_rate
        self._step_path = (1 - rate) * self._step_path + math.sqrt(
            rate * (2 - rate) * self._effective
        ) * move / np.sqrt(self._variance)
        length = float(np.linalg.norm(self._step_path))
        rate = self._path_rate
        self._path = (1 - rate) * self._path + math.sqrt(rate * (2 - rate) * self._effective) * move
        self._variance = (
            (1 - self._rank_one - self._rank_many) * self._variance
            + self._rank_one * self._path**2
            + self._rank_many * (self._weights @ moves**2)
        )
        self._step *= math.exp(self._step_rate / self._step_damping * (length / self._expected - 1))
