"""One knob: how many false alarms a day groups may raise, and who may raise them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from service.alerts.incidents import DAY, HOUR, Channel

Shares = tuple[float, float, float]
"""Of windows below an hour, below a day, and of a day."""


@dataclass(frozen=True, slots=True)
class GroupBudget:
    """False alarms a day, and the share of each channel; a channel without a share is off.

    The default gives each channel most where it finds most: surges of usual services in an hour, whose noise is
    small; patterns in a day, in which sources show all of their services. Raises ValueError if a part is negative.
    """

    per_day: float = 1.0
    surge: Shares = (0.05, 0.20, 0.01)
    novelty: Shares = (0.02, 0.13, 0.22)
    breadth: Shares = (0.01, 0.05, 0.08)
    pattern: Shares = (0.01, 0.03, 0.19)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.per_day) and self.per_day >= 0):
            raise ValueError(f"per_day: {self.per_day} is no number of alarms")
        for name in ("surge", "novelty", "breadth", "pattern"):
            if not all(share >= 0 for share in getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)} holds a negative share")

    def of(self, channel: Channel, length: int) -> float:
        """Return the false alarms a day that a channel may raise in windows of `length` ns."""
        shares = (self.surge, self.novelty, self.breadth, self.pattern)[channel]
        return self.per_day * shares[0 if length < HOUR else 1 if length < DAY else 2]
