"""How long each rule takes to come within 1 and 0.1 % of the best error: `python -m benchmarks.core.speed`.

All rules of a problem run from the same start in one process, one after the other, in changing order; time is CPU
time of one thread, start and checks included, the best of three runs that end where the first one arrived. The best
classical rule is extrapolated HALS with the number of sweeps that is fastest, to the same tolerance, on other
problems of its kind. The best error is the least that any rule finds from that start. Memory is the peak of a
process of its own, beyond what it held before a run of ten iterations.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.core import results
from benchmarks.core.memory import ITERATIONS, raised_peak
from lnmf_core import (
    ExtrapolatedHals,
    Hals,
    JointGaussNewton,
    Learned,
    LearnedMomentum,
    Nndsvd,
    RandomStart,
    Start,
    SteadyHals,
    Stop,
    choose_rank,
    factorize,
)
from lnmf_core.training.choice import ENERGY, MOST_COMPONENTS, poisson_counts, sparse_counts, window_counts

GAPS = (0.01, 0.001)
TUNED = (1, 2, 3, 6, 10, 16, 24)
CLASSICAL = "extrapolated HALS, best sweeps"
Problem: TypeAlias = tuple[Any, int, Start]


@dataclass(frozen=True)
class Case:
    """Problems of one kind."""

    name: str
    make: Callable[[int], Problem]
    count: int
    tuning: int
    iterations: int


@dataclass(frozen=True)
class Row:
    """What one rule reached on one kind of problem, to one tolerance."""

    case: str
    tolerance: float
    sweeps: int
    """Of the best classical rule."""
    rule: str
    arrived: results.Share
    iterations: float
    milliseconds: float
    """Medians over the problems where it arrived."""
    speedup: results.Interval
    """Classical time / own time where both arrived."""
    loop_speedup: results.Interval
    """The same without start and checks: `_start_and_checks` taken off both times."""
    peak_MiB: float  # noqa: N815  (a unit)


def dense(n: int, m: int, k: int, noise: float) -> Callable[[int], Problem]:
    """Return a maker of X = [DC + e]+ with D and C uniform, started at random."""

    def make(seed: int) -> Problem:
        rng = np.random.default_rng(seed)
        X = rng.random((n, k)) @ rng.random((k, m)) + noise * rng.standard_normal((n, m))
        return np.maximum(X, 0), k, RandomStart(seed + 1)

    return make


def dense_counts(n: int, m: int, k: int) -> Callable[[int], Problem]:
    """Return a maker of Poisson counts as dense arrays, many of them zero, started at random."""
    return lambda seed: (poisson_counts(n, m, k, np.random.default_rng(seed)), k, RandomStart(seed + 1))


def sparse_log_counts(n: int, m: int, k: int) -> Callable[[int], Problem]:
    """Return a maker of sparse log(1 + counts), started by NNDSVD."""
    return lambda seed: (sparse_counts(n, m, k, np.random.default_rng(seed)), k, Nndsvd(seed))


def window_logarithms() -> Callable[[int], Problem]:
    """Return a maker of log(1 + counts) of small windows of 8 to 1000 sources, started by NNDSVD."""

    def make(seed: int) -> Problem:
        rng = np.random.default_rng(seed)
        while True:
            X = window_counts(rng)
            X.data = np.log1p(X.data)
            rank = choose_rank(X, cap=MOST_COMPONENTS, energy=ENERGY)
            if 1 < rank < min(X.shape):
                return X, rank, Nndsvd(seed)

    return make


def cases(scale: float) -> list[Case]:
    """Return all kinds of problems; `scale` multiplies their numbers."""

    def many(count: int) -> int:
        return max(3, round(count * scale))

    small = [
        Case(f"30×30×3 σ {noise}", dense(30, 30, 3, noise), many(200), many(60), 1500)
        for noise in (0.001, 0.01, 0.1)
    ]
    middle = [Case("60×50×6 σ 0.03", dense(60, 50, 6, 0.03), many(60), many(20), 1500)]
    large = [
        Case(f"200×500×8 σ {noise}", dense(200, 500, 8, noise), many(20), many(8), 800) for noise in (0.01, 0.1)
    ]
    largest = [Case("1000×300×12 σ 0.01", dense(1000, 300, 12, 0.01), many(8), many(3), 900)]
    counts = [
        Case("dense counts 200×150×10", dense_counts(200, 150, 10), many(20), many(8), 800),
        Case("sparse windows 8–1000 × 11–1000", window_logarithms(), many(60), many(20), 600),
        Case("counts 1000×400×8", sparse_log_counts(1000, 400, 8), many(20), many(8), 600),
        Case("counts 5000×2000×10", sparse_log_counts(5000, 2000, 10), many(12), many(4), 600),
    ]
    return [*small, *middle, *large, *largest, *counts]


def errors_of(problem: Problem, rule: Any, iterations: int) -> np.ndarray[Any, Any]:
    """Return the errors of a run that only its budget, or rounding, ends."""
    X, rank, start = problem
    return np.array(factorize(X, rank, rule=rule, start=start, stop=Stop(iterations, 0.0)).errors)


@dataclass(frozen=True)
class Arrival:
    """When a rule came within a tolerance of the best."""

    iterations: int
    seconds: float
    loop_seconds: float
    """Without start and checks."""


Run: TypeAlias = dict[float, dict[str, Arrival]]
"""For each tolerance, the rules that arrive on one problem."""


def timed(problem: Problem, rules: dict[str, Any], iterations: int, rng: np.random.Generator) -> Run:
    """Return when each rule comes within each of `GAPS` of the best."""
    errors = {name: errors_of(problem, rule, iterations) for name, rule in rules.items()}
    best = min(each[-1] for each in errors.values())
    fixed = min(_start_and_checks(problem) for _ in range(5))
    return {gap: _arrivals(problem, rules, errors, (1 + gap) * best, fixed, rng) for gap in GAPS}


def _arrivals(
    problem: Problem,
    rules: dict[str, Any],
    errors: dict[str, np.ndarray[Any, Any]],
    goal: float,
    fixed: float,
    rng: np.random.Generator,
) -> dict[str, Arrival]:
    X, rank, start = problem
    needed = {name: int(np.argmax(each <= goal)) for name, each in errors.items() if each[-1] <= goal}
    seconds = dict.fromkeys(needed, math.inf)
    for _ in range(3):
        for name in rng.permutation(sorted(needed)):
            stop = Stop(max(1, needed[name]), 0.0)
            began = time.process_time()
            factorize(X, rank, rule=rules[name], start=start, stop=stop)
            seconds[name] = min(seconds[name], time.process_time() - began)
    return {name: Arrival(needed[name], taken, max(taken - fixed, 1e-7)) for name, taken in seconds.items()}


def _start_and_checks(problem: Problem) -> float:
    """Return the time of a run with one of the cheapest iterations: what every rule spends outside the loop."""
    X, rank, start = problem
    began = time.process_time()
    factorize(X, rank, rule=Hals(sweeps=1), start=start, stop=Stop(1, 0.0))
    return time.process_time() - began


def best_sweeps(case: Case, rng: np.random.Generator) -> dict[float, int]:
    """Return the number of sweeps that is fastest on the problems set aside for tuning, to each of `GAPS`."""
    rules = {str(sweeps): ExtrapolatedHals(sweeps) for sweeps in TUNED}
    runs = [timed(case.make(900_000 + seed), rules, case.iterations, rng) for seed in range(case.tuning)]
    return {gap: _fastest([run[gap] for run in runs], rules) for gap in GAPS}


def _fastest(runs: list[dict[str, Arrival]], rules: dict[str, Any]) -> int:
    slowest = max(found.seconds for run in runs for found in run.values())
    costs = {
        name: np.mean([math.log(run[name].seconds if name in run else 4 * slowest) for run in runs])
        for name in rules
    }
    return int(min(costs, key=lambda name: costs[name]))


def measure(case: Case, rng: np.random.Generator) -> list[Row]:
    """Return a row for each tolerance and rule."""
    sweeps = best_sweeps(case, rng)
    classical = {gap: f"{CLASSICAL} ({count})" for gap, count in sweeps.items()}
    rules: dict[str, Any] = {
        "HALS": Hals(),
        **{classical[gap]: ExtrapolatedHals(count) for gap, count in sweeps.items()},
        "steady momentum": SteadyHals(),
        "learned momentum": LearnedMomentum(),
        "joint Gauss–Newton": JointGaussNewton(),
        "learned (default)": Learned(),
    }
    runs = [timed(case.make(10_000 + seed), rules, case.iterations, rng) for seed in range(case.count)]
    memory = {name: memory_of(case.make(10_000), rule) for name, rule in rules.items()}
    return [
        _row(case.name, gap, sweeps[gap], rule, classical[gap], [run[gap] for run in runs], memory[rule])
        for gap in GAPS
        for rule in rules
        if rule == classical[gap] or rule not in classical.values()
    ]


def memory_of(problem: Problem, rule: Any) -> float:
    """Return by how many MiB ten iterations raise the peak of a process, after a run on a few rows."""
    X, rank, start = problem
    few = X[: max(2 * rank, 16)]
    return raised_peak(_run, (few, rank, start, rule), (X, rank, start, rule))


def _run(X: Any, rank: int, start: Start, rule: Any) -> None:
    factorize(X, rank, rule=rule, start=start, stop=Stop(ITERATIONS, 0.0))


def _row(
    case: str,
    gap: float,
    sweeps: int,
    rule: str,
    classical: str,
    runs: list[dict[str, Arrival]],
    memory: float,
) -> Row:
    found = [run[rule] for run in runs if rule in run]
    both = [(run[classical], run[rule]) for run in runs if rule in run and classical in run]
    chance = np.random.default_rng(0)
    return Row(
        case,
        gap,
        sweeps,
        CLASSICAL if rule == classical else rule,
        results.share(len(found), len(runs)),
        float(np.median([each.iterations for each in found])) if found else math.nan,
        1e3 * float(np.median([each.seconds for each in found])) if found else math.nan,
        results.geometric_mean([theirs.seconds / own.seconds for theirs, own in both], chance),
        results.geometric_mean([theirs.loop_seconds / own.loop_seconds for theirs, own in both], chance),
        memory,
    )


def markdown(rows: list[Row], about: dict[str, Any]) -> list[str]:
    """Return a table for each kind of problems, with what it means."""
    lines = [
        "# Time to 1 and 0.1 % of the best error",
        "",
        results.machine_line(about),
        "Start and checks included, but for the loop alone. Speed-up: geometric mean of classical / own",
        "time where both arrive, with a 95 % bootstrap interval; that of the share that arrives is Wilson's.",
        "Iterations and ms: medians where it arrives. MiB: by how much ten iterations raise the peak of a process.",
        "[How it is measured](../../core/speed.py).",
    ]
    for case in dict.fromkeys(row.case for row in rows):
        of_case = [row for row in rows if row.case == case]
        best = ", ".join(f"{sweeps} to {100 * gap:g} %" for gap, sweeps in
                         dict.fromkeys((row.tolerance, row.sweeps) for row in of_case))  # fmt: skip
        lines += [
            "",
            f"## {case}",
            "",
            f"{of_case[0].arrived.count} problems. Sweeps of the best classical rule: {best}.",
            "",
        ]
        header = ("rule", "to", "arrive", "iterations", "ms", "speed-up", "of the loop alone", "MiB")
        lines += results.table(header, [_cells(row) for row in of_case])
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    known = row.arrived.mean > 0
    return (
        row.rule,
        f"{100 * row.tolerance:g} %",
        str(row.arrived),
        f"{row.iterations:.0f}" if known else "–",
        f"{row.milliseconds:.3g}" if known else "–",
        str(row.speedup),
        str(row.loop_speedup),
        f"{row.peak_MiB:.1f}",
    )


def main() -> None:
    """Measure, and write speed.json and speed.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=results.FOLDER)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of problems")
    parser.add_argument("--only", default="", help="run the kinds of problems whose names hold this text")
    options = parser.parse_args()
    results.require_one_thread()
    rng = np.random.default_rng(0)
    about = results.machine(("numpy", "scipy", "numba"))
    rows: list[Row] = []
    for case in cases(options.scale):
        if options.only in case.name:
            rows += measure(case, rng)
            written = {"machine": about, "rows": [asdict(row) for row in rows]}
            results.save(options.output, "speed", written, markdown(rows, about))


if __name__ == "__main__":
    main()
