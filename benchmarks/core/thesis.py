"""The table of the thesis, measured again: `python benchmarks/core/thesis.py`.

Learned rules run from random starts on problems of 30 × 30 × 3. A run has converged once 99 % of its fall of the
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
from rich.console import Console
from rich.progress import track

from lnmf_core import Hals, Multiplicative, RandomStart, Solution, Stop, factorize
from lnmf_core.rules.learned_mlp import KIND, LearnedMlp
from lnmf_core.training.problems import Uniform
from lnmf_core.weights.store import load

if TYPE_CHECKING:
    from lnmf_core import UpdateRule

NOISES = (0.0, 0.001, 0.01, 0.1)
SUFFIXES = ("0", "1e-3", "1e-2", "1e-1")
LEARNED_ITERATIONS = 200
CAPS = {"MU": 2000, "HALS": 500, "extrapolated HALS": 500}
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
    "one-step": "trained as in the thesis; the step grows while it is kept",
    "unrolled": "the former, trained on through 16 iterations of the loop from random starts",
}


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
    """All solutions of one rule."""

    solutions: list[Solution]

    @property
    def seconds_an_iteration(self) -> float:
        """CPU time, s."""
        return sum(each.seconds for each in self.solutions) / sum(each.iterations for each in self.solutions)


def main() -> None:
    """Measure, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20_200)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/core"))
    options = parser.parse_args()
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
    learned = {
        (training, suffix): run(problems, rule, LEARNED_ITERATIONS)
        for training in TRAININGS
        for suffix, rule in learned_rules(training).items()
    }
    classical = {name: run(problems, rule, CAPS[name]) for name, rule in classical_rules().items()}
    everything = [*learned.values(), *classical.values()]
    best = np.min([[each.error for each in runs.solutions] for runs in everything], axis=0)
    for name, runs in [*((training, runs) for (training, _), runs in learned.items()), *classical.items()]:
        costs.setdefault(name, []).append(runs.seconds_an_iteration)
    return [
        cell_of(training, criterion, NOISES[SUFFIXES.index(suffix)], noise, runs, classical, best)
        for criterion in CRITERIA
        for (training, suffix), runs in learned.items()
    ]


def learned_rules(training: str) -> dict[str, LearnedMlp]:
    """Return the four sets of one training, by the noise they were trained on."""
    name, _, fixed = training.partition(", ")
    growth = 1.0 if fixed else 1.5
    return {suffix: LearnedMlp(load(f"mlp-{name}-{suffix}", KIND), growth=growth) for suffix in SUFFIXES}


def classical_rules() -> dict[str, UpdateRule[Any]]:
    """Return the rules to compare with; extrapolated HALS only where the core has it."""
    rules: dict[str, UpdateRule[Any]] = {"MU": Multiplicative(), "HALS": Hals()}
    with contextlib.suppress(ModuleNotFoundError):
        rules["extrapolated HALS"] = importlib.import_module("lnmf_core.rules.extrapolated_hals").ExtrapolatedHals()
    return rules


def run(problems: list[Any], rule: UpdateRule[Any], iterations: int) -> Runs:
    """Return the runs from random starts, the same for every rule."""
    stop = Stop(iterations, 0.0)
    # The first run compiles what has to be compiled.
    factorize(problems[0], 3, rule=rule, start=RandomStart(0), stop=Stop(2))
    return Runs(
        [
            factorize(X, 3, rule=rule, start=RandomStart(seed), stop=stop, clock=time.process_time)
            for seed, X in enumerate(problems)
        ]
    )


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
    needed = np.array([converged_at(each.errors, criterion) for each in runs.solutions])
    targets = [each.errors[at] for each, at in zip(runs.solutions, needed, strict=True)]
    last = np.array([each.error for each in runs.solutions])
    against = {}
    for name, others in classical.items():
        arrived = [arrived_at(each.errors, goal) for each, goal in zip(others.solutions, targets, strict=True)]
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
        f"30 × 30 × 3, {problems} problems a column, random starts, float64, one thread. Learned rules run for",
        f"{LEARNED_ITERATIONS} iterations and have converged when 99 % of their fall of the error is done. The",
        f"other rules run to that error, for {CAPS['MU']} (MU) or {CAPS['HALS']} iterations at most; who never",
        "arrives counts with the cap, so that such a mean is a lower bound.",
        "`python benchmarks/core/thesis.py` repeats it.",
        "",
        "CPU time an iteration, µs: " + ", ".join(f"{name} {cost}" for name, cost in microseconds.items()) + ".",
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
