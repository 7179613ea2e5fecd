"""`python -m lnmf_core.training mlp`: train the networks of `LearnedMlp`."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from lnmf_core.errors import ParameterError, whole_number
from lnmf_core.rules.learned_mlp import KIND
from lnmf_core.training.fit import Run, Schedule, begin, fit, resume
from lnmf_core.training.network import (
    Pair,
    Teacher,
    as_teacher,
    exported,
    first_networks,
    imported,
    one_step_loss,
    unrolled,
    unrolled_loss,
)
from lnmf_core.training.problems import (
    Mixed,
    PlantedCounts,
    Problems,
    Uniform,
    near_start,
    random_start,
    read_counts,
    teach,
)
from lnmf_core.weights.store import ModelCard, Weights, load, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lnmf_core.training.network import Networks
    from lnmf_core.weights.store import Value

GROUP = 3
"""Components that the network sees at once: the rank of the thesis' problems."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, slots=True)
class Plan:
    """What each step trains on.

    The thesis' one-step loss if `unroll` is 0. Otherwise the errors of an unrolled run, whose length grows
    evenly from 1 to `unroll` over the first half of the steps. Starts are near the teacher's factors, as in the
    thesis, or random. Raises ParameterError for a batch below 1 or a negative unroll.
    """

    problems: Problems
    schedule: Schedule
    batch: int
    unroll: int
    dtype: torch.dtype
    near: bool = True

    def __post_init__(self) -> None:
        whole_number("batch", self.batch, ParameterError)
        whole_number("unroll", self.unroll, ParameterError, least=0)

    def length_at(self, step: int) -> int:
        """Return the number of iterations that step 0, 1, … unrolls; 0 for the one-step loss."""
        grown = 1 + 2 * step * self.unroll // self.schedule.steps
        return min(grown, self.unroll)

    def loss(self, step: int, rng: np.random.Generator, networks: Networks) -> torch.Tensor:
        """Return the loss of a fresh batch."""
        teacher, start = self.sample(rng, self.batch, near=self.near)
        length = self.length_at(step)
        if length:
            return unrolled_loss(teacher, start, networks, length)
        return one_step_loss(teacher, start, networks)

    def sample(self, rng: np.random.Generator, count: int, *, near: bool) -> tuple[Teacher, Pair]:
        """Return problems and starts, as tensors."""
        batch = self.problems.draw(rng, count)
        D, Ct = near_start(rng, batch) if near else random_start(rng, batch)
        start = Pair(torch.from_numpy(D).to(self.dtype), torch.from_numpy(Ct).to(self.dtype))
        return as_teacher(batch, self.dtype), start


