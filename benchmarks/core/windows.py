"""The example capture's windows as the service factorises them, beside multiplicative updates.

    python -m benchmarks.core.windows [--output benchmarks/results/core]

Each window goes through `Factorizer`, warm from the one before where the rank allows, as `Components` has it,
and through multiplicative updates from the start that a cold look has, its zeros filled. Time is CPU time of one
thread, the median of some runs: of the whole window for the service, and for multiplicative updates until their
error is within 1 % of the service's, start included, or for all of their iterations if it never is. Patterns are
alike if the cosine of their services is above 0.9, each taken once.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

import lnmf_core
from benchmarks.core import results
from service.capture.file import CaptureFile
from service.patterns.factorize import Components, FactorizationSpec
from service.pipeline import PipelineSpec
from service.reading import Reading, read_windows
from service.windows.matrix import CountMatrix, count_matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "lab.pcap"
RUNS = 9
NEAR = 1.01
MOST = 2000
ALIKE = 0.9


def timed(work: Callable[[], Any]) -> float:
    """Return the median CPU time of some runs, ms."""
    taken = []
    for _ in range(RUNS):
        began = time.process_time()
        work()
        taken.append(1e3 * (time.process_time() - began))
    return statistics.median(taken)


def alike(ours: NDArray[np.floating[Any]], theirs: NDArray[np.floating[Any]]) -> int:
    """Return how many rows of one C have a row of the other of their own that they are alike with."""

    def units(C: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        return np.asarray(C / np.maximum(np.linalg.norm(C, axis=1, keepdims=True), 1e-300))

    cosines = units(ours) @ units(theirs).T
    rows, columns = linear_sum_assignment(-cosines)
    return int((cosines[rows, columns] > ALIKE).sum())


def measure(number: int, matrices: list[CountMatrix]) -> dict[str, Any]:
    """Return what the service and multiplicative updates make of window `number`."""
    matrix = matrices[number]
    spec = FactorizationSpec()
    rank = lnmf_core.choose_rank(matrix.values, cap=spec.cap, energy=spec.energy, seed=7)
    before = _after(matrices[:number])
    rows = lnmf_core.Rows(np.arange(matrix.values.shape[0]), matrix.values, matrix.services.astype(np.int64))
    warm = before is not None and before.rank - 1 <= rank <= before.rank
    state = before.state() if warm and before is not None else None

    def follow() -> tuple[lnmf_core.Factorizer, lnmf_core.Step]:
        anew = lnmf_core.StreamSpec(seed=7, cold_iterations=spec.iterations)
        factorizer = lnmf_core.Factorizer.restore(state) if state else lnmf_core.Factorizer(rank, anew)
        return factorizer, factorizer.window(rows)

    factorizer, step = follow()
    goal = NEAR * step.error

    def multiply(iterations: int) -> lnmf_core.Solution:
        return lnmf_core.factorize(
            matrix.values,
            factorizer.rank,
            rule=lnmf_core.Multiplicative(),
            start=lnmf_core.Nndsvd(seed=7, fill_zeros=True),
            stop=lnmf_core.Stop(iterations, 0.0),
        )

    slow = multiply(MOST)
    arrived = next((at for at, error in enumerate(slow.errors) if error <= goal), None)
    needed = max(arrived, 1) if arrived is not None else MOST
    return {
        "sources": matrix.values.shape[0],
        "services": matrix.values.shape[1],
        "rank": factorizer.rank,
        "warm": warm,
        "error": step.error,
        "milliseconds": timed(follow),
        "mu_error": slow.error,
        "mu_iterations": arrived,
        "mu_milliseconds": timed(lambda: multiply(needed)),
        "alike": alike(factorizer.factors().C, slow.factors.C),
    }


def _after(matrices: list[CountMatrix]) -> lnmf_core.Factorizer | None:
    """Return the factorizer that has followed these windows as the service does."""
    components = Components(FactorizationSpec())
    for matrix in matrices:
        components.find(matrix)
    return components.factorizer


def lines_of(about: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """Return the page."""
    header = (
        "sources × services",
        "rank",
        "start",
        "error",
        "ms",
        "multiplicative: error",
        "iterations",
        "ms",
        "×",
    )
    cells = []
    for row in rows:
        never = row["mu_iterations"] is None
        cells.append(
            (
                f"{row['sources']} × {row['services']}",
                str(row["rank"]),
                "warm" if row["warm"] else "cold",
                f"{row['error']:.4f}",
                f"{row['milliseconds']:.2f}",
                f"{row['mu_error']:.4f}",
                f"never in {MOST}" if never else str(row["mu_iterations"]),
                f"{row['mu_milliseconds']:.2f}",
                f"{'> ' if never else ''}{row['mu_milliseconds'] / row['milliseconds']:.1f}",
                f"{row['alike']} of {row['rank']}",
            )
        )
    table = results.table((*header, "patterns alike"), cells)
    return ["# The example capture, window by window", "", results.machine_line(about), "", *table]


def main() -> None:
    """Measure, and write windows.json and windows.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=results.FOLDER)
    parser.add_argument("--capture", type=Path, default=EXAMPLE)
    options = parser.parse_args()
    results.require_one_thread()
    windows = read_windows([CaptureFile(options.capture)], "example", PipelineSpec(), Reading())
    matrices = [matrix for matrix in map(count_matrix, windows) if matrix.values.nnz]
    rows = [measure(number, matrices) for number in range(len(matrices))]
    about = results.machine(("numpy", "scipy", "numba"))
    results.save(options.output, "windows", {**about, "rows": rows}, lines_of(about, rows))


if __name__ == "__main__":
    main()
