"""Count matrices of real traffic: time and iterations to come within 1 and 0.1 % of the best known error.

    python -m benchmarks.core.real [--captures PATH …] [--seconds 10 60 300] [--name real]

Windows of captures become matrices, and get their rank, as in the service. The best known error of a window is the
least of ten converged restarts and of all our runs. A contender's time is that of a run that ends where it first
was close enough: CPU time of one thread, start and checks included, least of several runs in changing order. Of a
kind with several settings (sweeps, starts) the one that is fastest on these very windows stands for it, timed anew;
the default has no settings. A speed-up is the time of the best classical rule (HALS or extrapolated HALS, whichever
is faster on the set) over the contender's, where both arrive. Memory is the peak of a process of its own on the
largest window, beyond what it held before a run of ten iterations.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track

import lnmf_core
from benchmarks.core import peers, results
from benchmarks.core.memory import ITERATIONS as MEMORY_ITERATIONS
from benchmarks.core.memory import raised_peak
from benchmarks.core.traffic import COUNTS, LOGARITHMS, Problem, read_problems

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCES = (0.01, 0.001)
EXAMPLE = Path("examples/lab.pcap")
DEFAULT, CLASSICAL = "learned (default)", ("extrapolated HALS", "HALS")
SWEEPS = (1, 2, 3, 6, 10, 16)
ITERATIONS = 1000
PEER_ITERATIONS = 300
RESTARTS = 10
TUNING_REPEATS, REPEATS = 3, 15
SHORT = 0.005
"""s; what takes longer need not find its code and its data in the caches."""
CONVERGED = lnmf_core.Stop(2000, 1e-9)
EXACT = 1e-6
"""A window whose best relative error is less has an exact factorisation: a share of it means nothing."""
FEW, OVERLAPPING = 10, 10
"""Where a capture has fewer windows of a length than the first, they begin that many times as often."""
SLOWER = 0.95
"""The least speed-up over the best classical rule that is asked for."""


@dataclass(frozen=True, slots=True)
class Ours:
    """One of our rules, or the default where `rule` is None, from its usual start."""

    kind: str
    setting: str
    rule: Any

    def run(self, problem: Problem, iterations: int) -> lnmf_core.Solution:
        """Factorise; only the budget, or rounding, ends the run."""
        stop = lnmf_core.Stop(iterations, 0.0)
        return lnmf_core.factorize(problem.X, problem.rank, rule=self.rule, stop=stop)

    def needs(self, problem: Problem, goals: Sequence[float]) -> list[int | None]:
        """Return after how many iterations, 1 or more, the relative error is at most each goal; None for never."""
        errors = np.array(self.run(problem, ITERATIONS).errors)
        return [max(1, int(np.argmax(errors <= goal))) if errors[-1] <= goal else None for goal in goals]


@dataclass(frozen=True, slots=True)
class Peer:
    """A contender of `peers`."""

    kind: str
    setting: str
    contender: peers.Contender

    def run(self, problem: Problem, iterations: int) -> Any:
        """Factorise."""
        return self.contender.run(problem.X, problem.rank, iterations, 0)

    def needs(self, problem: Problem, goals: Sequence[float]) -> list[int | None]:
        """Return the same as `Ours.needs`, from runs of 1, 2, 3, 4, 6, 8, 11, … iterations."""
        needed: list[int | None] = [None] * len(goals)
        norm, iterations = float(np.linalg.norm(problem.X.data)), 1
        while iterations <= PEER_ITERATIONS and None in needed:
            D, C = self.run(problem, iterations)
            error = peers.error(problem.X, np.asarray(D, np.float64), np.asarray(C, np.float64)) / norm
            needed = [
                iterations if at is None and error <= goal else at for at, goal in zip(needed, goals, strict=True)
            ]
            iterations = max(iterations + 1, int(iterations * 1.4))
        return needed


Contender = Ours | Peer


def contenders() -> list[Contender]:
    """Return all settings of all contenders; peers only where scikit-learn is installed."""
    ours = [
        Ours(DEFAULT, "", None),
        *(Ours(CLASSICAL[0], f"{sweeps} sweeps", lnmf_core.ExtrapolatedHals(sweeps)) for sweeps in SWEEPS),
        *(Ours(CLASSICAL[1], f"{sweeps} sweeps", lnmf_core.Hals(sweeps)) for sweeps in SWEEPS),
        Ours("multiplicative", "", lnmf_core.Multiplicative()),
    ]
    if not importlib.util.find_spec("sklearn"):
        return [*ours]
    named = [(each, *each.name.partition(", ")[::2]) for each in peers.CONTENDERS if each.package == "sklearn"]
    return [*ours, *(Peer(kind, setting, each) for each, kind, setting in named)]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A problem, and the iterations that each contender needs; who never arrives is missing."""

    problem: Problem
    needed: tuple[dict[Contender, int], ...]
    """For each of `TOLERANCES`."""


