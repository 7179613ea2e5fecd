"""Groups from window to window: what the sensor's past says of each, and one alert for what is one campaign."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.alert import LISTED_SERVICES, LISTED_SOURCES, Alert, Evidence, Kind
from service.alerts.budget import GroupBudget
from service.alerts.coordinated import LEAST, judge_groups, remember
from service.alerts.evidence import evidence_of_group, group_id, measured_group, rows_of_group, united, with_reason
from service.alerts.history import History, HistorySpec
from service.alerts.incidents import DAY
from service.capture.address import parse_address
from service.capture.services import parse_service
from service.patterns.groups import GroupSpec, propose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from service.alerts.allow import AllowList
    from service.alerts.sources import Verdict
    from service.windows.counts import WindowCounts

SHORTEST = 600 * 1_000_000_000
"""In shorter windows, ns, hardly two of a group's sources meet."""
_WARM = 3
"""Windows' worth of history below which no group is named: on a new sensor everything is new."""
_SHARED = 0.5
"""Alerts of which the smaller shares so many of its sources with the other, and a service, are one."""


@dataclass(frozen=True, slots=True)
class CoordinationSpec:
    """How groups are looked for."""

    budget: GroupBudget = field(default_factory=GroupBudget)
    proposals: GroupSpec = field(default_factory=GroupSpec)
    history: HistorySpec = field(default_factory=HistorySpec)


def groups_of(
    window: WindowCounts,
    history: History,
    spec: CoordinationSpec,
    verdicts: Sequence[Verdict],
    known: Iterable[Alert],
    allowed: AllowList,
) -> list[Alert]:
    """Return the alerts of groups that begin or go on in a window, and take the window into the history.

    `verdicts` are of the window, `known` the alerts that were open when it began: whoever is named alone
    is part of no group.
    """
    known = list(known)
    probing = _probing(window)
    loud = _loud(window, verdicts, known)
    hours = probing.rows.hours if probing.rows.hours.any() else None
    judged = judge_groups(probing, history, partial(propose, spec=spec.proposals), spec.budget, loud, hours)
    warm = history.incidents.days * DAY >= _WARM * (window.end - window.start)
    remember(history, judged)
    if not warm:
        return []
    before = [alert for alert in known if alert.kind is Kind.COORDINATED]
    found = [
        _followed(before, measured_group(probing, verdict, allowed), verdict.parts, allowed)
        for verdict in judged.verdicts
    ]
    named = {alert.id for alert in found}
    goes_on = (_prolonged(alert, probing, allowed) for alert in before if alert.id not in named)
    return found + [alert for alert in goes_on if alert is not None]


def _prolonged(alert: Alert, window: WindowCounts, allowed: AllowList) -> Alert | None:
    """Return an alert with what its members do in a later window, or None if they are not there as a group."""
    if alert.counted_until > window.start:
        return None
    members = {parse_address(source) for source in alert.sources}
    sources = [i for i, (high, low) in enumerate(window.sources.tolist()) if (high, low) in members]
    mine = rows_of_group(window, np.array(sources, np.int64), [*map(parse_service, alert.services)])
    if len(np.unique(window.rows.source[mine])) < LEAST:
        return None
    allowed_by = allowed.both(alert, alert.services, len(alert.services), allowed.covering_rows(window, mine))
    return with_reason(
        _enlarged(
            alert,
            first_seen=int(window.rows.first[mine].min()),
            last_seen=int(window.rows.last[mine].max()),
            counted_until=window.end,
            evidence=united(alert.evidence, evidence_of_group(window, mine), added=True),
            allowed_by=allowed_by,
        )
    )


def _probing(window: WindowCounts) -> WindowCounts:
    """Return a window with the rows that are in vain for the most part: a crowd that is served is no scan."""
    rows = window.rows
    in_vain = np.flatnonzero(2 * rows.probed >= rows.targets)
    kept = {part.name: getattr(rows, part.name)[in_vain] for part in fields(rows)}
    return replace(window, rows=type(rows)(**kept))


def _loud(window: WindowCounts, verdicts: Sequence[Verdict], known: Iterable[Alert]) -> NDArray[np.bool_]:
    loud = np.zeros(len(window.sources), np.bool_)
    loud[[verdict.source for verdict in verdicts]] = True
    named = {parse_address(alert.sources[0]) for alert in known if alert.kind is not Kind.COORDINATED}
    if named:
        loud |= np.array([(high, low) in named for high, low in window.sources.tolist()], np.bool_)
    return loud


def _followed(before: Sequence[Alert], found: Alert, parts: Iterable[str], allowed: AllowList) -> Alert:
    """Return the alert of before that a group goes on with, enlarged, or a new one; `parts` are its keys."""
    ids = {found.id, *(group_id(found.sensor, part) for part in parts)}
    same = next((alert for alert in before if alert.id in ids or _alike(alert, found)), None)
    return with_reason(found if same is None else _grown(same, found, allowed))


def _alike(before: Alert, found: Alert) -> bool:
    shared = len(set(before.sources) & set(found.sources))
    enough = shared >= _SHARED * min(len(before.sources), len(found.sources))
    return enough and bool(set(before.services) & set(found.services))


def _grown(before: Alert, found: Alert, allowed: AllowList) -> Alert:
    """Return an alert with what a later or longer window knows; of two verdicts the surer one stays."""
    later = before.counted_until <= found.counted_until - found.scale
    members = dict(zip(found.sources, found.memberships, strict=True))
    for source, membership in zip(before.sources, before.memberships, strict=True):
        members[source] = max(membership, members.get(source, 0.0))
    ranked = sorted(members.items(), key=lambda member: (-member[1], member[0]))[:LISTED_SOURCES]
    allowed_by = allowed.both(before, found.services, len(found.services), found.allowed_by)
    surer = found if _alarms(found) < _alarms(before) else before
    before = replace(
        before,
        ground=surer.ground,
        score=surer.score,
        threshold=surer.threshold,
        scale=surer.scale,
        baseline=surer.baseline,
        sources=tuple(source for source, _ in ranked),
        memberships=tuple(membership for _, membership in ranked),
        services=tuple(dict.fromkeys((*before.services, *found.services)))[:LISTED_SERVICES],
    )
    return _enlarged(
        before,
        first_seen=found.first_seen,
        last_seen=found.last_seen,
        counted_until=found.counted_until,
        evidence=united(before.evidence, found.evidence, added=later),
        allowed_by=allowed_by,
    )


def _alarms(alert: Alert) -> float:
    return alert.baseline.alarms if alert.baseline else inf


def _enlarged(
    before: Alert,
    *,
    first_seen: int,
    last_seen: int,
    counted_until: int,
    evidence: Evidence,
    allowed_by: str | None,
) -> Alert:
    doubled = evidence.pairs >= 2 * before.told
    return replace(
        before,
        first_seen=min(before.first_seen, first_seen),
        last_seen=max(before.last_seen, last_seen),
        counted_until=max(before.counted_until, counted_until),
        evidence=evidence,
        allowed_by=allowed_by,
        updates=before.updates + doubled,
        told=evidence.pairs if doubled else before.told,
    )
