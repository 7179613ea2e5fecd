"""`python -m lnmf_core.training momentum`: train the schedule of `LearnedMomentum`.

First by gradients through the unrolled loop, then by an evolution strategy on the iterations that are needed.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, track

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.rules.extrapolated_hals import ExtrapolatedHals
from lnmf_core.rules.learned_momentum import KIND
from lnmf_core.rules.sweep_plan import SweepPlan
from lnmf_core.training.costs import Floats, PoolSpec, cost, drawn, mean_log_cost
from lnmf_core.training.evolution import Refinement, refined
from lnmf_core.training.fit import Run, Schedule, begin, fit, resume
from lnmf_core.training.shipping import shipping_parser
from lnmf_core.training.unfolded import Pool, Unfolding, unfolded_loss
from lnmf_core.weights.store import ModelCard, Value, Weights, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lnmf_core.training.costs import Problem

FIRST = (0.4, 0.4, 0.8)
"""Momenta (a, c, b) of every row before the training: a constant that is hard to beat by hand."""
CLIP = 1.0
"""Longest gradient: a problem whose error is about to rise has a very long one."""
NOISE = 0.01
"""Standard deviation of the problems that a schedule is chosen and judged on: the thesis' middle one."""


@dataclass(frozen=True, slots=True)
class MomentumSpec:
    """What is trained, on what, and how.

    Raises ParameterError for rows or a batch below 1, or a negative seed.
    """

    pool: PoolSpec = field(default_factory=PoolSpec)
    unfolding: Unfolding = field(default_factory=Unfolding)
    schedule: Schedule | None = None
    """Of the gradients; None leaves them out."""
    refinement: Refinement = field(default_factory=Refinement)
    rows: int = 32
    """Length T of the schedule."""
    batch: int = 96
    """Problems of a gradient step."""
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("rows", self.rows, ParameterError, least=self.unfolding.period)
        whole_number("batch", self.batch, ParameterError)
        whole_number("seed", self.seed, ParameterError, least=0)

    @property
    def settings(self) -> dict[str, Value]:
        """What decides the result, as JSON holds it."""
        plain: dict[str, Value] = json.loads(json.dumps(asdict(self)))
        return {**plain, "torch": torch.__version__}

    def plan(self, numbers: Floats) -> SweepPlan:
        """Return the plan for rows × 3 trained numbers."""
        momentum = self.unfolding.cap / (1 + np.exp(-numbers))
        return SweepPlan(self.unfolding.sweeps, momentum, self.unfolding.period)

    def first(self) -> Floats:
        """Return the numbers of a schedule that is constant."""
        share = np.array(FIRST) / self.unfolding.cap
        return np.tile(np.log(share / (1 - share)), (self.rows, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Unfolded:
    """The loss of the gradient training, on a pool of problems."""

    spec: MomentumSpec
    pools: Sequence[Pool]
    """One for each size of problems."""
    steps: int

    def loss(self, step: int, rng: np.random.Generator, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the unfolded loss of problems drawn from the pool, all of one size."""
        pool = self.pools[int(rng.integers(len(self.pools)))]
        chosen = rng.choice(len(pool), min(self.spec.batch, len(pool)), replace=False)
        length = self.spec.unfolding.length_at(step, self.steps)
        return unfolded_loss(
            pool.part(torch.from_numpy(chosen)), parameters["numbers"], self.spec.unfolding, length
        )


def as_pools(problems: Sequence[Problem]) -> list[Pool]:
    """Return the problems as tensors, those of one size together."""
    sizes = sorted({(*problem.X.shape, problem.start.rank) for problem in problems})
    return [_stacked([each for each in problems if (*each.X.shape, each.start.rank) == size]) for size in sizes]


def _stacked(problems: Sequence[Problem]) -> Pool:
    X, D, Ct = (
        torch.from_numpy(np.stack(arrays))
        for arrays in zip(*((each.X, each.start.D, each.start.C.T) for each in problems), strict=True)
    )
    return Pool(X, D, Ct, torch.tensor([each.best for each in problems], dtype=X.dtype))


def by_gradients(
    spec: MomentumSpec,
    problems: Sequence[Problem],
    run: Run,
    directory: Path,
    track_steps: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Floats:
    """Return the numbers after the gradients; `directory` receives their checkpoints and log.

    Equal specs and pools give equal results, resumed or not.
    """
    if spec.schedule is not None:
        unfolded = Unfolded(spec, as_pools(problems), spec.schedule.steps)
        run = fit(run, spec.schedule, unfolded.loss, directory, spec.settings, track_steps)
    return run.arrays["numbers"].astype(np.float64)


def weights_of(spec: MomentumSpec, plan: SweepPlan, commit: str, figures: dict[str, Value]) -> Weights:
    """Return what `LearnedMomentum` loads, with its card; `figures` are of problems not trained on."""
    sizes = np.array([plan.sweeps, plan.period], np.float64)
    data = "X = [DC + e]+, D and C uniform, e normal; uniform starts"
    card = ModelCard(KIND, data, spec.seed, commit, spec.settings, figures)
    return Weights({"momentum": plan.momentum, "shape": sizes}, card)


def judged(plan: SweepPlan, problems: Sequence[Problem]) -> dict[str, Value]:
    """Return figures of a plan on problems that it was not trained on, beside extrapolated HALS."""
    own = [cost(plan, problem) for problem in problems]
    classical = [cost(ExtrapolatedHals(plan.sweeps).plan(problem.start.rank), problem) for problem in problems]
    both = [(a, b) for a, b in zip(classical, own, strict=True) if max(a, b) < math.inf]
    gain = float(np.mean([math.log(max(a, 1) / max(b, 1)) for a, b in both])) if both else 0.0
    return {
        "problems": len(own),
        "median_iterations": round(float(np.median(own)), 1),
        "median_iterations_extrapolated_hals": round(float(np.median(classical)), 1),
        "fewer_iterations": round(math.exp(gain), 3),
        "share_that_arrives": round(float(np.isfinite(own).mean()), 3),
        "share_that_arrives_extrapolated_hals": round(float(np.isfinite(classical).mean()), 3),
    }


def main(arguments: Sequence[str]) -> int:
    """Train the schedule, write the set, and say what it reaches; return the exit status."""
    given = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    spec = _spec(given)
    console = Console(stderr=True)
    start = resume(given.directory, spec.settings, torch.float64) if given.resume else _fresh(spec, given.directory)
    rng = np.random.default_rng(spec.seed)
    with console.status("finding the best errors of the pool"):
        problems = drawn(spec.pool, rng)
    shown = partial(track, description="gradients", console=console, disable=not console.is_terminal)
    first = by_gradients(spec, problems, start, given.directory, shown)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("search", total=spec.refinement.generations)

        def report(generation: int, loss: float) -> None:
            bar.update(task, completed=generation + 1, description=f"search {loss:.3f}")

        ends = (first, refined(first, spec.plan, problems, spec.refinement, rng, report))
    unseen = PoolSpec(spec.pool.shapes, (NOISE,), given.validation)
    chosen_on, judged_on = (drawn(unseen, np.random.default_rng([spec.seed, each])) for each in (1, 2))
    plan = min(map(spec.plan, ends), key=lambda each: mean_log_cost(each, chosen_on))
    figures = judged(plan, judged_on)
    save(given.name, weights_of(spec, plan, given.commit, figures), given.output)
    console.print(f"{given.output / given.name}.npz: {figures}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = shipping_parser("momentum", __doc__, seed=0)
    default = MomentumSpec()
    add = parser.add_argument
    add("--directory", type=Path, default=Path("runs/momentum"), help="checkpoints, log (default: %(default)s)")
    add("--resume", action="store_true", help="go on from the last checkpoint in --directory")
    add("--problems", type=int, default=default.pool.problems, help="in the pool (default: %(default)s)")
    add("--sweeps", type=int, default=default.unfolding.sweeps, help="of each factor (default: %(default)s)")
    add("--reach", type=int, default=default.unfolding.reach, help="iterations unrolled (default: %(default)s)")
    add("--steps", type=int, default=300, help="of Adam; 0: the search alone (default: %(default)s)")
    add("--rate", type=float, default=0.05, help="Adam's first rate (default: %(default)s)")
    add("--batch", type=int, default=default.batch, help="problems a step (default: %(default)s)")
    add("--generations", type=int, default=default.refinement.generations, help="(default: %(default)s)")
    add("--validation", type=int, default=300, help="unseen problems, twice (default: %(default)s)")
    return parser


def _spec(given: argparse.Namespace) -> MomentumSpec:
    default = MomentumSpec()
    return replace(
        default,
        pool=replace(default.pool, problems=given.problems),
        unfolding=replace(default.unfolding, sweeps=given.sweeps, reach=given.reach),
        schedule=Schedule(given.steps, given.rate, CLIP, 50, 10) if given.steps else None,
        refinement=replace(default.refinement, generations=given.generations),
        batch=given.batch,
        seed=given.seed,
    )


def _fresh(spec: MomentumSpec, directory: Path) -> Run:
    (directory / "log.jsonl").unlink(missing_ok=True)
    return begin({"numbers": spec.first()}, spec.seed, torch.float64)
