"""The columns that judge groups with the service's own test, each with proposals of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.detect.columns import clusters, itemsets
from service.alerts.budget import GroupBudget, Shares
from service.patterns import groups
from service.patterns.groups import GroupSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.patterns.groups import Proposal, Rows

    Propose = Callable[[Rows], list[Proposal]]

SURGE = "surge alone"
COUNTERS = "surge + breadth"
YOCHO = "Yocho"
SPEC = GroupSpec()


@dataclass(frozen=True, slots=True)
class GroupColumn:
    """A way to propose service sets, or none; and the channels that share a budget of one false alarm a day."""

    name: str
    propose: Propose | None
    budget: GroupBudget
    history: str
    """The column whose history this one shares: only proposals make a difference to a history."""


def _budget(surge: float, breadth: float, pattern: float) -> GroupBudget:
    def everywhere(share: float) -> Shares:
        return share, share, share

    half = everywhere(surge / 2)
    return GroupBudget(1.0, half, half, everywhere(breadth), everywhere(pattern))


def _with(name: str, propose: Propose) -> GroupColumn:
    return GroupColumn(name, propose, _budget(0.5, 0.25, 0.25), name)


def factorised(rows: Rows) -> list[Proposal]:
    """Return what the service proposes."""
    return groups.propose(rows, SPEC)


def others(rows: Rows) -> list[Proposal]:
    """Return what all ways without the factorisation propose."""
    return [
        *clusters.sampled_rows(rows),
        *clusters.kmeans(rows),
        *clusters.hdbscan(rows),
        *itemsets.propose(rows),
    ]


SHIPPED = "Yocho, all lengths"
WEEKLY = "Yocho, all lengths, one a week"

COLUMNS = (
    GroupColumn(SURGE, None, _budget(1.0, 0.0, 0.0), YOCHO),
    GroupColumn(COUNTERS, None, _budget(2 / 3, 1 / 3, 0.0), YOCHO),
    _with("… + itemsets", itemsets.propose),
    _with("… + sampled rows", clusters.sampled_rows),
    _with("… + k-means++", clusters.kmeans),
    _with("… + HDBSCAN", clusters.hdbscan),
    _with("… + all four of these", others),
    _with(YOCHO, factorised),
)

OWN = (
    GroupColumn(SHIPPED, factorised, GroupBudget(), YOCHO),
    GroupColumn(WEEKLY, factorised, GroupBudget(1 / 7), YOCHO),
)
"""The service as it ships: one budget for windows of all lengths."""
