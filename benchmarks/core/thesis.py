"""The table of the thesis, measured again: `python benchmarks/core/thesis.py`.

Learned rules run on problems of 30 × 30 × 3, from random starts as in the thesis, and its own sets from starts near
the solution too, which is where they were trained. A run has converged once 99 % of its fall of the
error is done; multiplicative updates (MU), HALS and extrapolated HALS then have to reach that error from the same
start. A stricter criterion, within 1 % of the run's last error, is reported beside it. The ratio of their
iterations is what the thesis reports. A rule that does not arrive within its cap counts with the cap: such a mean
is a lower bound, and the share is stated.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from lnmf_core import Hals, Multiplicative, RandomStart, Stop, WarmStart, factorize
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

NOISES = (0.0, 0.001, 0.01, 0.1)
SUFFIXES = ("0", "1e-3", "1e-2", "1e-1")
LEARNED_ITERATIONS = 200
CAPS = {"MU": 2000, "HALS": 500, "extrapolated HALS": 500}
TIMED = 10
"""Problems that a learned rule is timed on."""
CHUNK = 25
"""Problems at once: as many as the cache holds."""
NEAR = 1.01
CRITERIA = {
    "fall": "99 % of the run's fall of the error is done",
    "last": "the error is within 1 % of the run's last",
}
ROUNDING = 1e-7
"""Relative errors below it are equal: exact problems must not be decided by rounding."""

THESIS = (
    ((16.47, 26.31), (16.37, 25.96), (16.27, 24.19), (13.47, 17.95)),
    ((13.99, 17.04), (14.04, 17.24), (14.35, 18.70), (12.78, 17.09)),
    ((15.76, 21.17), (15.80, 21.22), (15.70, 21.18), (13.57, 17.61)),
    ((10.60, 16.12), (10.60, 16.24), (10.51, 16.22), (8.59, 13.00)),
)
"""Mean and standard deviation; rows: noise of the training, columns: noise of the validation."""

TRAININGS = {
    "one-step, fixed step": "trained as in the thesis; the step is never lengthened (growth 1)",
    "unrolled": "the former, trained on through 16 iterations of the loop from random starts; the step grows",
    "one-step, fixed step, near starts": "those of the first table, run from [D* + e]+, e ~ N(0, 0.02²), C alike",
}
NEAR_STARTS = "one-step, fixed step, near starts"


@dataclass(frozen=True)
class InTurn:
    """One start after the other, for a batch."""

    starts: Iterator[Start]

    def factors(self, matrix: Matrix, rank: int) -> Factors:
        """Return the next start's factors."""
        return next(self.starts).factors(matrix, rank)


@dataclass(frozen=True)
class Against:
    """Iterations of a classical rule to the learned rule's error, divided by the learned rule's."""

    mean: float
    sd: float
    never: float
    """Share of problems where the cap was reached; they count with the cap."""
    mean_of_arrived: float
    time_ratio: float
    """`mean`, times the classical rule's CPU time an iteration over the learned one's."""


@dataclass(frozen=True)
class Cell:
    """One set of weights on the problems of one noise."""

    training: str
    criterion: str
    """When the learned rule counts as converged: a key of CRITERIA."""
    train_noise: float
    noise: float
    iterations_median: float
    within_1_percent_of_best: float
    """Share of runs whose last error is within 1 % of the best that any rule has found."""
    against: dict[str, Against]


@dataclass(frozen=True)
class Runs:
    """All runs of one rule."""

    errors: list[tuple[float, ...]]
    """Of each problem: relative error of the best pair at the start and after each iteration."""
    seconds_an_iteration: float
    """CPU time, s."""


