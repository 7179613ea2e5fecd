"""Streams of traffic windows: what following them costs, and how far from the best it stays.

    python -m benchmarks.core.streams [--seeds 3] [--output benchmarks/results/core]

Windows of new sources follow 10 patterns that drift; halfway 2 of the 10 are replaced. The stream is followed by
`lnmf_core.Factorizer`; each window's error ‖X − DC‖_F is compared with the best of 10 well converged cold runs (3
from NNDSVD, 7 random). scikit-learn, where installed, solves some of the windows cold: its time is that of the
quickest of its settings that comes within 1 or 0.1 % of the best, start included. One thread, CPU time, in turn.

A window is timed as it comes, once: caches hold what the cold runs before it have left there. The contenders take
turns at being first. scikit-learn's time is the quickest of many runs over one window. So each window is also timed
again, the quickest of `AGAIN` runs, each from the state before it. A few windows of `default` look cold: its median
is of all windows, and of those that do not look besides.

Where 1 % of the rows change at a time, updates and full passes are timed as they come, after other work, and in a
row, with nothing else between one and the next.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import get_console
from rich.progress import track
from scipy.sparse import coo_array, csr_array, csr_matrix

from benchmarks.core import results
from benchmarks.core.memory import raised_peak
from benchmarks.core.streams_report import AGAIN, FRESH, SHIFT, TOLERANCES, report, summary, targets
from lnmf_core import Factorizer, Nndsvd, RandomStart, Rows, Step, Stop, StreamSpec, factorize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RANK = 10
WINDOWS = 24
NEVER = 10**6
DUE = 5
"""Where a stream's state has the windows that are left until the next look, among its measures."""
CONVERGED = Stop(300, 1e-6)


@dataclass(frozen=True, slots=True)
class Shape:
    """A stream's size. Entries of a window that fall together are one."""

    sources: int
    services: int
    entries: int


SMALL = Shape(5000, 2000, 26_000)
LARGE = Shape(50_000, 20_000, 278_000)


def windows(shape: Shape, seed: int, count: int) -> Iterator[csr_array]:
    """Yield log1p counts of the kind that `peers.py` factorises, from patterns of 3 to 30 services that drift."""
    chance = np.random.default_rng(seed)
    patterns = _patterns(chance, RANK, shape.services)
    for window in range(count):
        patterns *= np.exp(0.03 * chance.standard_normal(patterns.shape))
        if window == SHIFT:
            patterns[:2] = _patterns(chance, 2, shape.services)
        patterns /= patterns.sum(axis=1, keepdims=True)
        yield _window(chance, shape, patterns)


def _patterns(chance: np.random.Generator, count: int, services: int) -> Floats:
    patterns = np.zeros((count, services))
    for pattern in patterns:
        width = int(chance.integers(3, 31))
        pattern[chance.choice(services, width, replace=False)] = 1 / width
    return patterns


