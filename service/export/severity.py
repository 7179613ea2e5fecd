"""How bad an alert is, and how sure: one mapping for all formats.

An alert gets a point for each of these, and is low with none, medium with one or two, high with three or more:

- kind: a block or a coordinated scan is a campaign, not a look at one service or one host.
- score: far beyond the threshold. Four times where it counts targets or services; twice where it is −log₁₀ of a
  probability, as that of a group is, for then twice is the square of the rarity.
- answers: part of what was tried took part, so the scanner knows now what it looked for.
- scale: it was seen in windows of an hour or longer only, so it is slow on purpose.

What the allow-list permits is low, whatever it is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from service.alerts.alert import Kind

if TYPE_CHECKING:
    from service.alerts.alert import Alert

_CAMPAIGNS = (Kind.BLOCK, Kind.COORDINATED)
_FAR_COUNT = 4.0
_FAR_RARITY = 2.0
_ANSWERED = 0.02
"""Share of answered pairs: one in fifty; below it, what answers may be a host that answers everybody."""
_SLOW = 3600 * 1_000_000_000
"""ns"""


class Severity(StrEnum):
    """How soon somebody should look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


SCORES = {Severity.LOW: 3, Severity.MEDIUM: 6, Severity.HIGH: 8}
"""The same from 0 to 10, as CEF counts: its low ends at 3, its medium at 6, its high at 8."""


def severity_of(alert: Alert) -> Severity:
    """Return how bad an alert is, by the points of this module's description."""
    if alert.allowed_by is not None:
        return Severity.LOW
    points = (
        (alert.kind in _CAMPAIGNS)
        + _is_far(alert)
        + (alert.evidence.answered_share >= _ANSWERED)
        + (alert.scale >= _SLOW)
    )
    if not points:
        return Severity.LOW
    return Severity.MEDIUM if points <= 2 else Severity.HIGH


def _is_far(alert: Alert) -> bool:
    return alert.excess >= (_FAR_RARITY if alert.kind is Kind.COORDINATED else _FAR_COUNT)


def confidence_of(alert: Alert) -> int:
    """Return how far an alert lies beyond its threshold, from 50, at it, to 99.

    That is 100 · (1 − 1 / (2 · excess)). It orders alerts of one ground, and is no probability.
    """
    return min(99, round(100 * (1 - 0.5 / max(alert.excess, 1.0))))