def best_error(problem: Problem) -> float:
    """Return the least relative error of ten converged restarts, three of them from NNDSVD."""
    starts = [lnmf_core.Nndsvd(seed) if seed < 3 else lnmf_core.RandomStart(seed) for seed in range(RESTARTS)]
    return min(lnmf_core.factorize(problem.X, problem.rank, start=start, stop=CONVERGED).error for start in starts)


def window_of(problem: Problem, entrants: Sequence[Contender]) -> Window | None:
    """Let all run until they arrive; return None if the window has an exact factorisation."""
    ends = [each.run(problem, ITERATIONS).error for each in entrants if isinstance(each, Ours)]
    best = min(best_error(problem), *ends)
    if best < EXACT:
        return None
    goals = [(1 + tolerance) * best for tolerance in TOLERANCES]
    needed = {each: each.needs(problem, goals) for each in entrants}
    return Window(
        problem,
        tuple(
            {each: count for each, counts in needed.items() if (count := counts[at]) is not None}
            for at in range(len(goals))
        ),
    )


def timed(
    window: Window, at: int, entrants: Sequence[Contender], repeats: int, chance: np.random.Generator
) -> dict[Contender, float]:
    """Return the least time, s, of those that arrive, to the tolerance number `at`.

    Each of several short runs follows one of its own that is not timed, so that it does not matter who ran before.
    """
    arriving = [each for each in entrants if each in window.needed[at]]
    seconds = dict.fromkeys(arriving, math.inf)
    for _ in range(repeats):
        for number in chance.permutation(len(arriving)):
            each = arriving[number]
            if not SHORT < seconds[each] < math.inf:
                each.run(window.problem, window.needed[at][each])
            began = time.process_time()
            each.run(window.problem, window.needed[at][each])
            seconds[each] = min(seconds[each], time.process_time() - began)
    return seconds


def fastest(settings: Sequence[Contender], times: Sequence[dict[Contender, float]]) -> Contender:
    """Return the setting with the least geometric mean time; never to arrive costs four times the slowest."""
    slowest = max((seconds for window in times for seconds in window.values()), default=1.0)

    def cost(setting: Contender) -> float:
        return float(np.mean(np.log([window.get(setting, 4 * slowest) for window in times])))

    return min(settings, key=cost)


@dataclass(frozen=True, slots=True)
class Row:
    """How one contender did on one set of windows."""

    contender: str
    tolerance: float
    arrived: results.Share
    iterations: float
    """Median, as `ms`, of the windows on which it arrived."""
    ms: float
    speedup: results.Interval
    peak_MiB: float  # noqa: N815  (a unit)


def memory_of(entrants: Sequence[Contender], windows: Sequence[Window]) -> dict[Contender, float]:
    """Return by how many MiB ten iterations on the largest window raise the peak of a process.

    That process has had a run on the smallest window before.
    """
    by_size = sorted((each.problem for each in windows), key=lambda problem: problem.X.nnz)
    small, large = by_size[0], by_size[-1]
    # A peer's function can't be handed to a process, its name can.
    named = {each: each.contender.name if isinstance(each, Peer) else each for each in entrants}
    return {each: raised_peak(_ten, (name, small), (name, large)) for each, name in named.items()}


def _ten(entrant: Ours | str, problem: Problem) -> None:
    if isinstance(entrant, str):
        contender = next(each for each in peers.CONTENDERS if each.name == entrant)
        contender.run(problem.X, problem.rank, MEMORY_ITERATIONS, 0)
    else:
        entrant.run(problem, MEMORY_ITERATIONS)


def rows_of(entrants: Sequence[Contender], windows: Sequence[Window], at: int) -> list[Row]:
    """Return a row for each kind of contender, to the tolerance number `at`."""
    chance = np.random.default_rng(at)
    tried = [timed(window, at, entrants, TUNING_REPEATS, chance) for window in windows]
    kinds = dict.fromkeys(each.kind for each in entrants)
    chosen = [fastest([each for each in entrants if each.kind == kind], tried) for kind in kinds]
    times = [timed(window, at, chosen, REPEATS, chance) for window in windows]
    classical = fastest([each for each in chosen if each.kind in CLASSICAL], times)
    memory = memory_of(chosen, windows)
    return [_row(each, classical, windows, times, at, memory[each]) for each in chosen]