def _window(chance: np.random.Generator, shape: Shape, patterns: Floats) -> csr_array:
    """Return a window: 0.85 of a source's entries follow its pattern, the rest the next; a fifth is noise."""
    popularity = 1 / np.arange(1, shape.services + 1)
    source = chance.integers(shape.sources, size=shape.entries)
    followed = (source + (chance.random(shape.entries) < 0.15)) % RANK
    service = np.empty(shape.entries, np.int64)
    for number, weights in enumerate(patterns):
        mine = followed == number
        service[mine] = chance.choice(shape.services, int(mine.sum()), p=weights)
    noise = chance.random(shape.entries) < 0.2
    service[noise] = chance.choice(shape.services, int(noise.sum()), p=popularity / popularity.sum())
    values = 1.0 + chance.poisson(2.0, shape.entries)
    counts = coo_array((values, (source, service)), shape=(shape.sources, shape.services)).tocsr()
    counts.data = np.log1p(counts.data)
    return csr_array(counts)


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Return the result and the CPU time, ms."""
    began = time.process_time_ns()
    result = work(*arguments)
    return result, (time.process_time_ns() - began) / 1e6


def best_error(X: csr_array, restarts: int) -> float:
    """Return the least relative error of so many cold runs."""
    starts = [Nndsvd(seed) if seed < 3 else RandomStart(seed) for seed in range(restarts)]
    return min(factorize(X, RANK, start=start, stop=CONVERGED).error for start in starts)


def rows_of(X: csr_array, keys: Any = None) -> Rows:
    """Return X with its row numbers, or `keys`, as keys."""
    return Rows(np.arange(X.shape[0]) if keys is None else keys, X, services(X.shape[1]))


@cache
def services(count: int) -> NDArray[np.int64]:
    """Return the keys of the columns: made once, as they stay the same."""
    return np.arange(count)


def _window_of(stream: Factorizer, X: csr_array) -> Step:
    return stream.window(rows_of(X))


def _without_looks(stream: Factorizer) -> Factorizer:
    """Return the same stream as if its first look, which is always made, had found nothing better."""
    state = stream.state()
    # A look that found something better is followed by another in the next window.
    state["measures"][DUE] = np.inf
    return Factorizer.restore(state)


def _update_of(stream: Factorizer, X: csr_array, keys: NDArray[np.int64]) -> Step:
    return stream.update(rows_of(X, keys))


CONTENDERS = {
    "default": StreamSpec(),
    "warm only, 1 pass": StreamSpec(passes=1, alarm=1e9, unrest=1e9, cold_every=NEVER),
    "warm only, 3 passes": StreamSpec(passes=3, tolerance=0.0, alarm=1e9, unrest=1e9, cold_every=NEVER),
}


def follow(shape: Shape, seed: int, count: int, restarts: int, peers: int) -> list[dict[str, Any]]:
    """Return a record of each window: per contender time and gap, and scikit-learn's time on the first `peers`."""
    streams = {name: Factorizer(RANK, spec) for name, spec in CONTENDERS.items()}
    records = []
    for window, X in enumerate(windows(shape, seed, count)):
        best = best_error(X, restarts)
        record: dict[str, Any] = {"seed": seed, "window": window, "nnz": X.nnz, "best": best}
        for name in in_turn(list(CONTENDERS), window):
            stream, spec = streams[name], CONTENDERS[name]
            if window == 1 and spec.cold_every == NEVER:
                streams[name] = stream = _without_looks(stream)
            before = stream.state()
            looks = int(before["counters"][1])
            step, ms = timed(_window_of, stream, X)
            again = min(timed(_window_of, Factorizer.restore(before), X)[1] for _ in range(AGAIN))
            looked = int(stream.state()["counters"][1]) > looks
            gap = step.error / best - 1
            record[name] = {"ms": ms, "again ms": again, "gap": gap, "cold": step.cold, "looked": looked}
        if 0 < window <= peers and importlib.util.find_spec("sklearn"):
            record["scikit-learn"] = scikit_learn(X, best)
        records.append(record)
    return records


def in_turn(names: list[str], window: int) -> list[str]:
    """Return the names, another one first in each window: the first finds caches as other work has left them."""
    first = window % len(names)
    return names[first:] + names[:first]


