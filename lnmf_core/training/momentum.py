"""Training the schedule of `LearnedMomentum`: an evolution strategy on the cost to come near the best error.

Needs numpy alone: the cost is counted on the compiled loop that will run the schedule.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from lnmf_core.factors import Array, Factors
from lnmf_core.kernels.loop import extrapolated_sweeps
from lnmf_core.rules.extrapolated_hals import ExtrapolatedHals
from lnmf_core.rules.learned_momentum import KIND
from lnmf_core.rules.sweep_plan import Pace, SweepPlan
from lnmf_core.training.shipping import shipping_parser
from lnmf_core.weights.store import ModelCard, Value, Weights, save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Floats = NDArray[np.float64]

GAP = 1e-3
"""A run arrives when its error is within this share of the best known one."""
BUDGETS = (24, 96, 400)
"""Iterations that a run is given, again from the start, until it arrives."""
MISSING = 2.0
"""Added to the logarithm of the last budget for a run that does not arrive."""
NO_INDICES = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class MomentumSpec:
    """What the schedule is trained on, and for how long."""

    shapes: tuple[tuple[int, int, int], ...] = ((30, 30, 3),)
    """(n, m, k) of the problems, drawn in turn."""
    noises: tuple[float, ...] = (0.001, 0.01, 0.1)
    """Standard deviations of the noise, drawn in turn."""
    problems: int = 384
    """Problems in the pool."""
    batch: int = 192
    """Problems that a generation is judged by."""
    generations: int = 150
    population: int = 16
    sweeps: int = 8
    rows: int = 32
    """Length T of the schedule; its last half is repeated."""
    cap: float = 10.0
    """A momentum is cap · sigmoid(b) for a trained number b."""
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A random matrix with a start and the best error that is known for it."""

    X: Array
    start: Factors
    best: float
    """Relative error."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedMomentum:
    """A schedule, and how its loss fell."""

    plan: SweepPlan
    losses: tuple[float, ...] = field(repr=False)
    """Mean logarithm of the iterations needed, by the mean of the population, one for each generation."""


def train_momentum(spec: MomentumSpec, report: Callable[[int, float], None] | None = None) -> TrainedMomentum:
    """Return the schedule with the least mean log(iterations to `GAP` of the best known error).

    Sweeps and schedule length are given, so that iterations are proportional to time: compare schedules of
    different `sweeps` by time. `report` is called with each generation's number and loss. Equal specs give
    equal results.
    """
    rng = np.random.default_rng(spec.seed)
    pool = [random_problem(spec, index, rng) for index in range(spec.problems)]
    search = SeparableSearch(_flat(spec, np.array([0.4, 0.4, 0.8])), 0.5, spec.population, rng)
    losses = []
    for generation in range(spec.generations):
        chosen = rng.permutation(spec.problems)[: spec.batch]
        batch = [pool[index] for index in chosen]
        candidates = search.ask()
        search.tell(candidates, np.array([mean_log_cost(plan_of(spec, b), batch) for b in candidates]))
        losses.append(mean_log_cost(plan_of(spec, search.mean), batch))
        if report is not None:
            report(generation, losses[-1])
    return TrainedMomentum(plan_of(spec, search.mean), tuple(losses))


def weights_of(spec: MomentumSpec, trained: TrainedMomentum, commit: str, figures: dict[str, Value]) -> Weights:
    """Return what `LearnedMomentum` loads, with its card; `figures` are of problems not trained on."""
    sizes = np.array([trained.plan.sweeps, trained.plan.period], np.float64)
    data = "X = [DC + e]+, D and C uniform, e normal; uniform starts"
    settings = json.loads(json.dumps(asdict(spec)))
    card = ModelCard(KIND, data, spec.seed, commit, settings, figures)
    return Weights({"momentum": trained.plan.momentum, "shape": sizes}, card)


def plan_of(spec: MomentumSpec, numbers: Floats) -> SweepPlan:
    """Return the plan for rows × 3 trained numbers, flat."""
    momentum = spec.cap / (1 + np.exp(-numbers.reshape(spec.rows, 3)))
    return SweepPlan(spec.sweeps, momentum, max(1, spec.rows // 2), Pace())


def _flat(spec: MomentumSpec, momentum: Floats) -> Floats:
    share = momentum / spec.cap
    return np.tile(np.log(share / (1 - share)), spec.rows)


def random_problem(spec: MomentumSpec, index: int, rng: np.random.Generator) -> Problem:
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


def validated(spec: MomentumSpec, plan: SweepPlan, problems: int) -> dict[str, Value]:
    """Return figures of a plan on problems that it was not trained on, beside extrapolated HALS."""
    rng = np.random.default_rng(spec.seed + 1)
    fresh = [random_problem(spec, index, rng) for index in range(problems)]
    own = [cost(plan, problem) for problem in fresh]
    classical = [cost(ExtrapolatedHals(spec.sweeps).plan(problem.start.rank), problem) for problem in fresh]
    return {
        "problems": problems,
        "median_iterations": round(float(np.median(own)), 1),
        "median_iterations_extrapolated_hals": round(float(np.median(classical)), 1),
        "share_that_arrives": round(float(np.isfinite(own).mean()), 3),
    }


def main(arguments: Sequence[str]) -> int:
    """Train the schedule, write the set, and say what it reaches; return the exit status."""
    parser = shipping_parser("momentum", __doc__, seed=2)
    parser.add_argument("--problems", type=int, default=768, help="in the pool (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=192, help="problems a generation (default: %(default)s)")
    parser.add_argument("--generations", type=int, default=400, help="(default: %(default)s)")
    parser.add_argument("--validation", type=int, default=300, help="problems of the card (default: %(default)s)")
    given = parser.parse_args(arguments)
    spec = MomentumSpec(
        problems=given.problems,
        batch=min(given.batch, given.problems),
        generations=given.generations,
        seed=given.seed,
    )
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=spec.generations)
        trained = train_momentum(
            spec, lambda done, loss: bar.update(task, completed=done + 1, description=f"{loss:.3f}")
        )
    figures = validated(spec, trained.plan, given.validation)
    save(given.name, weights_of(spec, trained, given.commit, figures), given.output)
    console.print(f"{given.output / given.name}.npz: {figures}")
    return 0
