"""The table of the thesis, measured again: `python -m benchmarks.core.thesis`.

Learned rules run on problems of 30 × 30 × 3, from random starts as in the thesis, and its own sets from starts near
the solution too, which is where they were trained. A run has converged once 99 % of its fall of the
error is done; multiplicative updates (MU), HALS and extrapolated HALS then have to reach that error from the same
start. A stricter criterion, within 1 % of the run's last error, is reported beside it. The ratio of their
iterations is what the thesis reports. A rule that does not arrive within its cap counts with the cap: such a mean
is a lower bound, and the share is stated.

Beside that table stands what all benchmarks here tell of a rule: iterations and time until its error is within 1
and 0.1 % of the least that any rule found on that problem, the share that arrives, and peak memory.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from benchmarks.core import results
from benchmarks.core.memory import ITERATIONS, raised_peak
from benchmarks.core.thesis_report import (
    CAPS,
    CRITERIA,
    DEFAULT,
    GAPS,
    LEARNED_ITERATIONS,
    NEAR_STARTS,
    NOISES,
    ROUNDING,
    STRONGEST,
    THESIS,
    TRAININGS,
    Against,
    Arrival,
    Cell,
    arrivals_report,
    report,
)
from lnmf_core import ExtrapolatedHals, Hals, Learned, Multiplicative, RandomStart, Stop, WarmStart, factorize
from lnmf_core.batch import factorize_batch
from lnmf_core.matrix import checked
from lnmf_core.rules.learned_mlp import KIND, LearnedMlp
from lnmf_core.training.network import Pair, imported, unrolled
from lnmf_core.training.problems import Uniform, near_start
from lnmf_core.training.sweeps import squared_error
from lnmf_core.weights.store import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lnmf_core import Factors, Start, UpdateRule
    from lnmf_core.matrix import Matrix

TIMED = 10
"""Problems that a learned rule is timed on."""
CHUNK = 25
"""Problems at once: as many as the cache holds."""
SUFFIXES = ("0", "1e-3", "1e-2", "1e-1")
NEAR = 1.01


@dataclass(frozen=True)
class InTurn:
    """One start after the other, for a batch."""

    starts: Iterator[Start]

    def factors(self, matrix: Matrix, rank: int) -> Factors:
        """Return the next start's factors."""
        return next(self.starts).factors(matrix, rank)


@dataclass(frozen=True)
class Measured:
    """All that is told of the problems of one noise."""

    cells: list[Cell]
    arrivals: list[Arrival]


@dataclass(frozen=True)
class Runs:
    """All runs of one rule."""

    errors: list[tuple[float, ...]]
    """Of each problem: relative error of the best pair at the start and after each iteration."""
    seconds_an_iteration: float
    """CPU time, s."""


