"""What all benchmarks of the core share: intervals, the machine, Markdown tables, and the files of results."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = Path("benchmarks/results/core")
DRAWS = 2000
"""Samples of a bootstrap."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class ResultError(ValueError):
    """A file of results is missing, damaged or lacks what was looked for."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A geometric mean and its 95 % interval; NaN where there was nothing to average, or too little for one."""

    mean: float
    low: float
    high: float
    count: int
    """How many values it is of."""

    def __str__(self) -> str:
        """Write it as a table does: ``1.25 (1.18–1.33)``, or a dash."""
        if not self.count:
            return "–"
        return f"{self.mean:.2f}" + ("" if math.isnan(self.low) else f" ({self.low:.2f}–{self.high:.2f})")


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some runs arrived, with its 95 % interval."""

    mean: float
    low: float
    high: float
    count: int
    """How many runs it is of."""

    def __str__(self) -> str:
        """Write it as a table does: ``97 % (93–99)``."""
        return f"{100 * self.mean:.0f} % ({100 * self.low:.0f}–{100 * self.high:.0f})"


def geometric_mean(ratios: Sequence[float], chance: np.random.Generator) -> Interval:
    """Return the geometric mean of positive ratios, with a percentile bootstrap interval (Efron 1979).

    Below three ratios there is no interval: so few can't tell how much they vary. Raises ValueError if a ratio is
    not positive and finite.
    """
    values = np.asarray(ratios, np.float64)
    if not ((values > 0) & (values < np.inf)).all():
        raise ValueError("a ratio is not positive and finite: leave out the runs that never arrived")
    if not len(values):
        return Interval(math.nan, math.nan, math.nan, 0)
    logs = np.log(values)
    low = high = math.nan
    if len(logs) > 2:
        low, high = np.exp(np.quantile(chance.choice(logs, (DRAWS, len(logs))).mean(axis=1), [0.025, 0.975]))
    return Interval(float(np.exp(logs.mean())), float(low), float(high), len(logs))


def ratio_of_medians(above: Sequence[float], below: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the ones over that of the others, with its 95 % bootstrap interval.

    Both are drawn anew by themselves. Raises ValueError if one of them is empty.
    """
    if not len(above) or not len(below):
        raise ValueError("nothing has no median")
    chance = np.random.default_rng(0)
    drawn = [np.median(chance.choice(each, (DRAWS, len(each))), axis=1) for each in (above, below)]
    low, high = np.quantile(drawn[0] / drawn[1], [0.025, 0.975])
    return float(np.median(above) / np.median(below)), float(low), float(high)


def share(count: int, total: int) -> Share:
    """Return the share with its 95 % interval (Wilson 1927); raises ValueError unless 0 ≤ count ≤ total > 0."""
    if not 0 <= count <= total or not total:
        raise ValueError(f"{count} of {total} is no share")
    p, z = count / total, 1.96
    middle = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    # Of all or nothing one end is known, which rounding misses by a little.
    return Share(p, middle - half if count else 0.0, middle + half if count < total else 1.0, total)


def require_one_thread() -> None:
    """Raise SystemExit unless all libraries are told to use one thread, before hours are spent on other figures."""
    missing = [name for name in THREADS if os.environ.get(name) != "1"]
    if missing:
        raise SystemExit(
            f"set {' '.join(f'{name}=1' for name in missing)}: figures are of one thread, and a library that goes "
            "without its variable takes all cores; `make bench-core BENCH_CORE=…` sets them"
        )


def machine(packages: Iterable[str]) -> dict[str, Any]:
    """Return processor, cores, Python, threads and the versions of those packages that are installed."""
    limits = {os.environ.get(name, "unlimited") for name in THREADS}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "threads": limits.pop() if len(limits) == 1 else "mixed",
        "versions": {package: found for package in packages if (found := _version(package))},
    }


def machine_line(about: dict[str, Any]) -> str:
    """Return what `machine` found, as a sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['processor']}, {about['cores']} cores; Python {about['python']}, {versions}; "
        f"threads: {about['threads']}; CPU time, float64."
    )


def _processor() -> str:
    """Return the model; Linux knows more of it than `platform`."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; raises ValueError for a row that does not fit the header."""
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"the row {row} has {len(row)} cells: the header has {len(header)}")
        lines.append(f"| {' | '.join(row)} |")
    return lines


def save(folder: Path, name: str, results: Any, lines: Iterable[str]) -> None:
    """Write `name`.json, with null for what is no finite number, and `name`.md."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_stated(results), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _stated(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stated(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_stated(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load(folder: Path, name: str) -> Any:
    """Return what `name`.json holds; raises ResultError if it is missing or no JSON."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise ResultError(f"{path} is missing: run python -m benchmarks.core.{name}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResultError(f"{path} is no JSON ({error}): run python -m benchmarks.core.{name} again") from error
