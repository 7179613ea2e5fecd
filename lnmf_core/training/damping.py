"""The search for the sweeps and the damping of `JointGaussNewton`: `python -m lnmf_core.training damping`.

Prints the best candidates for small and for larger ranks; the constants of the rule are taken from them. The sizes
are none of those that `benchmarks.core.speed` measures.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from lnmf_core.rules.extrapolated_hals import ExtrapolatedHals
from lnmf_core.rules.joint_gauss_newton import JointGaussNewton
from lnmf_core.rules.sweep_plan import Damping
from lnmf_core.solve import factorize
from lnmf_core.start import RandomStart
from lnmf_core.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lnmf_core.factors import Array

GAP = 1e-3
"""A run arrives when its error is within this share of the best that any candidate found."""
FAILED = math.log(4)
"""What a run that does not arrive counts as, beyond one that takes the whole budget."""
ITERATIONS = 60
REFERENCE = Stop(400, 0.0)
"""How long the classical rule searches for the best error."""
NOISES = (0.001, 0.01, 0.1)


@dataclass(frozen=True, slots=True)
class Group:
    """Problems that share one damping."""

    name: str
    shapes: tuple[tuple[int, int, int], ...]
    """(n, m, k)."""
    repeats: int


GROUPS = (
    Group("small ranks", ((20, 40, 3), (40, 25, 3), (36, 48, 4)), 16),
    Group("larger ranks", ((45, 70, 6), (150, 200, 6), (400, 300, 10)), 2),
)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A problem with its start and the best error that the classical rule finds."""

    X: Array
    rank: int
    start: RandomStart
    best: float

    def errors(self, rule: JointGaussNewton, iterations: int = ITERATIONS) -> tuple[float, ...]:
        """Return the relative errors of a run."""
        return factorize(self.X, self.rank, rule=rule, start=self.start, stop=Stop(iterations, 0.0)).errors


def tasks(group: Group, rng: np.random.Generator) -> list[Task]:
    """Return X = [DC + e]+ with D and C uniform and e normal, each noise for each shape."""
    found = []
    for n, m, k in group.shapes:
        for noise in NOISES * group.repeats:
            X = np.maximum(rng.random((n, k)) @ rng.random((k, m)) + noise * rng.standard_normal((n, m)), 0)
            start = RandomStart(int(rng.integers(1 << 31)))
            best = factorize(X, k, rule=ExtrapolatedHals(), start=start, stop=REFERENCE).error
            found.append(Task(X, k, start, best))
    return found


def candidates(count: int, rng: np.random.Generator) -> list[JointGaussNewton]:
    """Return the rule as it is, then `count` random ones."""
    drawn = [JointGaussNewton()]
    for _ in range(count):
        start = 10 ** rng.uniform(-4, 0)
        damping = Damping(start, rng.uniform(0.1, 1.0), rng.uniform(2.0, 10.0))
        drawn.append(JointGaussNewton(int(rng.choice((2, 4, 6, 8, 12, 16, 24))), damping))
    return drawn


def judged(
    group: Group, rules: list[JointGaussNewton], rng: np.random.Generator, clock: Callable[[], float]
) -> list[tuple[float, float]]:
    """Return for each rule the mean logarithm of its seconds, and the share of problems where it arrives."""
    problems = tasks(group, rng)
    runs = [[task.errors(rule) for task in problems] for rule in rules]
    goals = [(1 + GAP) * min(task.best, *(run[at][-1] for run in runs)) for at, task in enumerate(problems)]
    seconds = {
        task.X.shape: _iteration_seconds(task, rules, clock) for task in problems[:: len(NOISES) * group.repeats]
    }
    found = []
    for rule, run in zip(rules, runs, strict=True):
        logs, arrived = [], 0
        for task, errors, goal in zip(problems, run, goals, strict=True):
            arrives = errors[-1] <= goal
            arrived += arrives
            needed = max(1, int(np.argmax(np.array(errors) <= goal))) if arrives else ITERATIONS
            logs.append(math.log(needed * seconds[task.X.shape][rule]) + (0.0 if arrives else FAILED))
        found.append((sum(logs) / len(logs), arrived / len(problems)))
    return found


def _iteration_seconds(
    task: Task, rules: list[JointGaussNewton], clock: Callable[[], float]
) -> dict[JointGaussNewton, float]:
    """Return the time of an iteration, which depends on the sweeps alone."""
    of_sweeps = {}
    for rule in rules:
        if rule.sweeps not in of_sweeps:
            few, many = (min(_timed(task, rule, count, clock) for _ in range(7)) for count in (2, 10))
            of_sweeps[rule.sweeps] = max(many - few, 1e-8) / 8
    return {rule: of_sweeps[rule.sweeps] for rule in rules}


def _timed(task: Task, rule: JointGaussNewton, iterations: int, clock: Callable[[], float]) -> float:
    began = clock()
    task.errors(rule, iterations)
    return clock() - began


def main(arguments: Sequence[str]) -> int:
    """Search, and print the best of each group; return the exit status."""
    parser = argparse.ArgumentParser(prog="damping", description=__doc__)
    parser.add_argument("--candidates", type=int, default=60, help="random ones (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    console = Console()
    for group in GROUPS:
        rng = np.random.default_rng(given.seed)
        rules = candidates(given.candidates, rng)
        figures = judged(group, rules, rng, time.process_time)
        console.print(f"{group.name}: time as a share of the rule's as it is, share that arrives, rule")
        for at in [*np.argsort([each[0] for each in figures])[:5], 0]:
            console.print(f"{math.exp(figures[at][0] - figures[0][0]):.3f} {figures[at][1]:.3f} {rules[at]}")
    return 0
