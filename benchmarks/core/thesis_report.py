"""What the thesis' table consists of, and how it is written; `thesis` measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.core import results

NOISES = (0.0, 0.001, 0.01, 0.1)
LEARNED_ITERATIONS = 200
CAPS = {"MU": 2000, "HALS": 500, "extrapolated HALS": 500}
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
GAPS = (0.01, 0.001)
STRONGEST = "extrapolated HALS"
"""The classical rule that speeds are told against."""
DEFAULT = "learned (default)"


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
class Arrival:
    """How one rule came within a tolerance of the least error that any rule found, from one kind of starts."""

    starts: str
    noise: float
    """Of the problems; a learned rule's weights are those of the same noise."""
    tolerance: float
    rule: str
    arrived: results.Share
    iterations: float
    """Median, as `ms`, over the problems where it arrived."""
    ms: float
    """Iterations times the rule's mean CPU time an iteration."""
    speedup: results.Interval
    """Time of `STRONGEST` over the rule's, where both arrived."""


def report(cells: list[Cell], problems: int, microseconds: dict[str, float], about: dict[str, Any]) -> list[str]:
    """Return the tables as Markdown."""
    lines = [
        "# The thesis' table, measured again",
        "",
        results.machine_line(about),
        "",
        f"30 × 30 × 3, {problems} problems a column, float64, one thread; random starts, but near ones in the last",
        f"part. Learned rules run for {LEARNED_ITERATIONS} iterations and have converged when 99 % of the fall",
        f"of their error is done. The other rules run to that error, for {CAPS['MU']} (MU) or {CAPS['HALS']}",
        "iterations at most; who never arrives counts with the cap, so that such a mean is a lower bound.",
        "[How it is measured](../../core/thesis.py).",
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
    return lines


def arrivals_report(arrivals: list[Arrival], memory: dict[str, float]) -> list[str]:
    """Return the tables of what is within 1 and 0.1 % of the best error."""
    lines = [
        "## To 1 and 0.1 % of the best error",
        "",
        "The best is the least error that any of the rules found on the problem; at σ = 0 it is nearly none, and",
        f"{ROUNDING:g} of ‖X‖ counts as arrived. Learned rules with the weights of the same σ. Medians where it",
        f"arrives; speed-up: time of {STRONGEST}, with as many sweeps as it has by default, over the rule's,",
        "where both arrive: geometric mean, 95 % bootstrap interval. A time is iterations × the mean time of one",
        "in a whole run; [speed.md](speed.md) times whole calls that end there, against the best number of sweeps.",
        "Peak memory of ten iterations, MiB above what the process held before:",
        ", ".join(f"{name} {peak:.1f}" for name, peak in memory.items()) + ".",
    ]
    for starts in dict.fromkeys(each.starts for each in arrivals):
        lines += ["", f"From {starts} starts:", ""]
        header = ("σ", "rule", "to", "arrive", "iterations", "ms", "speed-up")
        lines += results.table(header, [arrival_cells(each) for each in arrivals if each.starts == starts])
    return lines


def arrival_cells(each: Arrival) -> tuple[str, ...]:
    """Return one line of the table."""
    known = each.arrived.mean > 0
    return (
        f"{each.noise:g}",
        each.rule,
        f"{100 * each.tolerance:g} %",
        str(each.arrived),
        f"{each.iterations:.0f}" if known else "–",
        f"{each.ms:.3g}" if known else "–",
        str(each.speedup),
    )


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
