"""Count matrices of real traffic, made by the service's own pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import lnmf_core
from service.capture.file import CaptureFile
from service.capture.hosts import HostTable
from service.patterns.factorize import FactorizationSpec
from service.pipeline import PipelineSpec, Reading, read_windows
from service.windows.assign import SECOND, WindowSpec
from service.windows.matrix import count_matrix

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


def read_problems(capture: Path, seconds: int, values: str) -> Windows:
    """Return the windows of `seconds` s; `values` is LOGARITHMS or COUNTS, of distinct targets.

    Raises CaptureError if the file is no capture.
    """
    spec = PipelineSpec(windows=WindowSpec(length=seconds * SECOND))
    windows = read_windows([CaptureFile(capture, HostTable())], "benchmark", spec, Reading())
    found = [_problem(count_matrix(window).values, values) for window in windows]
    kept = [problem for problem in found if 1 < problem.rank < min(problem.X.shape)]
    return Windows(kept, len(found) - len(kept))


def _problem(logarithms: csr_array, values: str) -> Problem:
    X = logarithms.copy()
    if values == COUNTS:
        X.data = np.rint(np.expm1(X.data))
    spec = FactorizationSpec()
    return Problem(X, lnmf_core.choose_rank(X, cap=spec.cap, energy=spec.energy, seed=0))