def _row(
    each: Contender,
    classical: Contender,
    windows: Sequence[Window],
    times: Sequence[dict[Contender, float]],
    at: int,
    memory: float,
) -> Row:
    seconds = [window[each] for window in times if each in window]
    ratios = [window[classical] / window[each] for window in times if each in window and classical in window]
    iterations = [window.needed[at][each] for window in windows if each in window.needed[at]]
    return Row(
        f"{each.kind}, {each.setting}" if each.setting else each.kind,
        TOLERANCES[at],
        results.share(len(seconds), len(windows)),
        float(np.median(iterations)) if iterations else math.nan,
        1e3 * float(np.median(seconds)) if seconds else math.nan,
        results.geometric_mean(ratios, np.random.default_rng(0)),
        memory,
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Windows of one capture, length and kind of values, and how the contenders did on them."""

    capture: str
    seconds: int
    values: str
    windows: int
    overlap: bool
    """Whether windows begin before the one before them has ended: then intervals are a little too narrow."""
    left_out: int
    sources: float
    """Median, as all that follow."""
    services: float
    entries: float
    rank: float
    rows: list[Row]


def group(capture: tuple[str, Path], seconds: int, values: str, most: int) -> Group | None:
    """Measure the windows of one length, `most` of them at the most, or return None if nothing is left of them."""
    name, path = capture
    found = read_problems(path, seconds, values)
    overlap = len(found.problems) < FEW
    if overlap:
        found = read_problems(path, seconds, values, step=max(1, seconds // OVERLAPPING))
    count = min(most, len(found.problems))
    places = np.linspace(0, len(found.problems) - 1, count).round().astype(int)
    entrants = contenders()
    bar = track(places, f"{name}, {seconds} s, {values}", console=Console(stderr=True))
    windows = [window for place in bar if (window := window_of(found.problems[place], entrants)) is not None]
    if not windows:
        return None
    sizes = [(*each.problem.X.shape, each.problem.X.nnz, each.problem.rank) for each in windows]
    n, m, entries, rank = (float(size) for size in np.median(sizes, axis=0))
    rows = [row for at in range(len(TOLERANCES)) for row in rows_of(entrants, windows, at)]
    left_out = found.left_out + count - len(windows)
    return Group(name, seconds, values, len(windows), overlap, left_out, n, m, entries, rank, rows)


def markdown(groups: Sequence[Group], about: dict[str, Any]) -> list[str]:
    """Return the groups as tables."""
    lines = [
        "# Windows of real traffic",
        "",
        results.machine_line(about),
        "Time to come within a tolerance of the best error of ten restarts: median, start included. Speed-up:",
        "geometric mean of the time of the best classical rule (HALS or extrapolated HALS, its sweeps the fastest",
        "on these windows) over the contender's, where both arrive, with a 95 % bootstrap interval from three",
        "windows on; the interval of the share that arrives is Wilson's. MiB: by how much ten iterations on the",
        "largest window raise the peak of a process. [How it is measured](../../core/real.py).",
    ]
    for each in groups:
        lines += [
            "",
            f"## {each.capture}, windows of {each.seconds} s, {each.values}",
            "",
            f"{each.windows} {'overlapping ' if each.overlap else ''}windows ({each.left_out} left out: of rank "
            f"one, full rank or without error), at the median {each.sources:.0f} sources × {each.services:.0f} "
            f"services, {each.entries:.0f} entries, rank {each.rank:.0f}.",
            "",
        ]
        header = ("contender", "to", "arrive", "iterations", "ms", "speed-up", "MiB")
        lines += results.table(header, [_cells(row) for row in each.rows])
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    times = (f"{row.iterations:.0f}", f"{row.ms:.3g}") if row.arrived.mean else ("–", "–")
    tolerance, memory = f"{100 * row.tolerance:g} %", f"{row.peak_MiB:.1f}"
    return (row.contender, tolerance, str(row.arrived), *times, str(row.speedup), memory)


def verdicts(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return for each group and tolerance by how much the default is faster than the best classical rule."""
    return [
        {
            "group": f"{each.capture}, windows of {each.seconds} s, {each.values}",
            "tolerance": row.tolerance,
            "speedup": asdict(row.speedup),
            "arrived": row.arrived.mean,
        }
        for each in groups
        for row in each.rows
        if row.contender == DEFAULT
    ]


def load_verdicts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the verdicts of real.json and of each real-*.json beside it, by name; raises ResultError as `load`."""
    names = ["real", *sorted(path.stem for path in folder.glob("real-*.json"))]
    return {name: results.load(folder, name)["verdicts"] for name in names}


def main() -> None:
    """Measure, and write the JSON and Markdown files."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--captures", type=Path, nargs="+", default=[], help="instead of the example")
    ask.add_argument("--called", nargs="+", default=[], help="what results call them, not by their files' names")
    ask.add_argument("--seconds", type=int, nargs="+", default=[10, 60, 300], help="lengths of windows")
    ask.add_argument("--most", type=int, default=30, help="windows of a capture and length")
    ask.add_argument("--name", default="real", help="of the files of results; `reach` reads real and real-*")
    ask.add_argument("--output", type=Path, default=results.FOLDER)
    given = ask.parse_args()
    results.require_one_thread()
    called = [*given.called, *(f"capture {number}" for number in range(1 + len(given.called), 99))]
    captures = list(zip(called, given.captures, strict=False))
    warnings.simplefilter("ignore")  # scikit-learn warns that it was stopped before it converged: so it was
    found = [
        group(capture, seconds, values, given.most)
        for capture in captures or [("example", EXAMPLE)]
        for seconds in given.seconds
        for values in (LOGARITHMS, COUNTS)
    ]
    groups = [each for each in found if each is not None]
    about = results.machine(("numpy", "scipy", "numba", "scikit-learn"))
    written = {"machine": about, "groups": [asdict(each) for each in groups], "verdicts": verdicts(groups)}
    results.save(given.output, given.name, written, markdown(groups, about))


if __name__ == "__main__":
    main()
