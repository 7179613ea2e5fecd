"""One cold traffic window, factorised by everything a user could pick instead.

    python -m benchmarks.core.peers [--seeds 9] [--packages lnmf_core sklearn]

Sparse planted windows (n × m counts of k campaigns, log1p), one thread, CPU time, start included. A run of a
contender is repeated from scratch with more and more iterations; its time to a tolerance is that of the quickest
run whose error ‖X − DC‖_F is within the tolerance of the best that any contender ever reached on that window.
Contenders take turns on each window; that quickest number of iterations is then timed again, in turns, and the
median counts. The ratio is that of scikit-learn's best setting on the same window, over the contender: its median
over windows, with a 95 % bootstrap interval. Peak memory is that of a process of its own, beyond what it held
before the run. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track
from scipy.sparse import csr_array, csr_matrix

import lnmf_core
from benchmarks.core import results
from benchmarks.core.memory import forget_peak, peak

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


TOLERANCES = (0.01, 0.001)
REPEATS = 5
"""Timings of each contender's quickest run."""
VERSIONS = ("numpy", "scipy", "numba", "scikit-learn", "tensorly", "torch", "torchnmf", "nmf-torch", "nimfa")
"""Packages whose versions are told."""
LIMIT = 0.4
"""A contender that has used so many CPU seconds on a window is not given more iterations."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to factorise: X, rank, iterations and seed in, D and C out."""

    name: str
    package: str
    run: Any


def planted_window(seed: int, sources: int, services: int, campaigns: int, entries: int) -> csr_array:
    """Return log1p counts: each source follows one or two campaigns of 3 to 30 services, and some noise."""
    chance = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, services + 1)
    popularity /= popularity.sum()
    members = [chance.choice(services, chance.integers(3, 31), replace=False) for _ in range(campaigns)]
    rows, columns = [], []
    for _ in range(int(0.8 * entries)):
        source = int(chance.integers(sources))
        followed = (source + int(chance.random() < 0.15)) % campaigns
        rows.append(source)
        columns.append(int(chance.choice(members[followed])))
    noise = entries - len(rows)
    rows += chance.integers(sources, size=noise).tolist()
    columns += chance.choice(services, size=noise, p=popularity).tolist()
    counts = csr_array((1.0 + chance.poisson(2.0, len(rows)), (rows, columns)), shape=(sources, services))
    counts.sum_duplicates()
    counts.data = np.log1p(counts.data)
    return counts


def error(X: csr_array, D: NDArray[np.float64], C: NDArray[np.float64]) -> float:
    """Return ‖X − DC‖_F without making it dense."""
    squared = float((X.data**2).sum()) - 2 * float((D * (X @ C.T)).sum()) + float(((D.T @ D) * (C @ C.T)).sum())
    return float(np.sqrt(max(squared, 0.0)))


def _ours(rule: Callable[[], Any], start: Callable[[int], Any]) -> Any:
    def run(X: csr_array, k: int, iterations: int, seed: int) -> Any:
        stop = lnmf_core.Stop(max_iterations=iterations, tolerance=0.0)
        factors = lnmf_core.factorize(X, k, rule=rule(), start=start(seed), stop=stop).factors
        return factors.D, factors.C

    return run


def _sklearn(**options: Any) -> Any:
    def run(X: csr_array, k: int, iterations: int, seed: int) -> Any:
        from sklearn.decomposition import NMF

        model = NMF(k, max_iter=iterations, tol=0.0, random_state=seed, **options)
        return model.fit_transform(csr_matrix(X)), model.components_

    return run


def _minibatch(X: csr_array, k: int, iterations: int, seed: int) -> Any:
    from sklearn.decomposition import MiniBatchNMF

    model = MiniBatchNMF(
        k, max_iter=iterations, tol=0.0, max_no_improvement=None, random_state=seed, init="nndsvda"
    )
    return model.fit_transform(csr_matrix(X)), model.components_


def _tensorly(X: csr_array, k: int, iterations: int, seed: int) -> Any:
    from tensorly.decomposition import non_negative_parafac_hals

    weights, (D, C) = non_negative_parafac_hals(X.toarray(), k, n_iter_max=iterations, tol=0.0, random_state=seed)
    return D * weights, C.T


def _torchnmf(X: csr_array, k: int, iterations: int, seed: int) -> Any:
    import torch
    from torchnmf.nmf import NMF

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    dense = torch.from_numpy(X.toarray())
    model = NMF(dense.shape, rank=k).double()
    model.fit(dense, beta=2, tol=0.0, max_iter=iterations)
    return model.H.detach().numpy(), model.W.detach().numpy().T


