"""How long each rule takes to come within 0.1 % of the best error: `python -m benchmarks.core.speed`.

All rules of a problem run from the same start in one process, one after the other, in changing order; time is CPU
time of one thread, start and checks included, the best of three runs that end where the first one arrived. The best
classical rule is extrapolated HALS with the number of sweeps that is fastest on other problems of its kind. The
best error is the least that any rule finds from that start.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

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
    factorize,
)
from lnmf_core.training.choice import poisson_counts, sparse_counts

GAP = 1e-3
TUNED = (6, 10, 16, 24)
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
    """What one rule reached on one kind of problem."""

    case: str
    rule: str
    arrived: float
    iterations: float
    milliseconds: float
    """Medians over the problems where it arrived."""
    speedup: float
    low: float
    high: float
    """Geometric mean of classical time / own time where both arrived, and its 95 % interval (bootstrap)."""
    loop_speedup: float
    loop_low: float
    loop_high: float
    """The same without start and checks: `_start_and_checks` taken off both times."""
    pairs: int


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
        Case("counts 5000×2000×10", sparse_log_counts(5000, 2000, 10), many(12), many(4), 600),
    ]
    return [*small, *middle, *large, *largest, *counts]


def errors_of(problem: Problem, rule: Any, iterations: int) -> np.ndarray[Any, Any]:
    """Return the errors of a run that only its budget, or rounding, ends."""
    X, rank, start = problem
    return np.array(factorize(X, rank, rule=rule, start=start, stop=Stop(iterations, 0.0)).errors)


def timed(problem: Problem, rules: dict[str, Any], iterations: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return (iterations, seconds) to come within `GAP` of the best for each rule, or None."""
    X, rank, start = problem
    errors = {name: errors_of(problem, rule, iterations) for name, rule in rules.items()}
    goal = (1 + GAP) * min(each[-1] for each in errors.values())
    needed = {name: int(np.argmax(each <= goal)) for name, each in errors.items() if each[-1] <= goal}
    seconds = dict.fromkeys(needed, math.inf)
    for _ in range(3):
        for name in rng.permutation(sorted(needed)):
            stop = Stop(max(1, needed[name]), 0.0)
            began = time.process_time()
            factorize(X, rank, rule=rules[name], start=start, stop=stop)
            seconds[name] = min(seconds[name], time.process_time() - began)
    fixed = min(_start_and_checks(problem) for _ in range(5))
    return {
        name: (needed[name], seconds[name], max(seconds[name] - fixed, 1e-7)) if name in needed else None
        for name in rules
    }


def _start_and_checks(problem: Problem) -> float:
    """Return the time of a run with one of the cheapest iterations: what every rule spends outside the loop."""
    X, rank, start = problem
    began = time.process_time()
    factorize(X, rank, rule=Hals(sweeps=1), start=start, stop=Stop(1, 0.0))
    return time.process_time() - began


def best_sweeps(case: Case, rng: np.random.Generator) -> int:
    """Return the number of sweeps that is fastest on the problems set aside for tuning."""
    rules = {str(sweeps): ExtrapolatedHals(sweeps) for sweeps in TUNED}
    runs = [timed(case.make(900_000 + seed), rules, case.iterations, rng) for seed in range(case.tuning)]
    slowest = max(found[1] for run in runs for found in run.values() if found)
    costs = {
        name: np.mean([math.log(run[name][1] if run[name] else 4 * slowest) for run in runs]) for name in rules
    }
    return int(min(costs, key=lambda name: costs[name]))


def measure(case: Case, rng: np.random.Generator) -> list[Row]:
    """Return a row for each rule."""
    sweeps = best_sweeps(case, rng)
    rules: dict[str, Any] = {
        "HALS": Hals(),
        CLASSICAL: ExtrapolatedHals(sweeps),
        "steady momentum": SteadyHals(),
        "learned momentum": LearnedMomentum(),
        "joint Gauss–Newton": JointGaussNewton(),
        "learned (default)": Learned(),
    }
    runs = [timed(case.make(10_000 + seed), rules, case.iterations, rng) for seed in range(case.count)]
    name = f"{case.name} ({sweeps} sweeps)"
    return [_row(name, rule, runs, rng) for rule in rules]


def _row(case: str, rule: str, runs: list[dict[str, Any]], rng: np.random.Generator) -> Row:
    found = [run[rule] for run in runs if run[rule]]
    both = [run for run in runs if run[rule] and run[CLASSICAL]]
    total, loop = (_interval([math.log(run[CLASSICAL][at] / run[rule][at]) for run in both], rng) for at in (1, 2))
    return Row(
        case,
        rule,
        len(found) / len(runs),
        float(np.median([each[0] for each in found])) if found else math.nan,
        1e3 * float(np.median([each[1] for each in found])) if found else math.nan,
        *total,
        *loop,
        len(both),
    )


def _interval(logs: list[float], rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the geometric mean and its 95 % interval."""
    if not logs:
        return math.nan, math.nan, math.nan
    drawn = rng.choice(logs, (2000, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(drawn, [0.025, 0.975]))
    return float(np.exp(np.mean(logs))), float(low), float(high)


def _stated(row: Row) -> dict[str, Any]:
    """Return the row with None where there is no number."""
    return {key: None if value != value else value for key, value in asdict(row).items()}  # noqa: PLR0124


def markdown(rows: list[Row]) -> str:
    """Return the table, with what it means."""
    lines = [
        "# Time to 0.1 % of the best error",
        "",
        f"Python {platform.python_version()}, one thread, CPU time, float64; see `benchmarks/core/speed.py`.",
        "Speed-up: geometric mean over problems where both arrive of classical / own time, 95 % interval.",
        "",
        "| problems (classical sweeps) | rule | arrive | iterations | ms | speed-up | speed-up of the loop alone |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.case} | {row.rule} | {row.arrived:.0%} | {row.iterations:.0f} | {row.milliseconds:.3g} "
        f"| {row.speedup:.2f} ({row.low:.2f}–{row.high:.2f}) "
        f"| {row.loop_speedup:.2f} ({row.loop_low:.2f}–{row.loop_high:.2f}) |"
        for row in rows
    ]
    return (
        ("\n".join(lines) + "\n")
        .replace("nan (nan–nan)", "–")
        .replace("| nan |", "| – |")
        .replace("| nan |", "| – |")
    )


def main() -> None:
    """Measure, and write speed.json and speed.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/core"))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of problems")
    parser.add_argument("--only", default="", help="run the kinds of problems whose names hold this text")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    options.output.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for case in cases(options.scale):
        if options.only in case.name:
            rows += measure(case, rng)
            (options.output / "speed.json").write_text(
                json.dumps([_stated(row) for row in rows], indent=1, ensure_ascii=False, allow_nan=False) + "\n",
                encoding="utf-8",
            )
            (options.output / "speed.md").write_text(markdown(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
