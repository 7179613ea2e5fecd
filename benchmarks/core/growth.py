"""Growth from 1000 to 100 000 sources: time and memory, and the power of the size that they grow with.

    python -m benchmarks.core.growth [--sources 1000 … 100000] [--output benchmarks/results/core]

Windows of `streams`, services and entries in proportion to the sources, k = 10. Each measurement runs in a process
of its own. *Cold*: the default until its error is within 1 % of the best of three converged runs, start included;
beside it scikit-learn's coordinate descent. *Warm*: `lnmf_core.Factorizer`, the median of three further windows of
the stream. *Iteration*: what one more of the default's costs. *Memory*: the peak of the resident set above what it
was when the window was loaded and everything compiled. CPU time of one thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import subprocess
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.sparse import csr_array, load_npz, save_npz
from scipy.stats import linregress, t

import lnmf_core
from benchmarks.core import peers, results, streams
from benchmarks.core.memory import forget_peak, peak

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOURCES = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
RANK = streams.RANK
WINDOWS = 4
"""The first is cold; before a fifth the stream would look cold again."""
TOLERANCE = 0.01
ITERATIONS = 100
PEER_ITERATIONS = 200
MEMORY_ITERATIONS = 10
LARGE = 10_000
"""From so many sources on, fixed costs no longer hide how the time grows."""
LEAST_MB = 1.0
"""Less may come from memory that the process had to spare: it tells nothing of growth."""
STEEPEST = 1.05
"""The largest exponent that counts as linear: 12 times the time for 10.7 times the size."""
PEER = "scikit-learn cd, nndsvda"
FITTED = {
    "cold ms": "cold window",
    "warm ms": "warm window",
    "iteration ms": "one iteration",
    "peer ms": "scikit-learn cd, cold",
    "cold MB": "memory, cold",
    "warm MB": "memory, warm",
    "peer MB": "memory, scikit-learn cd",
}
"""What is measured of each size, and what it is called."""


def shape_of(sources: int) -> streams.Shape:
    """Return a window's size in the proportions of `streams.SMALL`."""
    share = sources / streams.SMALL.sources
    return streams.Shape(sources, round(share * streams.SMALL.services), round(share * streams.SMALL.entries))


def load_windows(folder: Path) -> list[csr_array]:
    """Return the windows that were saved in a folder, in order."""
    return [csr_array(load_npz(path)) for path in sorted(folder.glob("*.npz"))]


def cold(X: csr_array, iterations: int) -> lnmf_core.Solution:
    """Run the default; only the budget, or rounding, ends it."""
    return lnmf_core.factorize(X, RANK, stop=lnmf_core.Stop(iterations, 0.0))


def peer(X: csr_array, iterations: int) -> Any:
    """Run scikit-learn; returns D and C."""
    contender = next(each for each in peers.CONTENDERS if each.name == PEER)
    return contender.run(X, RANK, iterations, 0)


def follow(windows: Sequence[csr_array]) -> list[float]:
    """Return the time of each window of a stream, ms; all but the first are warm."""
    stream = lnmf_core.Factorizer(RANK)
    times = []
    for X in windows:
        times.append(streams.timed(stream.window, streams.rows_of(X))[1])
        stream._due = math.inf  # noqa: SLF001  (a cold look, which is due now and then, is measured by itself)
    return times


def compile_everything() -> None:
    """Run all that is measured on a small stream."""
    small = list(streams.windows(shape_of(1000), 99, WINDOWS))
    cold(small[0], 3)
    follow(small)
    if importlib.util.find_spec("sklearn"):
        peer(small[0], 2)


def measure_time(windows: Sequence[csr_array]) -> dict[str, Any]:
    """Return the size of the first window, and times in ms."""
    X = windows[0]
    starts = [lnmf_core.Nndsvd(seed) for seed in range(3)]
    stop = lnmf_core.Stop(300, 1e-5)
    best = min(lnmf_core.factorize(X, RANK, start=start, stop=stop).error for start in starts)
    errors = np.array(cold(X, ITERATIONS).errors)
    goal = (1 + TOLERANCE) * min(best, errors[-1])
    needed = max(1, int(np.argmax(errors <= goal)))
    few, many = least_ms(lambda: cold(X, needed)), least_ms(lambda: cold(X, needed + 10))
    found: dict[str, Any] = {
        "sources": X.shape[0],
        "services": X.shape[1],
        "entries": X.nnz,
        "cold iterations": needed,
        "cold ms": few,
        "iteration ms": (many - few) / 10,
        "warm ms": float(np.median([follow(windows)[1:] for _ in range(3)])),
    }
    return found | (peer_time(X, goal) if importlib.util.find_spec("sklearn") else {})


def peer_time(X: csr_array, goal: float) -> dict[str, Any]:
    """Return the iterations and the time, ms, that scikit-learn needs to a relative error, or nothing."""
    norm, iterations = float(np.linalg.norm(X.data)), 1
    while iterations <= PEER_ITERATIONS:
        (D, C), ms = streams.timed(peer, X, iterations)
        if peers.error(X, D, C) <= goal * norm:
            again = least_ms(partial(peer, X, iterations), repeats=1)
            return {"peer iterations": iterations, "peer ms": min(ms, again)}
        iterations = max(iterations + 1, int(iterations * 1.4))
    return {}


def least_ms(work: Callable[[], Any], repeats: int = 5) -> float:
    """Return the least CPU time, ms."""
    return min(streams.timed(work)[1] for _ in range(repeats))