def _nmf_torch(X: csr_array, k: int, iterations: int, seed: int) -> Any:
    from nmf import run_nmf

    D, C, _ = run_nmf(
        X.toarray(), k, algo="halsvar", mode="batch", n_jobs=1, random_state=seed, fp_precision="double",
        batch_max_iter=-(-iterations // 10) * 10,  # it fails below ten, where it first looks at its error
        tol=0.0,
    )  # fmt: skip
    return np.asarray(D, dtype=np.float64), np.asarray(C, dtype=np.float64)


def _nimfa(X: csr_array, k: int, iterations: int, seed: int) -> Any:
    import nimfa

    np.random.seed(seed)  # nimfa knows no other
    fit = nimfa.Nmf(
        csr_matrix(X), rank=k, max_iter=iterations, seed="random_vcol", update="euclidean", objective="fro"
    )()
    return np.asarray(fit.basis().todense()), np.asarray(fit.coef().todense())


CONTENDERS = (
    Contender("Yocho default", "lnmf_core", _ours(lambda: None, lnmf_core.Nndsvd)),
    Contender("Yocho HALS, NNDSVD", "lnmf_core", _ours(lnmf_core.Hals, lnmf_core.Nndsvd)),
    Contender("Yocho HALS, 2 sweeps, NNDSVD", "lnmf_core", _ours(lambda: lnmf_core.Hals(2), lnmf_core.Nndsvd)),
    Contender(
        "Yocho extrapolated HALS, 2 sweeps, NNDSVD",
        "lnmf_core",
        _ours(lambda: lnmf_core.ExtrapolatedHals(2), lnmf_core.Nndsvd),
    ),
    Contender("Yocho HALS, random", "lnmf_core", _ours(lnmf_core.Hals, lnmf_core.RandomStart)),
    Contender(
        "Yocho multiplicative, random",
        "lnmf_core",
        _ours(lnmf_core.Multiplicative, lnmf_core.RandomStart),
    ),
    Contender("scikit-learn cd, nndsvda", "sklearn", _sklearn(solver="cd", init="nndsvda")),
    Contender("scikit-learn cd, nndsvd", "sklearn", _sklearn(solver="cd", init="nndsvd")),
    Contender("scikit-learn cd, random", "sklearn", _sklearn(solver="cd", init="random")),
    Contender("scikit-learn mu, nndsvda", "sklearn", _sklearn(solver="mu", init="nndsvda")),
    Contender("scikit-learn MiniBatchNMF", "sklearn", _minibatch),
    Contender("tensorly HALS (dense)", "tensorly", _tensorly),
    Contender("torchnmf MU (dense)", "torchnmf", _torchnmf),
    Contender("nmf-torch HALS (dense)", "nmf", _nmf_torch),
    Contender("nimfa euclidean", "nimfa", _nimfa),
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run."""

    iterations: int
    seconds: float
    error: float


def attempts(contender: Contender, X: csr_array, k: int, seed: int) -> list[Attempt]:
    """Run a contender with 1, 2, 3, 4, 5, 7, … iterations, until its time is up."""
    found: list[Attempt] = []
    used, steps = 0.0, 1
    while used < LIMIT and steps <= 1024:
        attempt = attempted(contender, X, k, steps, seed)
        used += attempt.seconds
        found.append(attempt)
        steps = max(steps + 1, int(steps * 1.4))
    return found


def attempted(contender: Contender, X: csr_array, k: int, iterations: int, seed: int) -> Attempt:
    """Run a contender once."""
    began = time.process_time()
    D, C = contender.run(X, k, iterations, seed)
    seconds = time.process_time() - began
    reached = error(X, np.asarray(D, dtype=np.float64), np.asarray(C, dtype=np.float64))
    return Attempt(iterations, seconds, reached if np.isfinite(reached) else np.inf)


def arrivals(
    present: list[Contender], X: csr_array, k: int, seed: int
) -> dict[str, dict[float, tuple[float, float]]]:
    """Return (seconds, iterations) of each contender to each tolerance on one window, infinite if it never came."""
    runs = {c.name: attempts(c, X, k, seed) for c in present}
    best = min(attempt.error for found in runs.values() for attempt in found)
    needed: dict[str, dict[float, int]] = {}
    for name, found in runs.items():
        good = {t: [a for a in found if a.error <= (1 + t) * best] for t in TOLERANCES}
        needed[name] = {t: min(g, key=lambda a: a.seconds).iterations for t, g in good.items() if g}
    times: dict[tuple[str, float], list[float]] = {}
    chance = np.random.default_rng(seed)
    for _ in range(REPEATS):
        # Always in one order, each would find the caches as one other leaves them.
        for number in chance.permutation(len(present)):
            contender = present[number]
            for t, iterations in needed[contender.name].items():
                # What takes seconds is known well enough.
                known = [a.seconds for a in runs[contender.name] if a.iterations == iterations]
                slow = known[0] > LIMIT / 4
                seconds = known[0] if slow else attempted(contender, X, k, iterations, seed).seconds
                times.setdefault((contender.name, t), []).append(seconds)
    return {
        c.name: {
            t: (float(np.median(times.get((c.name, t), [np.inf]))), float(needed[c.name].get(t, np.inf)))
            for t in TOLERANCES
        }
        for c in present
    }


def interval(ratios: NDArray[np.float64]) -> list[float]:
    """Return the median, and its 95 % interval by bootstrap over windows."""
    chosen = np.random.default_rng(0).integers(len(ratios), size=(10_000, len(ratios)))
    low, high = np.quantile(np.median(ratios[chosen], axis=1), [0.025, 0.975], method="nearest")
    return [float(np.median(ratios)), float(low), float(high)]


def peak_memory(contender: Contender, size: tuple[int, int, int, int]) -> float:
    """Return by how many MiB a run of ten iterations raises the peak of a fresh process, its imports done."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_raised_peak, (contender.name, size)))


def _raised_peak(name: str, size: tuple[int, int, int, int]) -> float:
    warnings.simplefilter("ignore")
    contender = next(c for c in CONTENDERS if c.name == name)
    contender.run(planted_window(0, 100, 50, 3, 500), 3, 2, 0)
    X = planted_window(0, size[0], size[1], size[2], size[3])
    forget_peak()
    before = peak()
    contender.run(X, size[2], 10, 0)
    return (peak() - before) / 2**20


def measure(size: tuple[int, int, int, int], seeds: int, packages: set[str]) -> list[dict[str, Any]]:
    """Return a row for each contender: CPU time and iterations to each tolerance, the ratio, and peak memory."""
    present = [c for c in CONTENDERS if c.package in packages and importlib.util.find_spec(c.package) is not None]
    sources, services, k, entries = size
    for contender in present:  # the first call loads and compiles
        contender.run(planted_window(0, 100, 50, 3, 500), 3, 2, 0)
    windows = [
        arrivals(present, planted_window(seed, sources, services, k, entries), k, seed)
        for seed in track(range(seeds), description=f"{sources} × {services}")
    ]
    peers = [c.name for c in present if c.package == "sklearn"]
    rows = []
    for contender in present:
        row: dict[str, Any] = {"contender": contender.name, "peak_MiB": peak_memory(contender, size)}
        for t in TOLERANCES:
            seconds, iterations = (np.array([window[contender.name][t][at] for window in windows]) for at in (0, 1))
            row[f"{t:.1%}"] = {
                "median_ms": float(np.median(seconds)) * 1e3,
                "low_ms": float(np.quantile(seconds, 0.25, method="lower")) * 1e3,
                "high_ms": float(np.quantile(seconds, 0.75, method="higher")) * 1e3,
                "iterations": float(np.median(iterations)),
                "reached": int(np.isfinite(seconds).sum()),
            }
            if peers and np.isfinite(seconds).all():
                # The setting that is best over all windows, not another one for each.
                of_peers = [np.array([window[peer][t][0] for window in windows]) for peer in peers]
                best = min(of_peers, key=np.median)
                row[f"{t:.1%}"]["ratio"] = interval(best / seconds)
        rows.append(row)
    return rows


def markdown(rows: list[dict[str, Any]], seeds: int, size: tuple[int, int, int, int], about: dict[str, Any]) -> str:
    """Return the rows as a table, below what `results.machine` has told of the machine."""
    sources, services, k, entries = size
    lines = [
        f"# A cold window of {sources} × {services}, k = {k}, {entries} entries",
        "",
        results.machine_line(about),
        "",
        f"{seeds} windows; one thread; CPU ms, start and checks included: median (quartiles), iterations, windows "
        "on which it got there; then how many times as fast as scikit-learn's best setting (95 % interval of the "
        "median over windows). Memory: MiB by which ten iterations raise the peak of a process.",
        "",
        "| contender | " + " | ".join(f"to {t:.1%} of the best | ratio" for t in TOLERANCES) + " | memory |",
        "|---|" + "---|---|" * len(TOLERANCES) + "---|",
    ]
    for row in rows:
        cells = []
        for tolerance in TOLERANCES:
            cell = row[f"{tolerance:.1%}"]
            cells.append(
                f"{cell['median_ms']:.1f} ({cell['low_ms']:.1f}–{cell['high_ms']:.1f}), "
                f"{cell['iterations']:.0f} it., {cell['reached']}/{seeds}"
                if np.isfinite(cell["median_ms"])
                else f"never, {cell['reached']}/{seeds}"
            )
            cells.append("{:.2f} ({:.2f}–{:.2f})".format(*cell["ratio"]) if "ratio" in cell else "–")
        lines.append(f"| {row['contender']} | " + " | ".join(cells) + f" | {row['peak_MiB']:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the comparison and write its results."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--seeds", type=int, default=9)
    ask.add_argument("--output", type=Path, default=Path("benchmarks/results/core"))
    every = sorted({contender.package for contender in CONTENDERS})
    ask.add_argument("--packages", nargs="+", default=every, choices=every)
    given = ask.parse_args()
    results.require_one_thread()
    size = (5000, 2000, 10, 25_000)
    warnings.simplefilter("ignore")  # peers warn that they were stopped before they converged: that is the point
    rows = measure(size, given.seeds, set(given.packages))
    given.output.mkdir(parents=True, exist_ok=True)
    about = results.machine(VERSIONS)
    result = {"size": size, "seeds": given.seeds, "machine": about, "rows": rows}
    (given.output / "peers.json").write_text(json.dumps(result, indent=1).replace("Infinity", "null") + "\n")
    (given.output / "peers.md").write_text(markdown(rows, given.seeds, size, about))


if __name__ == "__main__":
    main()