def scikit_learn(X: csr_array, best: float) -> list[dict[str, Any]]:
    """Return setting, iterations and time of the quickest run within each tolerance; coordinate descent."""
    from sklearn.decomposition import NMF

    data, norm = csr_matrix(X), float(np.linalg.norm(X.data))
    quickest: list[dict[str, Any]] = [{"ms": float("inf")} for _ in TOLERANCES]
    for init in ("nndsvd", "nndsvda", "random"):
        for iterations in (1, 2, 3, 4, 6, 8, 12, 20, 40):
            model = NMF(RANK, init=init, solver="cd", tol=0.0, max_iter=iterations, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                D, ms = timed(model.fit_transform, data)
            C = model.components_
            squared = norm**2 - 2 * float((D * (data @ C.T)).sum()) + float(((D.T @ D) * (C @ C.T)).sum())
            for at, tolerance in enumerate(TOLERANCES):
                if squared**0.5 / norm <= (1 + tolerance) * best and ms < quickest[at]["ms"]:
                    quickest[at] = {"ms": ms, "init": init, "iterations": iterations}
    return quickest


def partial(shape: Shape, seed: int, updates: int) -> dict[str, Any]:
    """Return times and errors where 1 % of the rows change at a time, beside full passes over the same rows."""
    X, changes = _changes(shape, seed, updates)
    update, full = _one_pass(X), _one_pass(X)
    ages: list[dict[str, float]] = []
    for keys, changed in changes:
        X = _replaced(X, keys, changed)
        step, ms = timed(_update_of, update, changed, keys)
        whole, whole_ms = timed(_window_of, full, X)
        same = Factorizer.restore(update.state()).window(rows_of(X))
        gaps = {"gap": step.error / same.error - 1, "gap to full passes": step.error / whole.error - 1}
        ages.append({"ms": ms, "full ms": whole_ms, **gaps})
    return shares([age["ms"] for age in ages], [age["full ms"] for age in ages]) | {
        "largest gap": max(age["gap"] for age in ages),
        "largest gap to full passes": max(age["gap to full passes"] for age in ages),
    }


def shares(ms: list[float], full_ms: list[float]) -> dict[str, Any]:
    """Return the medians of updates and of full passes, and what share one is of the other."""
    return {
        "share of time": results.ratio_of_medians(ms, full_ms),
        "share of mean time": float(np.mean(ms) / np.mean(full_ms)),
        "ms": float(np.median(ms)),
        "full ms": float(np.median(full_ms)),
    }


def in_a_row(shape: Shape, seed: int, updates: int) -> dict[str, Any]:
    """Return times of updates, 1 % of the rows each, and of full passes, each kind one after the other."""
    X, changes = _changes(shape, seed, updates)
    update, full = _one_pass(X), _one_pass(X)
    update_ms = [timed(_update_of, update, changed, keys)[1] for keys, changed in changes]
    full_ms = [timed(_window_of, full, X)[1] for _ in range(updates)]
    return shares(update_ms, full_ms)


def _changes(shape: Shape, seed: int, updates: int) -> tuple[csr_array, list[tuple[NDArray[np.int64], csr_array]]]:
    """Return a window, and rows of the next one with the keys of those that they replace."""
    source = windows(shape, seed, 2)
    X, new = next(source), next(source)
    chance = np.random.default_rng(seed)
    changes = []
    for _ in range(updates):
        keys = np.sort(chance.choice(shape.sources, shape.sources // 100, replace=False))
        changes.append((keys, csr_array(new[chance.choice(shape.sources, len(keys), replace=False)])))
    return X, changes


def _one_pass(X: csr_array) -> Factorizer:
    """Return a stream that has seen this window, and will not look."""
    stream = Factorizer(RANK, StreamSpec(passes=1, alarm=1e9, unrest=1e9, cold_every=NEVER))
    stream.window(rows_of(X))
    return _without_looks(stream)


def _replaced(X: csr_array, keys: NDArray[np.int64], rows: csr_array) -> csr_array:
    stays = np.ones(X.shape[0])
    stays[keys] = 0.0
    kept = csr_array(X.multiply(stays[:, np.newaxis]))
    kept.eliminate_zeros()
    entries = rows.tocoo()
    return csr_array(kept + csr_array((entries.data, (keys[entries.row], entries.col)), shape=X.shape))


def measure(seeds: int) -> dict[str, Any]:
    """Run everything."""
    follow(SMALL, 99, 3, 1, 1)  # compiles
    partial(SMALL, 99, 2)
    small = [record for seed in track(range(seeds)) for record in follow(SMALL, seed, WINDOWS, 10, 3)]
    fresh = [record for seed in track(range(seeds)) for record in follow(SMALL, FRESH + seed, WINDOWS, 10, 0)]
    large = follow(LARGE, 0, SHIFT + 3, 2, 0)
    peers = [[run["ms"] for run in record["scikit-learn"]] for record in small if "scikit-learn" in record]
    found: dict[str, Any] = {
        "machine": results.machine(("numpy", "scipy", "numba", "scikit-learn")),
        "sizes": {"small": asdict(SMALL), "large": asdict(LARGE)},
        "rank": RANK,
        "small nnz": float(np.mean([record["nnz"] for record in small])),
        "large nnz": float(np.mean([record["nnz"] for record in large])),
        "scikit-learn ms": np.median(peers, axis=0).tolist() if peers else None,
        "scikit-learn": [record["scikit-learn"] for record in small if "scikit-learn" in record],
        "small": {name: summary(small, name) for name in CONTENDERS},
        "fresh": {name: summary(fresh, name) for name in CONTENDERS},
        "large": {name: summary(large, name) for name in CONTENDERS},
        "small partial": partial(SMALL, 0, 200),
        "large partial": partial(LARGE, 0, 40),
        "small partial in a row": in_a_row(SMALL, 0, 200),
        "large partial in a row": in_a_row(LARGE, 0, 40),
        "gaps of updates to full passes": {
            str(seed): partial(SMALL, seed, 200)["largest gap to full passes"]
            for seed in (*range(1, seeds), *range(FRESH, FRESH + seeds))
        },
        "peak MiB": {
            size: {name: memory_of(shape, spec) for name, spec in CONTENDERS.items()}
            for size, shape in (("small", SMALL), ("large", LARGE))
        },
        "specs": {name: asdict(spec) for name, spec in CONTENDERS.items()},
        "windows": small,
        "fresh windows": fresh,
        "large windows": large,
    }
    return found | {"targets": targets(found)}


def memory_of(shape: Shape, spec: StreamSpec) -> float:
    """Return by how many MiB three windows, the first of them cold, raise the peak of a process."""
    few = list(windows(Shape(500, 200, 2600), 99, 3))
    return raised_peak(_followed, (few, spec), (list(windows(shape, 0, 3)), spec))


def _followed(given: list[csr_array], spec: StreamSpec) -> None:
    stream = Factorizer(RANK, spec)
    for X in given:
        stream.window(rows_of(X))


def main() -> None:
    """Measure, and write streams.json and streams.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=results.FOLDER)
    arguments = parser.parse_args()
    results.require_one_thread()
    found = measure(arguments.seeds)
    lines = report(found)
    results.save(arguments.output, "streams", found, lines)
    get_console().print("\n".join(lines))


if __name__ == "__main__":
    main()
