"""The largest memory that a process has held, and how to begin counting anew."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


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