def main() -> None:
    """Measure, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20_200)
    parser.add_argument("--output", type=Path, default=results.FOLDER)
    options = parser.parse_args()
    results.require_one_thread()
    torch.set_num_threads(1)
    console = Console(stderr=True)
    costs: dict[str, list[float]] = {}
    found = [
        measure(noise, options.problems, options.seed, costs)
        for noise in track(NOISES, "validation noise", console=console, disable=not console.is_terminal)
    ]
    cells = [cell for each in found for cell in each.cells]
    arrivals = [arrival for each in found for arrival in each.arrivals]
    microseconds = {name: round(1e6 * float(np.median(seconds)), 1) for name, seconds in costs.items()}
    memory = peak_memory()
    about = results.machine(("numpy", "scipy", "numba", "torch"))
    written = {
        "machine": about,
        "problems": options.problems,
        "seed": options.seed,
        "learned_iterations": LEARNED_ITERATIONS,
        "caps": CAPS,
        "cpu_microseconds_an_iteration": microseconds,
        "peak_MiB": memory,
        "thesis": THESIS,
        "cells": [asdict(cell) for cell in cells],
        "arrivals": [asdict(arrival) for arrival in arrivals],
    }
    lines = [*report(cells, options.problems, microseconds, about), *arrivals_report(arrivals, memory)]
    results.save(options.output, "thesis", written, lines)


def measure(noise: float, count: int, seed: int, costs: dict[str, list[float]]) -> Measured:
    """Return the figures of one validation noise; CPU times an iteration are added to `costs`."""
    batch = Uniform(noise=noise).draw(np.random.default_rng(seed + round(1000 * noise)), count)
    problems = [np.asarray(X, np.float64) for X in batch.X]
    far: list[Start] = [RandomStart(each) for each in range(count)]
    D, Ct = (each.astype(np.float64) for each in near_start(np.random.default_rng(seed), batch))
    near: list[Start] = [WarmStart(*each) for each in zip(D, Ct.transpose(0, 2, 1), strict=True)]
    usual = [training for training in TRAININGS if training != NEAR_STARTS]
    parts = [
        compared(noise, problems, far, usual, costs),
        compared(noise, problems, near, [NEAR_STARTS], costs),
    ]
    return Measured(
        [cell for part in parts for cell in part.cells], [row for part in parts for row in part.arrivals]
    )


def peak_memory() -> dict[str, float]:
    """Return by how many MiB ten iterations of each rule on one problem raise the peak of a process."""
    X = np.asarray(Uniform(noise=0.01).draw(np.random.default_rng(0), 1).X[0], np.float64)
    rules: dict[str, Any] = {**classical_rules(), DEFAULT: Learned()}
    rules |= {training: learned_rules(training)["1e-2"] for training in TRAININGS if training != NEAR_STARTS}
    return {name: raised_peak(_ten, (X[:16], rule), (X, rule)) for name, rule in rules.items()}


def _ten(X: Any, rule: Any) -> None:
    factorize(X, 3, rule=rule, start=RandomStart(0), stop=Stop(ITERATIONS, 0.0))


def compared(
    noise: float, problems: list[Any], starts: list[Start], trainings: list[str], costs: dict[str, list[float]]
) -> Measured:
    """Return the figures of some trainings and one validation noise, all rules run from the same starts."""
    learned = {
        (training, suffix): run_learned(problems, starts, rule, LEARNED_ITERATIONS)
        for training in trainings
        for suffix, rule in learned_rules(training).items()
    }
    classical = {name: run(problems, starts, rule, CAPS[name]) for name, rule in classical_rules().items()}
    default = run(problems, starts, Learned(), CAPS[STRONGEST])
    everything = [*learned.values(), *classical.values(), default]
    best = np.min([[errors[-1] for errors in runs.errors] for runs in everything], axis=0)
    for name, runs in [*((training, runs) for (training, _), runs in learned.items()), *classical.items()]:
        costs.setdefault(name, []).append(runs.seconds_an_iteration)
    cells = [
        cell_of(training, criterion, NOISES[SUFFIXES.index(suffix)], noise, runs, classical, best)
        for criterion in CRITERIA
        for (training, suffix), runs in learned.items()
    ]
    own = {training: learned[training, SUFFIXES[NOISES.index(noise)]] for training in trainings}
    where = "near" if NEAR_STARTS in trainings else "random"
    return Measured(cells, arrivals_of(where, noise, {**classical, **own, DEFAULT: default}, best))


def arrivals_of(starts: str, noise: float, runs: dict[str, Runs], best: Any) -> list[Arrival]:
    """Return how each rule came within each of `GAPS` of the best."""
    found = []
    for gap in GAPS:
        needed = {
            name: [arrived_at(errors, (1 + gap) * least) for errors, least in zip(each.errors, best, strict=True)]
            for name, each in runs.items()
        }
        found += [_arrival(starts, noise, gap, name, runs, needed) for name in runs]
    return found


def _arrival(
    starts: str, noise: float, gap: float, name: str, runs: dict[str, Runs], needed: dict[str, list[int | None]]
) -> Arrival:
    arrived = [max(1, at) for at in needed[name] if at is not None]
    cost = runs[name].seconds_an_iteration
    ratio = runs[STRONGEST].seconds_an_iteration / cost
    ratios = [
        max(1, theirs) * ratio / max(1, own)
        for theirs, own in zip(needed[STRONGEST], needed[name], strict=True)
        if theirs is not None and own is not None
    ]
    iterations = float(np.median(arrived)) if arrived else float("nan")
    return Arrival(
        starts,
        noise,
        gap,
        name,
        results.share(len(arrived), len(needed[name])),
        iterations,
        1e3 * cost * iterations,
        results.geometric_mean(ratios, np.random.default_rng(0)),
    )


def learned_rules(training: str) -> dict[str, LearnedMlp]:
    """Return the four sets of one training, by the noise they were trained on."""
    name, *fixed = training.split(", ")
    growth = 1.0 if fixed else 1.5
    return {suffix: LearnedMlp(load(f"mlp-{name}-{suffix}", KIND), growth=growth) for suffix in SUFFIXES}


def classical_rules() -> dict[str, UpdateRule[Any]]:
    """Return the rules to compare with."""
    return {"MU": Multiplicative(), "HALS": Hals(), STRONGEST: ExtrapolatedHals()}


def run(problems: list[Any], starts: list[Start], rule: Any, iterations: int) -> Runs:
    """Return the runs of all problems, each from its start; multiplicative updates, the slowest, as a batch."""
    stop = Stop(iterations, 0.0)
    if isinstance(rule, Multiplicative) and len(problems) > TIMED:
        timed = run(problems[:TIMED], starts[:TIMED], rule, iterations)
        solved = factorize_batch(np.stack(problems), 3, rule=rule, start=InTurn(iter(starts)), stop=stop)
        return Runs([each.errors for each in solved], timed.seconds_an_iteration)
    # The first run compiles what has to be compiled.
    factorize(problems[0], 3, rule=rule, start=starts[0], stop=Stop(2))
    solutions = [
        factorize(X, 3, rule=rule, start=start, stop=stop, clock=time.process_time)
        for X, start in zip(problems, starts, strict=True)
    ]
    seconds = sum(each.seconds for each in solutions) / sum(each.iterations for each in solutions)
    return Runs([each.errors for each in solutions], seconds)


def run_learned(problems: list[Any], starts: list[Start], rule: LearnedMlp, iterations: int) -> Runs:
    """Return the same for a learned rule: all problems at once, a few in the loop itself to take its time.

    The errors are those of the loop (tests/lnmf_core/training/test_network.py), at a quarter of the cost.
    """
    timed = run(problems[:TIMED], starts[:TIMED], rule, iterations)
    errors: list[list[float]] = []
    for begin in range(0, len(problems), CHUNK):
        errors += unrolled_errors(problems[begin : begin + CHUNK], starts[begin : begin + CHUNK], rule, iterations)
    for here, there in zip(errors, timed.errors, strict=False):
        np.testing.assert_allclose(here[: len(there)], there, rtol=1e-3, atol=1e-6)
    return Runs([tuple(each) for each in errors], timed.seconds_an_iteration)


def unrolled_errors(
    problems: list[Any], starts: list[Start], rule: LearnedMlp, iterations: int
) -> list[list[float]]:
    """Return each problem's relative errors, of the start and of the best pair after each iteration."""
    first = [start.factors(checked(X), 3) for X, start in zip(problems, starts, strict=True)]
    X = torch.from_numpy(np.stack(problems))
    pair = Pair(
        torch.from_numpy(np.stack([each.D for each in first])),
        torch.from_numpy(np.stack([each.C.T for each in first])),
    )
    arrays = imported(rule.weights.arrays)
    networks = {name: torch.from_numpy(values.astype(np.float64)) for name, values in arrays.items()}
    with torch.no_grad():
        reached = [each.best for each in unrolled(X, pair, networks, iterations, rule.growth, rule.shrink)]
        begun = squared_error(X, pair.D, pair.Ct) / (X**2).sum((1, 2))
        errors: list[list[float]] = torch.stack([begun, *reached], dim=1).sqrt().tolist()
    return errors


