"""The pictures of docs/method.md.

    python -m benchmarks.core.pictures [--output docs/pictures]

Error against iterations and against time for every rule on one problem of the thesis (30 × 30, rank 3, σ = 0.01),
the path of two entries of D, and the simplex view: rows of X scaled to sum 1 lie in the triangle that the rows of C
span.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

import lnmf_core

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "yocho"  # the same file from the same data
from matplotlib import pyplot as plt  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITERATIONS = 200
RULES: dict[str, Any] = {
    "multiplicative": lnmf_core.Multiplicative(),
    "projected gradient": lnmf_core.ProjectedGradient(),
    "HALS": lnmf_core.Hals(),
    "extrapolated HALS": lnmf_core.ExtrapolatedHals(),
    "learned schedule": lnmf_core.LearnedMomentum(),
}


def problem(seed: int = 4, size: int = 30, rank: int = 3, noise: float = 0.01) -> NDArray[np.float64]:
    """Return X = [D*C* + e]₊, D*, C* ~ U(0, 1), e ~ N(0, σ²)."""
    chance = np.random.default_rng(seed)
    product = chance.random((size, rank)) @ chance.random((rank, size))
    return np.maximum(product + chance.normal(0.0, noise, (size, size)), 0.0)


def run(X: NDArray[np.float64], rule: Any, iterations: int) -> lnmf_core.Solution:
    """Run a rule from the same random start."""
    stop = lnmf_core.Stop(max_iterations=iterations, tolerance=0.0)
    return lnmf_core.factorize(X, 3, rule=rule, start=lnmf_core.RandomStart(2), stop=stop)


def seconds_for(X: NDArray[np.float64], rule: Any, iterations: int) -> float:
    """Return the median CPU time of a run of so many iterations, start included."""
    times = []
    for _ in range(15):
        began = time.process_time()
        run(X, rule, iterations)
        times.append(time.process_time() - began)
    return float(np.median(times))


def draw_errors(folder: Path) -> None:
    """Draw how far each rule is from the best error, against iterations and against time."""
    X = problem()
    found = {name: run(X, rule, ITERATIONS) for name, rule in RULES.items()}
    best = min(solution.error for solution in found.values()) * (1 - 1e-9)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    for name, solution in found.items():
        gap = np.maximum(np.array(solution.errors) / best - 1, 1e-9)
        left.semilogy(gap, label=name)
        each = seconds_for(X, RULES[name], len(gap) - 1) / max(len(gap) - 1, 1)
        right.loglog(1e6 * each * np.arange(1, len(gap)), gap[1:], label=name)
    left.set(xlabel="iterations", ylabel="error above the best", ylim=(1e-6, 3), xlim=(0, 100))
    right.set(xlabel="CPU time, µs")
    right.legend(frameon=False)
    figure.savefig(folder / "errors.svg", bbox_inches="tight")


def draw_path(folder: Path) -> None:
    """Draw the way of two entries of D."""
    X = problem()
    figure, axis = plt.subplots(figsize=(4.6, 3.6))
    for name, rule in RULES.items():
        steps = [run(X, rule, count).factors for count in (1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 50, 80, 120, 200)]
        # D·C is unchanged when a component is scaled: measure D in units in which the rows of C have length 1.
        way = np.array([(f.D * np.linalg.norm(f.C, axis=1))[0, :2] for f in steps])
        axis.plot(way[:, 0], way[:, 1], marker=".", label=name)
    axis.set(xlabel="D[0, 0]", ylabel="D[0, 1]")
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(folder / "path.svg", bbox_inches="tight")


def draw_simplex(folder: Path) -> None:
    """Draw rank-3 data of three dimensions as points in a triangle, and the basis that was found."""
    chance = np.random.default_rng(1)
    basis = np.array([[0.7, 0.2, 0.1], [0.15, 0.7, 0.15], [0.1, 0.25, 0.65]])
    weights = chance.dirichlet((0.6, 0.6, 0.6), 300)
    X = np.maximum(weights @ basis + chance.normal(0, 0.005, (300, 3)), 0)
    C = run(X, lnmf_core.Hals(), 2000).factors.C
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    figure, axis = plt.subplots(figsize=(4.6, 4))
    axis.fill(*corners.T, fill=False, color="0.6")
    axis.plot(
        *((X / X.sum(axis=1, keepdims=True)) @ corners).T, ".", color="#2a6f97", markersize=3, label="sources"
    )
    found = (C / C.sum(axis=1, keepdims=True)) @ corners
    axis.fill(*found.T, fill=False, color="#c1440e", label="patterns")
    for corner, name in zip(corners, ("service 1", "service 2", "service 3"), strict=True):
        axis.annotate(name, corner, ha="center")
    axis.set_axis_off()
    axis.legend(frameon=False)
    figure.savefig(folder / "simplex.svg", bbox_inches="tight")


def main() -> None:
    """Draw all pictures."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--output", type=Path, default=Path("docs/pictures"))
    folder = ask.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    draw_errors(folder)
    draw_path(folder)
    draw_simplex(folder)


if __name__ == "__main__":
    main()
