"""The largest memory that a process has held, how to begin counting anew, and what a piece of work adds to it."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 2**20
ITERATIONS = 10
"""Of the runs whose memory is told: what is held does not grow with them."""


def peak() -> int:
    """Return the largest resident set since `forget_peak`, or of this process where that can't forget; bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage's figure is never forgotten, and begins with that of the process that this one was forked from.
    line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def forget_peak() -> None:
    """Make the present resident set the peak, where the system allows it (Linux)."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5", encoding="ascii")


def raised_peak(work: Callable[..., object], small: tuple[Any, ...], arguments: tuple[Any, ...]) -> float:
    """Return by how many MiB ``work(*arguments)`` raises the peak of a fresh process, ``work(*small)`` done before.

    `work` is a function of a module, and all arguments can be pickled. What the small call has loaded and compiled
    is not counted; less than some hundred KiB may come from memory that the process had to spare, and count as 0.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_raised, (work, small, arguments)))


def _raised(work: Callable[..., object], small: tuple[Any, ...], arguments: tuple[Any, ...]) -> float:
    warnings.simplefilter("ignore")  # peers warn that they were stopped before they converged: so they were
    work(*small)
    forget_peak()
    before = peak()
    work(*arguments)
    return (peak() - before) / MIB
