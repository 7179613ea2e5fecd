"""What a budget of false alarms would let through: recorded traffic is replayed, and its alerts are counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.alerts.alert import Kind
from service.alerts.evidence import channel_of
from service.scan import scan_captures
from service.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from service.alerts.alert import Alert
    from service.alerts.budget import GroupBudget
    from service.pipeline import PipelineSpec

BUDGETS = (1 / 30, 1 / 7, 1.0, 10.0)
"""False alarms a day that are compared: one a month, one a week, one a day, ten a day."""
_DAY = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one budget lets through."""

    budget: float
    """False alarms a day."""
    groups: int
    """Alerts on groups of sources."""
    by_length: dict[int, int]
    """The same by the length of the windows that showed them, ns."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found in recorded traffic."""

    days: float
    """From the first alert or window to the last."""
    alone: int
    """Alerts on single sources: thresholds that no budget moves."""
    budgets: tuple[Allowed, ...]
    by_day: dict[int, tuple[int, int]]
    """Day (since the epoch, UTC) → alerts on single sources, and on groups within the largest budget."""


def calibrate(
    paths: Sequence[Path], spec: PipelineSpec, progress: Callable[[int], None] = lambda _: None
) -> Calibration:
    """Replay captures and logs as `yocho scan` reads them, and count what each budget would have told.

    Raises as `scan_captures` does.
    """
    largest = replace(spec.coordination, budget=replace(spec.coordination.budget, per_day=max(BUDGETS)))
    store = MemoryStore(most_windows=0)
    report = scan_captures(paths, "calibration", replace(spec, coordination=largest), store, progress)
    groups = [alert for alert in report.alerts if alert.kind is Kind.COORDINATED]
    alone = [alert for alert in report.alerts if alert.kind is not Kind.COORDINATED]
    allowed = [_allowed(groups, replace(largest.budget, per_day=budget)) for budget in BUDGETS]
    days = {alert.named_at // _DAY for alert in report.alerts}
    return Calibration(
        days=report.summary.span / _DAY,
        alone=len(alone),
        budgets=tuple(allowed),
        by_day={day: (_on(day, alone), _on(day, groups)) for day in sorted(days)},
    )


def _allowed(groups: Sequence[Alert], budget: GroupBudget) -> Allowed:
    told = [
        alert
        for alert in groups
        if alert.baseline is not None and alert.baseline.alarms <= budget.of(channel_of(alert.ground), alert.scale)
    ]
    lengths = sorted({alert.scale for alert in told})
    return Allowed(
        budget.per_day, len(told), {length: sum(alert.scale == length for alert in told) for length in lengths}
    )


def _on(day: int, alerts: Sequence[Alert]) -> int:
    return sum(alert.named_at // _DAY == day for alert in alerts)
