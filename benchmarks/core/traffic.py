"""Count matrices of real traffic, made by the service's own pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import lnmf_core
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.patterns.factorize import FactorizationSpec
from service.pipeline import PipelineSpec
from service.reading import Reading, read_windows
from service.windows.assign import SECOND, WindowSpec
from service.windows.matrix import count_matrix
from service.windows.scales import Scale

if TYPE_CHECKING:
    from pathlib import Path

    from scipy.sparse import csr_array

LOGARITHMS = "log(1 + count)"
"""What the service factorises."""
COUNTS = "count"


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A window's matrix and the rank that the service gives it."""

    X: csr_array
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The windows of one capture, of one length."""

    problems: list[Problem]
    left_out: int
    """Windows with a rank of one, or one as large as a side of X: there is nothing to iterate for."""


def read_problems(capture: Path, seconds: int, values: str, step: int | None = None) -> Windows:
    """Return the windows of `seconds` s; `values` is LOGARITHMS or COUNTS, of distinct targets.

    Windows begin every `step` s, which divides `seconds`, and overlap; without it they follow one another. Raises
    CaptureError if the file is neither a capture nor a log of flows.
    """
    length = seconds * SECOND
    own = WindowSpec(length=length)
    if step is not None:
        own = WindowSpec(length=step * SECOND, scales=(Scale(length, step * SECOND),))
    windows = read_windows([open_traffic(capture, HostTable())], "benchmark", PipelineSpec(windows=own), Reading())
    found = [_problem(count_matrix(each).values, values) for each in windows if each.end - each.start == length]
    kept = [problem for problem in found if 1 < problem.rank < min(problem.X.shape)]
    return Windows(kept, len(found) - len(kept))


def _problem(logarithms: csr_array, values: str) -> Problem:
    X = logarithms.copy()
    if values == COUNTS:
        X.data = np.rint(np.expm1(X.data))
    spec = FactorizationSpec()
    return Problem(X, lnmf_core.choose_rank(X, cap=spec.cap, energy=spec.energy, seed=0))
