"""The columns that judge groups with the service's own test, each with proposals of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detect.columns import clusters, itemsets
from service.alerts.budget import GroupBudget, Shares
from service.patterns import groups
from service.patterns.groups import GroupSpec, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.patterns.groups import Proposal

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


def _once(propose: Propose) -> Propose:
    """Return the same, but what was asked last is not worked out again: several columns ask for the same rows."""

    @lru_cache(maxsize=2)
    def proposed(services: bytes, attempts: bytes, start: bytes) -> list[Proposal]:
        return propose(Rows(*(np.frombuffer(part, np.int64) for part in (services, attempts, start))))

    return lambda rows: proposed(*(part.tobytes() for part in (rows.services, rows.attempts, rows.start)))


def _budget(surge: float, breadth: float, pattern: float) -> GroupBudget:
    def everywhere(share: float) -> Shares:
        return share, share, share

    half = everywhere(surge / 2)
    return GroupBudget(1.0, half, half, everywhere(breadth), everywhere(pattern))


def _with(name: str, propose: Propose) -> GroupColumn:
    return GroupColumn(name, propose, _budget(0.5, 0.25, 0.25), name)


factorised = _once(lambda rows: groups.propose(rows, SPEC))
"""What the service proposes."""
_ROWS, _MEANS, _DENSE, _SETS = map(
    _once, (clusters.sampled_rows, clusters.kmeans, clusters.hdbscan, itemsets.propose)
)


def others(rows: Rows) -> list[Proposal]:
    """Return what all ways without the factorisation propose."""
    return [proposal for propose in (_ROWS, _MEANS, _DENSE, _SETS) for proposal in propose(rows)]


SHIPPED = "Yocho, all lengths"
WEEKLY = "Yocho, all lengths, one a week"

COLUMNS = (
    GroupColumn(SURGE, None, _budget(1.0, 0.0, 0.0), YOCHO),
    GroupColumn(COUNTERS, None, _budget(2 / 3, 1 / 3, 0.0), YOCHO),
    _with("… + itemsets", _SETS),
    _with("… + sampled rows", _ROWS),
    _with("… + k-means++", _MEANS),
    _with("… + HDBSCAN", _DENSE),
    _with("… + all four of these", others),
    _with(YOCHO, factorised),
)

OWN = (
    GroupColumn(SHIPPED, factorised, GroupBudget(), YOCHO),
    GroupColumn(WEEKLY, factorised, GroupBudget(1 / 7), YOCHO),
)
"""The service as it ships: one budget for windows of all lengths."""
