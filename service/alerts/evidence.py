"""A verdict's alert: what its window knows of the scan."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.alert import (
    LISTED_SERVICES,
    LISTED_SOURCES,
    LISTED_TARGETS,
    TECHNIQUES,
    Alert,
    Baseline,
    Distinct,
    Evidence,
    Ground,
    Kind,
)
from service.alerts.distinct import distinct, union
from service.alerts.incidents import Channel
from service.alerts.reason import explain
from service.alerts.tools import tool_of
from service.capture.address import format_address, format_addresses
from service.capture.services import Means, format_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from service.alerts.allow import AllowList
    from service.alerts.coordinated import GroupVerdict
    from service.alerts.habits import Habits
    from service.alerts.sources import Verdict
    from service.windows.counts import WindowCounts


_GROUNDS = {
    Channel.SURGE: Ground.SURGE,
    Channel.NOVELTY: Ground.NOVELTY,
    Channel.BREADTH: Ground.BREADTH,
    Channel.PATTERN: Ground.PATTERN,
}


def channel_of(ground: Ground) -> Channel:
    """Return the channel of a group's ground; raises KeyError for that of a single source."""
    return {ground: channel for channel, ground in _GROUNDS.items()}[ground]


def measured(
    window: WindowCounts, verdict: Verdict, pattern: str | None, allowed: AllowList, habits: Habits
) -> Alert:
    """Return the alert of a scan that is known from one window only, but for its reason."""
    rows = window.rows
    mine = verdict.rows
    high, low = window.sources[verdict.source].tolist()
    source = format_address(high, low)
    pairs = int(rows.targets[mine].sum())
    return Alert(
        id=alert_id(window, verdict.source, verdict.means),
        sensor=window.sensor,
        kind=verdict.kind,
        sources=(source,),
        services=_services(window, verdict),
        targets_sample=(),
        first_seen=int(rows.first[mine].min()),
        last_seen=int(rows.last[mine].max()),
        ground=verdict.ground,
        score=verdict.score,
        threshold=verdict.threshold,
        technique=TECHNIQUES[verdict.kind],
        pattern=pattern,
        reason="",
        evidence=Evidence(
            attempts=int(rows.attempts[mine].sum()),
            pairs=pairs,
            answered=int(rows.answered[mine].sum()),
            targets=_targets(window, verdict),
            services=replace(
                distinct(len(mine), rows.service[mine].tolist()), exact=not window.halvings[verdict.source]
            ),
            windows=1,
            estimated=bool(window.halvings[verdict.source]),
            shed=window.shed.attempts,
        ),
        scale=window.end - window.start,
        named_at=window.end if window.seen_until is None else window.seen_until,
        named_after=pairs,
        counted_until=window.end,
        told=pairs,
        tool=tool_of(window, verdict.source) if verdict.means is not Means.ARP else None,
        usual=habits.usual(window, verdict.source),
        allowed_by=allowed.covering_rows(window, mine),
    )


def measured_group(window: WindowCounts, verdict: GroupVerdict, allowed: AllowList) -> Alert:
    """Return the alert of a group that is known from one window only, but for its reason."""
    rows = window.rows
    # Sources that only have in common that they tried several services share none.
    theirs = rows.service[np.isin(rows.source, verdict.sources)]
    services = verdict.services or tuple(np.unique(theirs)[:LISTED_SERVICES].tolist())
    mine = rows_of_group(window, verdict.sources, services)
    order = np.argsort(-verdict.weights, kind="stable")[:LISTED_SOURCES]
    evidence = evidence_of_group(window, mine)
    return Alert(
        id=group_id(window.sensor, verdict.key),
        sensor=window.sensor,
        kind=Kind.COORDINATED,
        sources=tuple(format_addresses(window.sources[verdict.sources[order]])),
        services=tuple(map(format_service, services[:LISTED_SERVICES])),
        targets_sample=(),
        first_seen=int(rows.first[mine].min()),
        last_seen=int(rows.last[mine].max()),
        ground=_GROUNDS[verdict.evidence],
        score=verdict.score,
        threshold=verdict.threshold,
        technique=TECHNIQUES[Kind.COORDINATED],
        pattern=None,
        reason="",
        evidence=evidence,
        scale=window.end - window.start,
        named_at=window.end,
        named_after=evidence.pairs,
        counted_until=window.end,
        told=evidence.pairs,
        memberships=tuple(verdict.weights[order].tolist()),
        baseline=Baseline(verdict.mean, verdict.spread, verdict.expected, verdict.days),
        allowed_by=allowed.covering_rows(window, mine),
    )