def converged_at(errors: tuple[float, ...], criterion: str) -> int:
    """Return the first iteration, 1 or more, that satisfies the criterion."""
    first, last = errors[0], errors[-1]
    target = NEAR * last if criterion == "last" else last + (NEAR - 1) * (first - last)
    return max(1, arrived_at(errors, target) or 0)


def arrived_at(errors: tuple[float, ...], target: float) -> int | None:
    """Return the first iteration that is as good as `target`, or None."""
    hits = np.asarray(errors) <= target + ROUNDING
    return int(hits.argmax()) if hits.any() else None


def cell_of(
    training: str,
    criterion: str,
    train_noise: float,
    noise: float,
    runs: Runs,
    classical: dict[str, Runs],
    best: Any,
) -> Cell:
    """Return the learned rule's figures on one set of problems."""
    needed = np.array([converged_at(errors, criterion) for errors in runs.errors])
    targets = [errors[at] for errors, at in zip(runs.errors, needed, strict=True)]
    last = np.array([errors[-1] for errors in runs.errors])
    against = {}
    for name, others in classical.items():
        arrived = [arrived_at(errors, goal) for errors, goal in zip(others.errors, targets, strict=True)]
        never = np.array([at is None for at in arrived])
        ratio = np.array([CAPS[name] if at is None else at for at in arrived]) / needed
        cost = others.seconds_an_iteration / runs.seconds_an_iteration
        against[name] = Against(
            float(ratio.mean()),
            float(ratio.std()),
            float(never.mean()),
            float(ratio[~never].mean()) if not never.all() else float("nan"),
            float(ratio.mean() * cost),
        )
    near = float((last <= NEAR * best + ROUNDING).mean())
    return Cell(training, criterion, train_noise, noise, float(np.median(needed)), near, against)


if __name__ == "__main__":
    main()