def main() -> None:
    """Measure, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20_200)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/core"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(stderr=True)
    cells: list[Cell] = []
    costs: dict[str, list[float]] = {}
    for noise in track(NOISES, "validation noise", console=console, disable=not console.is_terminal):
        cells += measure(noise, options.problems, options.seed, costs)
    microseconds = {name: round(1e6 * float(np.median(seconds)), 1) for name, seconds in costs.items()}
    result = {
        "problems": options.problems,
        "seed": options.seed,
        "learned_iterations": LEARNED_ITERATIONS,
        "caps": CAPS,
        "cpu_microseconds_an_iteration": microseconds,
        "thesis": THESIS,
        "cells": [asdict(cell) for cell in cells],
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "thesis.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (options.output / "thesis.md").write_text(report(cells, options.problems, microseconds), encoding="utf-8")


def measure(noise: float, count: int, seed: int, costs: dict[str, list[float]]) -> list[Cell]:
    """Return the cells of one validation noise; CPU times an iteration are added to `costs`."""
    batch = Uniform(noise=noise).draw(np.random.default_rng(seed + round(1000 * noise)), count)
    problems = [np.asarray(X, np.float64) for X in batch.X]
    far: list[Start] = [RandomStart(each) for each in range(count)]
    D, Ct = (each.astype(np.float64) for each in near_start(np.random.default_rng(seed), batch))
    near: list[Start] = [WarmStart(*each) for each in zip(D, Ct.transpose(0, 2, 1), strict=True)]
    usual = [training for training in TRAININGS if training != NEAR_STARTS]
    return [
        *compared(noise, problems, far, usual, costs),
        *compared(noise, problems, near, [NEAR_STARTS], costs),
    ]


def compared(
    noise: float, problems: list[Any], starts: list[Start], trainings: list[str], costs: dict[str, list[float]]
) -> list[Cell]:
    """Return the cells of some trainings and one validation noise, all rules run from the same starts."""
    learned = {
        (training, suffix): run_learned(problems, starts, rule, LEARNED_ITERATIONS)
        for training in trainings
        for suffix, rule in learned_rules(training).items()
    }
    classical = {name: run(problems, starts, rule, CAPS[name]) for name, rule in classical_rules().items()}
    everything = [*learned.values(), *classical.values()]
    best = np.min([[errors[-1] for errors in runs.errors] for runs in everything], axis=0)
    for name, runs in [*((training, runs) for (training, _), runs in learned.items()), *classical.items()]:
        costs.setdefault(name, []).append(runs.seconds_an_iteration)
    return [
        cell_of(training, criterion, NOISES[SUFFIXES.index(suffix)], noise, runs, classical, best)
        for criterion in CRITERIA
        for (training, suffix), runs in learned.items()
    ]


def learned_rules(training: str) -> dict[str, LearnedMlp]:
    """Return the four sets of one training, by the noise they were trained on."""
    name, *fixed = training.split(", ")
    growth = 1.0 if fixed else 1.5
    return {suffix: LearnedMlp(load(f"mlp-{name}-{suffix}", KIND), growth=growth) for suffix in SUFFIXES}


def classical_rules() -> dict[str, UpdateRule[Any]]:
    """Return the rules to compare with; extrapolated HALS only where the core has it."""
    rules: dict[str, UpdateRule[Any]] = {"MU": Multiplicative(), "HALS": Hals()}
    with contextlib.suppress(ModuleNotFoundError):
        rules["extrapolated HALS"] = importlib.import_module("lnmf_core.rules.extrapolated_hals").ExtrapolatedHals()
    return rules


def run(problems: list[Any], starts: list[Start], rule: UpdateRule[Any], iterations: int) -> Runs:
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


def report(cells: list[Cell], problems: int, microseconds: dict[str, float]) -> str:
    """Return the tables as Markdown."""
    lines = [
        "# The thesis' table, measured again",
        "",
        f"30 × 30 × 3, {problems} problems a column, float64, one thread; random starts, but near ones in the last",
        f"part. Learned rules run for {LEARNED_ITERATIONS} iterations and have converged when 99 % of the fall",
        f"of their error is done. The other rules run to that error, for {CAPS['MU']} (MU) or {CAPS['HALS']}",
        "iterations at most; who never arrives counts with the cap, so that such a mean is a lower bound.",
        "`python benchmarks/core/thesis.py` repeats it.",
        "",
        "CPU time an iteration, µs: " + ", ".join(f"{name} {cost}" for name, cost in microseconds.items()) + ".",
        "",
        "| networks, starts | cells of 16 at or above the thesis' | within 1 % of the last error instead |",
        "|---|---|---|",
        *(
            f"| {training} | {reached(cells, training, 'fall')} | {reached(cells, training, 'last')} |"
            for training in TRAININGS
        ),
    ]
    for training, meaning in TRAININGS.items():
        chosen, strict = (
            [cell for cell in cells if cell.training == training and cell.criterion == criterion]
            for criterion in CRITERIA
        )
        lines += ["", f"## {training[0].upper()}{training[1:]}", "", f"Networks {meaning}.", ""]
        lines += table(
            "MU / learned iterations, mean ± sd (share where MU never arrives); thesis", chosen, thesis_cell
        )
        lines += table("MU / learned, time", chosen, lambda cell: f"{cell.against['MU'].time_ratio:.1f}")
        for name in chosen[0].against:
            if name != "MU":
                lines += table(
                    f"{name} / learned iterations (never); time", chosen, lambda c, n=name: other_cell(c, n)
                )
        lines += table("As the first table, but converged within 1 % of the last error", strict, thesis_cell)
        lines += table("iterations, median; runs within 1 % of the best error", chosen, own_cell)
    return "\n".join(lines).rstrip() + "\n"


def reached(cells: list[Cell], training: str, criterion: str) -> int:
    """Return in how many cells the mean ratio is at least the thesis'."""
    return sum(
        cell.against["MU"].mean >= THESIS[NOISES.index(cell.train_noise)][NOISES.index(cell.noise)][0]
        for cell in cells
        if (cell.training, cell.criterion) == (training, criterion)
    )


def table(title: str, cells: list[Cell], text: Any) -> list[str]:
    """Return one table: rows are the noise of the training, columns that of the problems."""
    lines = [f"{title}:", "", "| train σ \\ val σ | " + " | ".join(f"{noise:g}" for noise in NOISES) + " |"]
    lines += ["|---" * (1 + len(NOISES)) + "|"]
    for train_noise in NOISES:
        row = {cell.noise: text(cell) for cell in cells if cell.train_noise == train_noise}
        lines.append(f"| {train_noise:g} | " + " | ".join(row[noise] for noise in NOISES) + " |")
    return [*lines, ""]


def thesis_cell(cell: Cell) -> str:
    """Return our figure beside the thesis'; a mean that is lower is marked."""
    ours = cell.against["MU"]
    mean, sd = THESIS[NOISES.index(cell.train_noise)][NOISES.index(cell.noise)]
    mark = "" if ours.mean >= mean else " ↓"
    return f"{ours.mean:.1f} ± {ours.sd:.1f} ({100 * ours.never:.0f} %); {mean:.1f} ± {sd:.1f}{mark}"


def other_cell(cell: Cell, name: str) -> str:
    """Return the ratio to another classical rule, in iterations and in time."""
    other = cell.against[name]
    return f"{other.mean:.2f} ({100 * other.never:.0f} %); {other.time_ratio:.2f}"


def own_cell(cell: Cell) -> str:
    """Return how fast the learned rule has converged, and how often to the best."""
    return f"{cell.iterations_median:.0f}; {100 * cell.within_1_percent_of_best:.0f} %"


if __name__ == "__main__":
    main()