def group_id(sensor: str, key: str) -> str:
    """Return the id of the alert on a group with a key."""
    return "a" + hashlib.sha256(f"{sensor}\0{key}".encode()).hexdigest()[:20]


def rows_of_group(window: WindowCounts, sources: NDArray[np.int64], services: Sequence[int]) -> NDArray[np.intp]:
    """Return the rows of some sources, by their indices in the window, at some services, by their numbers."""
    rows = window.rows
    return np.flatnonzero(np.isin(rows.source, sources) & np.isin(rows.service, np.array(services, np.int64)))


def evidence_of_group(window: WindowCounts, mine: NDArray[np.intp]) -> Evidence:
    """Return the numbers of some rows of a window."""
    rows = window.rows
    sources, services = np.unique(rows.source[mine]), np.unique(rows.service[mine])
    return Evidence(
        attempts=int(rows.attempts[mine].sum()),
        pairs=int(rows.targets[mine].sum()),
        answered=int(rows.answered[mine].sum()),
        targets=_targets_of_group(window, sources.tolist()),
        services=distinct(len(services), services.tolist()),
        windows=1,
        estimated=bool(window.halvings[sources].any()),
        shed=window.shed.attempts,
    )


def _targets_of_group(window: WindowCounts, sources: list[int]) -> Distinct:
    """Return the union of some sources' targets, at any of their services."""
    found = Distinct(0, exact=True, sample=())
    for source in sources:
        members = [high << 64 | low for high, low in window.samples.of(source, Means.PORTS).tolist()]
        if members:
            mine = distinct(max(len(members), int(window.totals.targets[source])), members)
            found = union(found, mine) if found.count else mine
    return found


def united(mine: Evidence, more: Evidence, *, added: bool) -> Evidence:
    """Return the evidence of windows that follow one another, or else of one that holds the other."""

    def both(a: int, b: int) -> int:
        return a + b if added else max(a, b)

    return Evidence(
        attempts=both(mine.attempts, more.attempts),
        pairs=both(mine.pairs, more.pairs),
        answered=both(mine.answered, more.answered),
        targets=union(mine.targets, more.targets),
        services=union(mine.services, more.services),
        windows=mine.windows + added,
        estimated=mine.estimated or more.estimated,
        shed=both(mine.shed, more.shed),
    )


def with_reason(alert: Alert) -> Alert:
    """Return an alert with the targets and the sentence that follow from its evidence."""
    targets = tuple(
        format_address(member >> 64, member & (1 << 64) - 1)
        for member in alert.evidence.targets.sample[:LISTED_TARGETS]
    )
    alert = replace(alert, targets_sample=targets)
    return replace(alert, reason=explain(alert))


def _services(window: WindowCounts, verdict: Verdict) -> tuple[str, ...]:
    """Return the scan's services, those with most targets first."""
    service, targets = window.rows.service[verdict.rows], window.rows.targets[verdict.rows]
    order = np.lexsort((service, -targets))[:LISTED_SERVICES]
    return tuple(format_service(code) for code in service[order].tolist())


def _targets(window: WindowCounts, verdict: Verdict) -> Distinct:
    """Return the scan's targets: those of the source, but no more than the rows account for."""
    members = [high << 64 | low for high, low in window.samples.of(verdict.source, verdict.means).tolist()]
    count = int(window.rows.targets[verdict.rows].sum())
    if verdict.means is Means.PORTS:
        count = min(count, int(window.totals.targets[verdict.source]))
    whole = distinct(count, members)
    # Of one service the row itself tells how many; over several, inferred totals are a guess.
    told = window.exact or len(verdict.rows) == 1
    return whole if told and not window.halvings[verdict.source] else replace(whole, exact=False)


def alert_id(window: WindowCounts, source: int, means: Means) -> str:
    """Return the id of an alert that begins in a window, on a source (its index there) and what it scans with."""
    name = format_address(*window.sources[source].tolist())
    return "a" + hashlib.sha256(f"{window.id}\0{name}\0{means.name}".encode()).hexdigest()[:20]
