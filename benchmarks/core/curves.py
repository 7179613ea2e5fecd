"""How the error falls with iterations and with CPU time: all rules and the peers, one dense and one sparse problem.

    python -m benchmarks.core.curves [--output benchmarks/results/core]

Each contender runs from its own usual start, again and again with more iterations: a point is the error and the CPU
time, start included, of such a run (ours: least of three). Contenders are given the matrix in the form that they
take: sparse where they can, dense where they can't. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.sparse import csr_array

import lnmf_core
from benchmarks.core import peers, results

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LIMIT = 2.5
"""A contender that has used so many CPU seconds on a problem is not given more iterations."""
MOST = 400
"""Iterations."""
OURS: dict[str, Any] = {
    "learned (default)": None,
    "extrapolated HALS": lnmf_core.ExtrapolatedHals(),
    "HALS": lnmf_core.Hals(),
    "learned momentum": lnmf_core.LearnedMomentum(),
    "joint Gauss–Newton": lnmf_core.JointGaussNewton(),
    "projected gradient": lnmf_core.ProjectedGradient(),
    "multiplicative": lnmf_core.Multiplicative(),
}
PEERS = (
    "scikit-learn cd, nndsvda",
    "scikit-learn mu, nndsvda",
    "tensorly HALS (dense)",
    "torchnmf MU (dense)",
    "nmf-torch HALS (dense)",
)
"""Those of `peers` that are drawn."""
UNITS = {"nmf-torch HALS (dense)": 10}
"""Iterations that can only be had together."""
DENSE = {
    "scikit-learn cd, nndsvda": {"solver": "cd", "init": "nndsvda"},
    "scikit-learn mu, nndsvda": {"solver": "mu", "init": "nndsvda"},
}
"""Those of them that take either form of X; the others make theirs dense themselves."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Runs of one contender, shortest first."""

    contender: str
    ours: bool
    iterations: list[int]
    ms: list[float]
    errors: list[float]
    """Relative, ‖X − DC‖_F / ‖X‖_F."""


def problems() -> dict[str, tuple[Any, int]]:
    """Return X and k of each problem."""
    chance = np.random.default_rng(7)
    dense = chance.random((200, 8)) @ chance.random((8, 500)) + 0.01 * chance.standard_normal((200, 500))
    return {
        "dense": (np.maximum(dense, 0), 8),
        "sparse": (peers.planted_window(7, 5000, 2000, 10, 25_000), 10),
    }


DESCRIPTIONS = {
    "dense": "200 × 500, k = 8, uniform factors, noise σ = 0.01",
    "sparse": "log counts, 5000 × 2000, k = 10, 25 000 entries",
}


def error_of(X: Any, D: NDArray[Any], C: NDArray[Any]) -> float:
    """Return the relative error, infinite for factors that are not finite."""
    D, C = np.asarray(D, np.float64), np.asarray(C, np.float64)
    if isinstance(X, csr_array):
        found = peers.error(X, D, C) / float(np.linalg.norm(X.data))
    else:
        found = float(np.linalg.norm(X - D @ C) / np.linalg.norm(X))
    return found if np.isfinite(found) else float("inf")


def curve(name: str, run: Callable[[Any, int], tuple[Any, Any]], X: Any, *, ours: bool) -> Curve:
    """Run with 1, 2, 3, 4, 6, 8, 11, … iterations, or `UNITS` of them, until the time is up."""
    unit = UNITS.get(name, 1)
    run(X, unit)  # loads and compiles
    found = Curve(name, ours, [], [], [])
    used, steps = 0.0, unit
    while used < LIMIT and steps <= MOST:
        times = []
        for _ in range(3 if ours else 1):
            began = time.process_time()
            D, C = run(X, steps)
            times.append(time.process_time() - began)
        used += sum(times)
        found.iterations.append(steps)
        found.ms.append(1e3 * min(times))
        found.errors.append(error_of(X, D, C))
        steps = max(steps + unit, int(steps * 1.4) // unit * unit)
    return found


def _own(rule: Any, k: int) -> Callable[[Any, int], tuple[Any, Any]]:
    def run(X: Any, iterations: int) -> tuple[Any, Any]:
        factors = lnmf_core.factorize(X, k, rule=rule, stop=lnmf_core.Stop(iterations, 0.0)).factors
        return factors.D, factors.C

    return run


def _peer(contender: peers.Contender, k: int) -> Callable[[Any, int], tuple[Any, Any]]:
    def run(X: Any, iterations: int) -> tuple[Any, Any]:
        if contender.name in DENSE and isinstance(X, np.ndarray):
            return _dense_scikit_learn(X, k, iterations, **DENSE[contender.name])
        with contextlib.redirect_stdout(io.StringIO()):  # nmf-torch reports each tenth iteration
            D, C = contender.run(csr_array(X), k, iterations, 0)
        return D, C

    return run


def _dense_scikit_learn(X: NDArray[np.float64], k: int, iterations: int, **options: Any) -> tuple[Any, Any]:
    """Factorise as `peers` does, but without a sparse form of a dense matrix, which would slow it down."""
    from sklearn.decomposition import NMF

    model = NMF(k, max_iter=iterations, tol=0.0, random_state=0, **options)
    return model.fit_transform(X), model.components_


def curves(X: Any, k: int, description: str) -> list[Curve]:
    """Return the curves of all rules and of the peers that are installed."""
    runs: list[tuple[str, Callable[[Any, int], tuple[Any, Any]], bool]] = [
        (name, _own(rule, k), True) for name, rule in OURS.items()
    ]
    runs += [
        (each.name, _peer(each, k), False)
        for each in peers.CONTENDERS
        if each.name in PEERS and importlib.util.find_spec(each.package)
    ]
    bar = track(runs, description, console=Console(stderr=True))
    return [curve(name, run, X, ours=ours) for name, run, ours in bar]


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the pictures, with how far each contender came."""
    lines = ["# How the error falls", "", results.machine_line(found["machine"])]
    for problem, drawn in found["curves"].items():
        best = min(min(each["errors"]) for each in drawn)
        lines += [
            "",
            f"## {DESCRIPTIONS[problem]}",
            "",
            f"![Error against iterations and time](curves-{problem}.svg)",
        ]
        lines += ["", f"Gap to the best relative error, {best:.6f}, in CPU time from the start on:", ""]
        header = ("contender", *(f"{share:.1%} after, ms" for share in (0.01, 0.001)), "least gap")
        lines += results.table(header, [_cells(each, best) for each in drawn])
    return lines


def _cells(drawn: dict[str, Any], best: float) -> tuple[str, ...]:
    gaps = np.array(drawn["errors"]) / best - 1
    times = []
    for share in (0.01, 0.001):
        reached = np.array(drawn["ms"])[gaps <= share]
        times.append(f"{reached.min():.3g}" if len(reached) else "never")
    return (drawn["contender"], *times, f"{gaps.min():.2%}")


def main() -> None:
    """Run, and write curves.json and curves.md; `charts` draws."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--output", type=Path, default=results.FOLDER)
    given = ask.parse_args()
    results.require_one_thread()
    warnings.simplefilter("ignore")  # peers warn that they were stopped before they converged: that is the point
    drawn = {name: [asdict(each) for each in curves(X, k, name)] for name, (X, k) in problems().items()}
    packages = ("numpy", "scipy", "numba", "scikit-learn", "tensorly", "torch", "torchnmf", "nmf-torch")
    found = {"machine": results.machine(packages), "curves": drawn}
    results.save(given.output, "curves", found, markdown(found))


if __name__ == "__main__":
    main()
