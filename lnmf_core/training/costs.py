"""What a schedule of momenta costs: iterations to the best known error, on the compiled loop that will run it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnmf_core.errors import ParameterError
from lnmf_core.factors import Array, Factors
from lnmf_core.kernels.loop import extrapolated_sweeps
from lnmf_core.rules.sweep_plan import SweepPlan

if TYPE_CHECKING:
    pass

Floats = NDArray[np.float64]

GAP = 1e-3
"""A run arrives when its error is within this share of the best known one."""
BUDGETS = (24, 96, 400)
"""Iterations that a run is given, again from the start, until it arrives."""
MISSING = 2.0
"""Added to the logarithm of the last budget for a run that does not arrive."""
NO_INDICES = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A random matrix with a start and the best error that is known for it."""

    X: Array
    start: Factors
    best: float
    """Relative error."""


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Problems that a schedule is trained, chosen or judged on.

    Raises ParameterError without shapes or noises.
    """

    shapes: tuple[tuple[int, int, int], ...] = ((30, 30, 3),)
    """(n, m, k), drawn in turn."""
    noises: tuple[float, ...] = (0.001, 0.01, 0.1)
    """Standard deviations, drawn in turn."""
    problems: int = 768

    def __post_init__(self) -> None:
        if not (self.shapes and self.noises and self.problems > 0):
            raise ParameterError("a pool needs at least one shape, one noise and one problem")


def drawn(spec: PoolSpec, rng: np.random.Generator) -> list[Problem]:
    """Return the problems of a pool."""
    return [random_problem(spec, index, rng) for index in range(spec.problems)]


def random_problem(spec: PoolSpec, index: int, rng: np.random.Generator) -> Problem:
    """Return X = [D*C* + e]₊ with D*, C* uniform and e normal, and a uniform start of X's size."""
    n, m, k = spec.shapes[index % len(spec.shapes)]
    noise = spec.noises[index // len(spec.shapes) % len(spec.noises)]
    D, C = rng.random((n, k)), rng.random((k, m))
    X = np.maximum(D @ C + noise * rng.standard_normal((n, m)), 0)
    level = math.sqrt(4 * X.mean() / k)
    start = Factors(level * rng.random((n, k)), level * rng.random((k, m)))
    steady = SweepPlan(10, np.array([[0.4, 0.4, 0.8]]))
    ends = [run(X, begin, steady, BUDGETS[-1] * 4)[-1] for begin in (start, Factors(D, C))]
    return Problem(X, start, min(ends))


def run(X: Array, start: Factors, plan: SweepPlan, iterations: int) -> Floats:
    """Return the relative errors of the start and of `iterations` iterations, fewer if the fit is exact."""
    errors = np.empty(iterations + 1)
    D, Ct = np.array(start.D, order="C"), np.array(start.C.T, order="C")
    count, _ = extrapolated_sweeps(
        X,
        NO_INDICES,
        NO_INDICES,
        np.empty(0),
        float((X * X).sum()),
        D,
        Ct,
        plan.sweeps,
        plan.momentum,
        plan.period,
        plan.pace.array(),
        np.empty(0) if plan.joint is None else plan.joint.array(),
        errors,
        rounding=1e-9,
        tolerance=-1.0,
        memory=2,
        parts=1,
        workers=None,
    )
    return errors[:count]


def cost(plan: SweepPlan, problem: Problem) -> float:
    """Return the iterations that `problem` needs, with a fraction; infinite if the last budget is too small."""
    goal = problem.best * (1 + GAP)
    for budget in BUDGETS:
        errors = run(problem.X, problem.start, plan, budget)
        if errors[-1] <= goal:
            at = int(np.argmax(errors <= goal))
            return float(at) if not at else at - 1 + _fraction(errors[at - 1], errors[at], goal)
    return math.inf


def _fraction(before: float, after: float, goal: float) -> float:
    return math.log(before / goal) / math.log(before / after) if after < before else 1.0


def mean_log_cost(plan: SweepPlan, batch: list[Problem]) -> float:
    """Return the mean logarithm of the cost; runs that do not arrive count as e^`MISSING` last budgets."""
    costs = [cost(plan, problem) for problem in batch]
    most = math.log(BUDGETS[-1]) + MISSING
    return sum(most if math.isinf(each) else math.log(max(each, 1.0)) for each in costs) / len(costs)
