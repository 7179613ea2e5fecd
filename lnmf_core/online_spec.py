"""How a stream is followed, and what a step of it tells."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lnmf_core.errors import ParameterError, whole_number


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How a stream is followed. Raises ParameterError for a value out of its range."""

    sweeps: int = 2
    """HALS sweeps over a factor, each time that it moves; one in the later passes over a window."""
    passes: int = 4
    """Passes over a whole window, at most, before memberships follow C once more; ..."""
    tolerance: float = 4e-3
    """... one more only while moving C has lowered the error by more than this share."""
    settle: float = 0.1
    """C moves when this share of the rows has changed."""
    refresh: float = 0.25
    """A whole pass follows when this share of the rows has changed: the other memberships have become stale."""
    alarm: float = 1.05
    """Look cold when the error exceeds its recent level by this factor, ..."""
    unrest: float = 3.0
    """... when moving C lowers it by so many times as much as it lately did, and by more than a thousandth, ..."""
    cold_every: int = 6
    """... and after so many windows' worth of rows at most, for a warm run stays in its local minimum: one after
    the first look and after unrest, and twice as many after each look that found nothing better."""
    cold_iterations: int = 20
    """Iterations of a cold look."""
    cold_gain: float = 5e-4
    """A cold solution is kept if its error is lower by this share: components that stay are worth as much."""
    memory: float = 0.8
    """Weight of the past in the recent level of the error, after each window's worth of rows."""
    seed: int = 0
    """Of the cold starts."""

    def __post_init__(self) -> None:
        for name in ("sweeps", "passes", "cold_every", "cold_iterations"):
            whole_number(name, getattr(self, name), ParameterError)
        if whole_number("seed", self.seed, ParameterError, least=0) >= 2**62:
            raise ParameterError(f"seed is {self.seed}: it must be less than 2**62")
        limits = (
            ("tolerance", 0.0, 1.0),
            ("settle", 0.0, 1.0),
            ("refresh", 0.0, 1.0),
            ("alarm", 1.0, math.inf),
            ("unrest", 1.0, math.inf),
            ("cold_gain", 0.0, 1.0),
            ("memory", 0.0, 1.0),
        )
        for name, low, high in limits:
            if not low <= getattr(self, name) <= high:
                raise ParameterError(f"{name} is {getattr(self, name)}: it must lie between {low} and {high}")


@dataclass(frozen=True, slots=True)
class Step:
    """What one update or window did."""

    error: float
    """Relative error ‖X − DC‖_F / ‖X‖_F of all rows that are held; 0 where all counts are zero."""
    cold: bool
    """A cold solution came out ahead and was kept: the components are others than before."""
    whole: bool
    """All memberships have moved, not only those of the changed rows."""
    respawned: int | None
    """The component that was dead and began anew where most was unexplained, if any."""
    seconds: float
