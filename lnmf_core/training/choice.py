"""Training of `Learned`: time every rule on random problems, and fit the logarithm of its share."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy import sparse

from lnmf_core.choice import KIND, MARGIN, RIVALS, ChoiceWeights, Rule, features
from lnmf_core.rules.base import Traits
from lnmf_core.rules.extrapolated_hals import ExtrapolatedHals
from lnmf_core.solve import factorize
from lnmf_core.start import Nndsvd, RandomStart, Start
from lnmf_core.stopping import Stop
from lnmf_core.training.shipping import shipping_parser
from lnmf_core.weights.store import ModelCard, Value, Weights, save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GAP = 1e-3
"""A run arrives when its error is within this share of the best that any rule found from the same start."""
SMALL, FEWER, MORE = 10_000, 1, 4
"""Entries of a problem that counts as small, and problems of each noise for larger and for small ones."""
ROUNDS = 4
"""Times that each run is timed; the shortest counts."""
FAILED = math.log(4)
"""What a run that does not arrive counts as, beyond the slowest one that does."""


@dataclass(frozen=True, slots=True)
class ChoiceSpec:
    """What the choice is trained on."""

    shapes: tuple[tuple[int, int, int], ...] = (
        (20, 40, 3),
        (30, 30, 3),
        (50, 40, 4),
        (60, 50, 6),
        (100, 80, 8),
        (150, 200, 6),
        (200, 400, 8),
        (300, 200, 10),
        (500, 300, 12),
    )
    """(n, m, k) of dense problems with uniform factors."""
    noises: tuple[float, ...] = (0.01, 0.1)
    sparse_shapes: tuple[tuple[int, int, int], ...] = (
        (400, 300, 5),
        (1000, 500, 8),
        (2000, 1500, 6),
        (3000, 1000, 10),
        (6000, 2500, 10),
    )
    """(n, m, k) of sparse log-counts, about five entries a row."""
    count_shapes: tuple[tuple[int, int, int], ...] = (
        (40, 60, 3),
        (60, 40, 5),
        (100, 120, 8),
        (250, 120, 10),
        (300, 200, 8),
    )
    """(n, m, k) of dense arrays of counts, many of them zero."""
    repeats: int = 4
    """Problems of each kind."""
    iterations: int = 400
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A problem, and each rule's time on it: the classical rule's first."""

    traits: Traits
    seconds: tuple[float, ...]


def train_choice(
    spec: ChoiceSpec, report: Callable[[Trial], None] | None = None, clock: Callable[[], float] = time.process_time
) -> tuple[ChoiceWeights, list[Trial]]:
    """Return weights and what they were fitted to; times, and so the weights, differ between machines."""
    rng = np.random.default_rng(spec.seed)
    trials = []
    for _ in range(spec.repeats):
        for X, rank, start in _problems(spec, rng):
            trials.append(timed(X, rank, start, spec.iterations, clock))
            if report is not None:
                report(trials[-1])
    return fitted(trials), trials


def fitted(trials: list[Trial]) -> ChoiceWeights:
    """Return where the trials were, and log(time / classical time) there, the mean of the trials of one place."""
    rows = np.array([features(trial.traits) for trial in trials])
    # Problems of one shape differ by a few entries: they are one place.
    rounded, of_row = np.unique(np.round(rows, 1), axis=0, return_inverse=True)
    logs = np.log([trial.seconds for trial in trials])
    shares = logs[:, 1:] - logs[:, :1]
    means = [shares[of_row.ravel() == place].mean(axis=0) for place in range(len(rounded))]
    return ChoiceWeights(rounded, np.array(means))


def weights_of(spec: ChoiceSpec, weights: ChoiceWeights, commit: str, figures: dict[str, Value]) -> Weights:
    """Return what `Learned` loads, with its card."""
    arrays: dict[str, NDArray[Any]] = {"places": weights.places, "logs": weights.logs}
    settings: dict[str, Value] = {
        "shapes": [list(shape) for shape in spec.shapes],
        "noises": list(spec.noises),
        "sparse_shapes": [list(shape) for shape in spec.sparse_shapes],
        "count_shapes": [list(shape) for shape in spec.count_shapes],
        "repeats": spec.repeats,
        "iterations": spec.iterations,
    }
    data = (
        "dense: [DC + e]+, D and C uniform; sparse: log(1 + counts) of single patterns; dense counts: Poisson "
        "around a product of gamma factors; CPU time"
    )
    return Weights(arrays, ModelCard(KIND, data, spec.seed, commit, settings, figures))