def main(arguments: Sequence[str]) -> int:
    """Train as the arguments say; return 0. Raises ValueErrors of the core for what can't be."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    console = Console(file=sys.stderr)
    settings = _settings(options)
    plan = _plan(options)
    start = resume(options.directory, settings, plan.dtype) if options.resume else _fresh(options, plan)
    run = fit(start, plan.schedule, plan.loss, options.directory, settings, _watched(console))
    figures = validate(plan, run.parameters, options.seed + 1)
    kinds = f"{options.problems}, noise {', '.join(str(noise) for noise in options.noise)}"
    card = ModelCard(KIND, kinds, options.seed, options.commit, settings, figures)
    save(options.name, Weights(exported(run.arrays), card), options.output)
    console.print(f"{options.output / options.name}.npz: {figures}")
    return 0


def validate(plan: Plan, networks: Networks, seed: int, count: int = 500, length: int = 50) -> dict[str, Value]:
    """Return the one-step loss from near starts and the errors of whole runs from random ones, unseen both."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        teacher, near = plan.sample(rng, count, near=True)
        loss = float(one_step_loss(teacher, near, networks))
        teacher, far = plan.sample(rng, count, near=False)
        last = unrolled(teacher.X, far, networks, length)[-1].best.sqrt()
    return {
        "problems": count,
        "one_step_loss": round(loss, 6),
        f"relative_error_after_{length}_mean": round(float(last.mean()), 6),
        f"relative_error_after_{length}_median": round(float(last.median()), 6),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lnmf_core.training mlp", description=__doc__)
    add = parser.add_argument
    add("--name", default=KIND, help="name of the set that is written (default: %(default)s)")
    add("--output", type=Path, default=Path(), help="folder of the set (default: this one)")
    add("--directory", type=Path, default=Path("runs/mlp"), help="checkpoints and log (default: %(default)s)")
    add("--resume", action="store_true", help="go on from the last checkpoint in --directory")
    add("--problems", choices=["uniform", "mixed"], default="uniform", help="mixed: more sizes, sparse counts too")
    add("--counts", type=Path, action="append", default=[], help="real counts too (scipy.sparse.save_npz)")
    add("--noise", type=float, nargs="+", default=[0.01], help="standard deviations (default: 0.01)")
    add("--samples", type=int, default=10_000_000, help="problems in all (default: %(default)s)")
    add("--batch", type=int, default=500, help="problems a step (default: %(default)s)")
    add("--rate", type=float, default=1e-2, help="Adam's first learning rate (default: %(default)s)")
    add("--clip", type=float, default=math.inf, help="longest gradient (default: %(default)s)")
    add("--hidden", type=int, default=64, help="hidden units (default: %(default)s)")
    add("--unroll", type=int, default=0, help="iterations of the unrolled loss; 0: the one-step loss")
    add("--starts", choices=["near", "random"], help="default: near for the one-step loss, random if unrolled")
    add("--period", type=int, default=1, help="length of the periodic schedule of steps (default: %(default)s)")
    add("--start-from", default="", help="set in --output whose networks are trained on (default: random ones)")
    add("--seed", type=int, default=0, help="of weights and problems (default: %(default)s)")
    add("--dtype", choices=sorted(DTYPES), default="float32", help="of the training (default: %(default)s)")
    add("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    add("--checkpoint-every", type=int, default=1000, help="steps (default: %(default)s)")
    add("--commit", default="unknown", help="of this code, for the model card")
    return parser


def _settings(options: argparse.Namespace) -> dict[str, Value]:
    """Return what decides the result, for the card, and to tell whether a checkpoint fits."""
    names = ("problems", "samples", "batch", "rate", "hidden", "unroll", "period", "start_from", "seed", "dtype")
    settings: dict[str, Value] = {name: getattr(options, name) for name in names}
    return {
        **settings,
        "noise": options.noise[0] if len(options.noise) == 1 else options.noise,
        "starts": "near" if _near(options) else "random",
        # JSON knows no infinity.
        "clip": options.clip if math.isfinite(options.clip) else None,
        "counts": [path.name for path in options.counts],
        "torch": torch.__version__,
    }


def _near(options: argparse.Namespace) -> bool:
    return (options.starts or ("random" if options.unroll else "near")) == "near"


def _plan(options: argparse.Namespace) -> Plan:
    kinds: list[Problems] = [Uniform(noise=noise) for noise in options.noise]
    if options.problems == "mixed":
        for size in ((60, 50, 6), (100, 40, 4), (20, 80, 3)):
            kinds += [Uniform(*size, noise=noise) for noise in options.noise]
        kinds += [PlantedCounts(), PlantedCounts(100, 60, 6)]
    kinds += [teach(read_counts(path), GROUP, 100, 60) for path in options.counts]
    whole_number("batch", options.batch, ParameterError)
    steps = max(1, options.samples // options.batch)
    schedule = Schedule(steps, options.rate, options.clip, options.checkpoint_every)
    dtype = DTYPES[options.dtype]
    return Plan(Mixed(tuple(kinds)), schedule, options.batch, options.unroll, dtype, _near(options))


def _fresh(options: argparse.Namespace, plan: Plan) -> Run:
    for name in ("hidden", "period"):
        whole_number(name, getattr(options, name), ParameterError)
    rng = np.random.default_rng(whole_number("seed", options.seed, ParameterError, least=0))
    if options.start_from:
        networks = imported(load(options.start_from, KIND, options.output).arrays)
    else:
        networks = first_networks(rng, GROUP, options.hidden, options.period)
    run = begin(networks, options.seed, plan.dtype)
    (options.directory / "log.jsonl").unlink(missing_ok=True)
    return run


def _watched(console: Console) -> Callable[[Iterable[int]], Iterable[int]]:
    """Return a progress bar where someone watches; nothing is drawn into a file."""
    return partial(track, description="training", console=console, disable=not console.is_terminal)
