"""Draw the results: one SVG for each benchmark, beside its JSON file.

    python -m benchmarks.core.charts [--output benchmarks/results/core]

Reads what the benchmarks wrote; a missing file ends it with an error. The pictures have a ground of their own, so
that they are readable on light and on dark pages.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from benchmarks.core import results
from benchmarks.core.growth import FITTED, least_fitted
from benchmarks.core.real import DEFAULT, SLOWER, load_verdicts

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "yocho",  # the same file from the same data
        "svg.fonttype": "none",  # letters as text: small, and to be found
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "0.9",
        "axes.axisbelow": True,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "axes.prop_cycle": mpl.cycler(
            color=["#c1440e", "#2a6f97", "#3a7d44", "#8e5ea2", "#b8860b", "#5c5c5c", "#e07a9b", "#17a2a2"]
        ),
    }
)
from matplotlib import pyplot as plt  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_GAP = 1e-5
"""Smaller gaps to the best error are drawn as this."""
LARGEST_FILE = 60_000
"""Bytes."""


def draw_curves(found: dict[str, Any], problem: str) -> Figure:
    """Draw the error above the best against iterations and against time; peers are dashed."""
    curves = found["curves"][problem]
    best = min(min(error for error in each["errors"] if error is not None) for each in curves)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), sharey=True)
    for number, each in enumerate(curves):
        errors = np.array([np.nan if error is None else error for error in each["errors"]])
        gap = np.maximum(errors / best - 1, LEAST_GAP)
        style: dict[str, Any] = {
            "label": each["contender"],
            "linestyle": "-" if each["ours"] else "--",
            "linewidth": 2.2 if each["contender"] == DEFAULT else 1.1,
            "color": f"C{number % 8}",
        }
        left.loglog(each["iterations"], gap, **style)
        right.loglog(each["ms"], gap, **style)
    left.set(xlabel="iterations", ylabel="relative error above the best found")
    right.set(xlabel="CPU time, ms (start included)")
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_speed(found: dict[str, Any], tolerance: float) -> Figure:
    """Draw the speed-up of each rule over the best classical one, for each kind of problem."""
    rows = [row | row["speedup"] | {"speedup": row["speedup"]["mean"]} for row in found["rows"]
            if row["tolerance"] == tolerance]  # fmt: skip
    cases = list(dict.fromkeys(row["case"] for row in rows))
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    figure, axis = plt.subplots(figsize=(8, 0.55 * len(cases) + 1))
    for number, rule in enumerate(rules):
        of_rule = [row for row in rows if row["rule"] == rule and row["speedup"] is not None]
        places = [cases.index(row["case"]) + 0.11 * (number - len(rules) / 2) for row in of_rule]
        _with_intervals(axis, places, of_rule, f"C{number % 8}", rule)
    axis.set_yticks(range(len(cases)), cases)
    said = f"time to {100 * tolerance:g} % of the best (95 % interval)"
    _speed_axis(axis, f"speed-up over the best classical rule, {said}")
    return figure


def draw_real(found: dict[str, list[dict[str, Any]]]) -> Figure:
    """Draw the default's speed-up over the best classical rule on windows of real traffic."""
    verdicts = [each for of_file in found.values() for each in of_file]
    groups = list(dict.fromkeys(each["group"] for each in verdicts))
    figure, axis = plt.subplots(figsize=(8, 0.4 * len(groups) + 1))
    for number, tolerance in enumerate(sorted({each["tolerance"] for each in verdicts}, reverse=True)):
        shown = [each["speedup"] | {"speedup": each["speedup"]["mean"], "group": each["group"]} for each in verdicts
                 if each["tolerance"] == tolerance and each["speedup"]["mean"] is not None]  # fmt: skip
        places = [groups.index(each["group"]) + 0.2 * number - 0.1 for each in shown]
        _with_intervals(axis, places, shown, f"C{number}", f"to {100 * tolerance:g} %")
    axis.axvline(SLOWER, color="0.5", linestyle=":", linewidth=1)
    axis.set_yticks(range(len(groups)), groups)
    _speed_axis(
        axis, "speed-up of the default over the best classical rule (95 % interval; dotted: what is demanded)"
    )
    return figure


def _with_intervals(
    axis: Axes, places: Sequence[float], shown: Sequence[dict[str, Any]], color: str, label: str
) -> None:
    for place, each in zip(places, shown, strict=True):
        if each["low"] is not None:
            axis.plot([each["low"], each["high"]], [place, place], color=color, linewidth=1.2)
    axis.plot([each["speedup"] for each in shown], places, "o", color=color, markersize=4, label=label)