def timed(X: Any, rank: int, start: Start, iterations: int, clock: Callable[[], float]) -> Trial:
    """Return each rule's time to come within `GAP` of the best error that any of them finds."""
    rules: tuple[Rule, ...] = (ExtrapolatedHals(), *(rival() for rival in RIVALS))
    runs = [factorize(X, rank, rule=rule, start=start, stop=Stop(iterations, 0.0)) for rule in rules]
    goal = (1 + GAP) * min(run.error for run in runs)
    needed = [int(np.argmax(np.array(run.errors) <= goal)) if run.error <= goal else 0 for run in runs]
    seconds = np.where(needed, math.inf, math.nan)
    # In turn, so that none has the warmer cache.
    for _ in range(ROUNDS):
        for at, (rule, count) in enumerate(zip(rules, needed, strict=True)):
            if count:
                seconds[at] = min(seconds[at], _once(X, rank, start, rule, count, clock))
    worst = np.nanmax(seconds) * math.exp(FAILED)
    rows, columns = X.shape
    held = int(np.count_nonzero(X)) if isinstance(X, np.ndarray) else X.nnz
    filled = tuple(float(worst if math.isnan(each) else each) for each in seconds)
    return Trial(Traits(rows, columns, rank, held / (rows * columns), not isinstance(X, np.ndarray)), filled)


def _once(X: Any, rank: int, start: Start, rule: Rule, iterations: int, clock: Callable[[], float]) -> float:
    began = clock()
    factorize(X, rank, rule=rule, start=start, stop=Stop(iterations, 0.0))
    return max(clock() - began, 1e-9)


def _problems(spec: ChoiceSpec, rng: np.random.Generator) -> list[tuple[Any, int, Start]]:
    found: list[tuple[Any, int, Start]] = []
    for n, m, k in spec.shapes:
        # Small problems differ more from one another, and cost little.
        for noise in spec.noises * (FEWER if n * m > SMALL else MORE):
            X = rng.random((n, k)) @ rng.random((k, m)) + noise * rng.standard_normal((n, m))
            found.append((np.maximum(X, 0), k, RandomStart(int(rng.integers(1 << 31)))))
    for n, m, k in spec.sparse_shapes:
        found.append((sparse_counts(n, m, k, rng), k, Nndsvd(int(rng.integers(1 << 31)))))
    for n, m, k in spec.count_shapes:
        found.append((poisson_counts(n, m, k, rng), k, RandomStart(int(rng.integers(1 << 31)))))
    return found


def poisson_counts(n: int, m: int, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return Poisson counts around D·C with factors of which few entries are large, as a dense array."""
    rates = rng.gamma(0.3, 2.0, (n, k)) @ rng.gamma(0.3, 2.0, (k, m))
    return rng.poisson(rates).astype(np.float64)


def sparse_counts(n: int, m: int, k: int, rng: np.random.Generator) -> sparse.csr_array[Any]:
    """Return log(1 + counts): each row draws about five columns from its pattern, some with large counts."""
    weights = rng.gamma(0.1, 1.0, (k, m)) + 1e-9
    patterns = weights / weights.sum(axis=1, keepdims=True)
    of_row = rng.integers(k, size=n)
    drawn = rng.poisson(5, n) + 1
    rows = np.repeat(np.arange(n), drawn)
    columns = np.concatenate(
        [rng.choice(m, size, p=patterns[row]) for row, size in zip(of_row, drawn, strict=True)]
    )
    values = np.floor(rng.pareto(1.5, len(rows)) + 1)
    counts = sparse.csr_array((values, (rows, columns)), shape=(n, m))
    counts.sum_duplicates()
    counts.data = np.log1p(counts.data)
    return counts


def gain(trials: list[Trial], weights: ChoiceWeights) -> float:
    """Return how many times faster the chosen rules are on the trials than the classical one (geometric mean)."""
    logs = []
    for trial in trials:
        shares = weights.log_times(trial.traits)
        best = int(np.argmin(shares))
        chosen = 1 + best if shares[best] < math.log1p(-MARGIN) else 0
        logs.append(math.log(trial.seconds[0] / trial.seconds[chosen]))
    return math.exp(sum(logs) / len(logs))


def main(arguments: Sequence[str]) -> int:
    """Time the rules, fit the choice, write the set; return the exit status."""
    parser = shipping_parser("choice", __doc__, seed=0)
    parser.add_argument("--repeats", type=int, default=4, help="problems of each kind (default: %(default)s)")
    given = parser.parse_args(arguments)
    spec = ChoiceSpec(repeats=given.repeats, seed=given.seed)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        total = spec.repeats * len(_problems(spec, np.random.default_rng(spec.seed)))
        task = bar.add_task("timing the rules", total=total)
        weights, trials = train_choice(spec, lambda _: bar.advance(task))
    figures: dict[str, Value] = {
        "trials": len(trials),
        "speedup_over_classical_on_the_trials": round(gain(trials, weights), 3),
    }
    save(given.name, weights_of(spec, weights, given.commit, figures), given.output)
    console.print(f"{given.output / given.name}.npz: {figures}")
    return 0