def memory_of(kind: str, windows: Sequence[csr_array]) -> dict[str, Any]:
    """Return the peak of one kind of run above the loaded windows, MB."""
    work: dict[str, Callable[[], Any]] = {
        "cold": lambda: cold(windows[0], MEMORY_ITERATIONS),
        "warm": lambda: follow(windows[:2]),
        "peer": lambda: peer(windows[0], MEMORY_ITERATIONS),
    }
    forget_peak()
    before = peak()
    work[kind]()
    return {f"{kind} MB": (peak() - before) / 1e6}


def in_its_own_process(task: str, folder: Path) -> dict[str, Any]:
    """Run a task of this module on the windows of a folder."""
    command = [sys.executable, "-m", "benchmarks.core.growth", "--task", task, "--windows", str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def answer_task(task: str, folder: Path) -> None:
    """Do a task, and write what was found to standard output."""
    windows = load_windows(folder)
    compile_everything()
    found = measure_time(windows) if task == "time" else memory_of(task, windows)
    sys.stdout.write(json.dumps(found))


def measure(sources: int, seed: int) -> dict[str, Any]:
    """Return all that is measured of one size."""
    kinds = ["cold", "warm", *(["peer"] if importlib.util.find_spec("sklearn") else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, X in enumerate(streams.windows(shape_of(sources), seed, WINDOWS)):
            save_npz(folder / f"{number}.npz", X, compressed=False)
        found = in_its_own_process("time", folder)
        for kind in kinds:
            found |= in_its_own_process(kind, folder)
    return found


def least_fitted(key: str) -> float:
    """Return what a measure has to exceed in order to tell something of its growth."""
    return LEAST_MB if key.endswith("MB") else 0.0


def exponents(sizes: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the power of nnz + n + m that each measure grows with, and its 95 % interval.

    Least squares on the logarithms; measures with fewer than three values are left out.
    """
    fitted = {}
    for key in FITTED:
        known = [size for size in sizes if size.get(key, 0.0) > least_fitted(key)]
        if len(known) > 2:
            lengths = [size["sources"] + size["services"] + size["entries"] for size in known]
            line = linregress(np.log(lengths), np.log([size[key] for size in known]))
            wide = float(t.ppf(0.975, len(known) - 2) * line.stderr)
            slope = float(line.slope)
            fitted[key] = {"exponent": slope, "low": slope - wide, "high": slope + wide}
    return fitted


def medians(sizes: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Return the median of each measure over the streams of each size, in the order of the sizes."""
    found = []
    for sources in sorted({size["sources"] for size in sizes}):
        same = [size for size in sizes if size["sources"] == sources]
        keys = dict.fromkeys(key for size in same for key in size)
        found.append({key: float(np.median([size[key] for size in same if key in size])) for key in keys})
    return found


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the sizes and the exponents as tables."""
    names = ["sources", "services", "entries", "cold iterations", *FITTED]
    rows = [[_cell(size.get(name)) for name in names] for size in medians(found["sizes"])]
    lines = ["# Growth", "", results.machine_line(found["machine"]), ""]
    lines += [
        f"Windows of `streams.py`, k = {RANK}, {found['seeds']} streams of each size: medians. Cold: the default's",
        "time to 1 % of the best error, start included; peer: scikit-learn's coordinate descent from nndsvda, to",
        "the same error. Warm: one more window of the stream. MB: peak above the loaded windows.",
        "[How it is measured](../../core/growth.py).",
        "",
        *results.table(names, rows),
        "",
        "Exponent of growth with nnz + n + m (95 % interval); 1 is linear:",
        "",
    ]
    lines += results.table(
        ("", "all sizes", f"from {LARGE} sources"),
        [
            (name, _power(found["exponents"].get(key)), _power(found["exponents of the large"].get(key)))
            for key, name in FITTED.items()
        ],
    )
    return [*lines, "", "![Time and memory against size](growth.svg)"]


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _power(fit: dict[str, float] | None) -> str:
    return "–" if fit is None else f"{fit['exponent']:.2f} ({fit['low']:.2f}–{fit['high']:.2f})"


def main() -> None:
    """Measure all sizes, and write growth.json and growth.md."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--sources", type=int, nargs="+", default=SOURCES)
    ask.add_argument("--seeds", type=int, default=2, help="streams of each size")
    ask.add_argument("--output", type=Path, default=results.FOLDER)
    ask.add_argument("--task", help=argparse.SUPPRESS)
    ask.add_argument("--windows", type=Path, help=argparse.SUPPRESS)
    given = ask.parse_args()
    results.require_one_thread()
    warnings.simplefilter("ignore")  # scikit-learn warns that it was stopped before it converged: so it was
    if given.task:
        answer_task(given.task, given.windows)
        return
    runs = [(sources, seed) for seed in range(given.seeds) for sources in given.sources]
    sizes = [measure(sources, seed) for sources, seed in track(runs, "sizes", console=Console(stderr=True))]
    found = {
        "machine": results.machine(("numpy", "scipy", "numba", "scikit-learn")),
        "seeds": given.seeds,
        "sizes": sizes,
        "exponents": exponents(sizes),
        "exponents of the large": exponents([size for size in sizes if size["sources"] >= LARGE]),
    }
    results.save(given.output, "growth", found, markdown(found))


if __name__ == "__main__":
    main()