def _speed_axis(axis: Axes, label: str) -> None:
    axis.axvline(1, color="0.4", linewidth=0.8)
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20) if low <= tick <= high]
    crowded = high / low > 3
    shown = [tick for tick in ticks if not crowded or tick not in {0.8, 0.9, 1.1, 1.25, 1.5}]
    axis.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axis.set_xticks([], minor=True)
    axis.set_xlabel(label)
    axis.invert_yaxis()
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_peers(found: dict[str, Any]) -> Figure:
    """Draw the time of each contender to each tolerance; who never arrives has no mark."""
    rows = found["rows"]
    tolerances = [key for key in rows[0] if key.endswith("%")]
    figure, axis = plt.subplots(figsize=(7, 0.3 * len(rows) + 1))
    for number, tolerance in enumerate(tolerances):
        for place, row in enumerate(rows):
            cell = row[tolerance]
            if cell["median_ms"] is None:
                continue
            at = place + 0.24 * number - 0.12
            high = cell["high_ms"] if cell["high_ms"] is not None else cell["median_ms"]
            axis.plot([cell["low_ms"], high], [at, at], color=f"C{number}", linewidth=1.2)
            label = f"to {tolerance} of the best" if place == 0 else None
            axis.plot(cell["median_ms"], at, "o", color=f"C{number}", markersize=4, label=label)
    axis.set_xscale("log")
    axis.set_yticks(range(len(rows)), [row["contender"] for row in rows])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlabel("CPU time, ms: median and quartiles; no mark: never")
    axis.invert_yaxis()
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_streams(found: dict[str, Any]) -> Figure:
    """Draw gap and time of each window of the small streams, medians over the streams."""
    windows = sorted({record["window"] for record in found["windows"]})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), gridspec_kw={"wspace": 0.25})
    for number, name in enumerate(found["small"]):
        same = [[r[name] for r in found["windows"] if r["window"] == at and name in r] for at in windows]
        gaps = [100 * np.median([max(each["gap"], LEAST_GAP) for each in records]) for records in same]
        left.semilogy(windows, gaps, color=f"C{number}", label=name, linewidth=1.4)
        times = [np.median([each["ms"] for each in records]) for records in same]
        right.semilogy(windows, times, color=f"C{number}", label=name, linewidth=1.4)
    left.set(xlabel="window (the first is cold)", ylabel="error above the best, %")
    right.set(xlabel="window", ylabel="CPU time, ms")
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_thesis(found: dict[str, Any]) -> Figure:
    """Draw the ratio of iterations in each of the 16 cells, for each training, beside the thesis'."""
    cells = [cell for cell in found["cells"] if cell["criterion"] == "fall"]
    places = sorted({(cell["train_noise"], cell["noise"]) for cell in cells})
    figure, axis = plt.subplots(figsize=(8.5, 3.8))
    flat = [mean for row in found["thesis"] for mean, _ in row]
    axis.plot(range(len(flat)), flat, "_", color="black", markersize=14, markeredgewidth=2, label="thesis")
    for number, training in enumerate(dict.fromkeys(cell["training"] for cell in cells)):
        shown = [cell for cell in cells if cell["training"] == training]
        at = [places.index((cell["train_noise"], cell["noise"])) + 0.12 * number - 0.12 for cell in shown]
        ratios = [cell["against"]["MU"]["mean"] for cell in shown]
        axis.plot(at, ratios, "o", color=f"C{number}", markersize=4, label=training)
    axis.set_xticks(range(len(places)), [f"{train:g}\n{noise:g}" for train, noise in places], fontsize=7)
    axis.set(xlabel="noise of the training (above) and of the problems", ylabel="iterations of MU / learned")
    axis.set_ylim(bottom=0)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_growth(found: dict[str, Any]) -> Figure:
    """Draw time and memory against nnz + n + m, with the slope of what is linear."""
    sizes = sorted(found["sizes"], key=lambda size: size["sources"])
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.8))
    for axis, unit in zip(axes, ("ms", "MB"), strict=True):
        for number, key in enumerate(key for key in FITTED if key.endswith(unit)):
            known = [size for size in sizes if (size.get(key) or 0.0) > least_fitted(key)]
            lengths = [size["sources"] + size["services"] + size["entries"] for size in known]
            axis.loglog(lengths, [size[key] for size in known], "o", color=f"C{number}", markersize=3.5,
                        label=FITTED[key])  # fmt: skip
            _linear_through(axis, lengths, [size[key] for size in known], f"C{number}")
        axis.set(xlabel="nnz + n + m", ylabel={"ms": "CPU time, ms", "MB": "memory, MB"}[unit])
        axis.legend()
    return figure


def _linear_through(axis: Axes, lengths: Sequence[float], values: Sequence[float], color: str) -> None:
    """Draw the line of slope 1 through the geometric mean."""
    if lengths:
        middle = np.exp(np.mean(np.log(values)) - np.mean(np.log(lengths)))
        ends = np.array([min(lengths), max(lengths)])
        axis.loglog(ends, middle * ends, color=color, linewidth=0.8, linestyle="--")


DRAWINGS: dict[str, tuple[str, Callable[[Any], Figure]]] = {
    "peers": ("peers", draw_peers),
    "speed": ("speed", lambda found: draw_speed(found, 0.001)),
    "speed-near": ("speed", lambda found: draw_speed(found, 0.01)),
    "streams": ("streams", draw_streams),
    "thesis": ("thesis", draw_thesis),
    "real": ("real", draw_real),
    "growth": ("growth", draw_growth),
    "curves-dense": ("curves", lambda found: draw_curves(found, "dense")),
    "curves-sparse": ("curves", lambda found: draw_curves(found, "sparse")),
}
"""Picture: the results that it shows, and how."""


def main() -> None:
    """Draw all."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--output", type=Path, default=results.FOLDER)
    folder = ask.parse_args().output
    try:
        loaded = {name: results.load(folder, name) for name in {name for name, _ in DRAWINGS.values()} - {"real"}}
        loaded["real"] = load_verdicts(folder)
    except results.ResultError as error:
        raise SystemExit(f"charts: {error}") from error
    for picture, (name, draw) in DRAWINGS.items():
        figure = draw(loaded[name])
        for axis in figure.axes:
            axis.minorticks_off()  # half of a file, and nothing to read
        path = folder / f"{picture}.svg"
        figure.savefig(path, bbox_inches="tight", facecolor="white", metadata={"Date": None})
        plt.close(figure)
        if path.stat().st_size > LARGEST_FILE:
            raise SystemExit(f"charts: {path} has {path.stat().st_size} bytes, more than {LARGEST_FILE}: draw less")


if __name__ == "__main__":
    main()
