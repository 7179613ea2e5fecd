"""One incident, not thousands: a scan that goes on from window to window is one alert that grows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.alert import (
    LISTED_SERVICES,
    LISTED_TARGETS,
    TECHNIQUES,
    Alert,
    Distinct,
    Evidence,
    Kind,
)
from service.alerts.distinct import distinct, union
from service.alerts.reason import explain
from service.alerts.sources import Verdict
from service.capture.address import format_address, parse_address
from service.capture.services import Means, format_service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.windows.counts import WindowCounts

GAP = 600 * 1_000_000_000
"""A scan that pauses for longer, ns, is another one when it returns."""


def means_of(alert: Alert) -> Means:
    """Return what an alert's source scans with."""
    protocol = alert.services[0].partition("/")[0]
    return {"icmp": Means.ICMP, "icmp6": Means.ICMP, "arp": Means.ARP}.get(protocol, Means.PORTS)


def ongoing(window: WindowCounts, alerts: Iterable[Alert]) -> dict[tuple[int, Means], Alert]:
    """Return the alerts whose source occurs in a window, by its index there and its means."""
    places = {(high, low): i for i, (high, low) in enumerate(window.sources.tolist())}
    found: dict[tuple[int, Means], Alert] = {}
    for alert in sorted(alerts, key=lambda alert: alert.last_seen):
        place = places.get(parse_address(alert.sources[0]))
        if place is not None:
            found[place, means_of(alert)] = alert
    return found


def raise_alert(window: WindowCounts, verdict: Verdict, pattern: str | None, before: Alert | None) -> Alert:
    """Return the alert for a verdict: a new one, or `before` grown by this window."""
    rows = window.rows
    mine = verdict.rows
    source = format_address(*window.sources[verdict.source].tolist())
    found = Alert(
        id=_new_id(window, source, verdict.means),
        sensor=window.sensor,
        kind=verdict.kind,
        sources=(source,),
        services=_services(window, verdict),
        targets_sample=(),
        first_seen=int(rows.first[mine].min()),
        last_seen=int(rows.last[mine].max()),
        score=verdict.score,
        threshold=verdict.threshold,
        technique=TECHNIQUES[verdict.kind],
        pattern=pattern,
        reason="",
        evidence=Evidence(
            attempts=int(rows.attempts[mine].sum()),
            pairs=int(rows.targets[mine].sum()),
            answered=int(rows.answered[mine].sum()),
            targets=_targets(window, verdict),
            services=replace(
                distinct(len(mine), rows.service[mine].tolist()), exact=not window.halvings[verdict.source]
            ),
            windows=1,
            estimated=bool(window.halvings[verdict.source]),
            shed=window.shed.attempts,
        ),
    )
    return _completed(_join(before, found) if before else found)


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


def _join(before: Alert, after: Alert) -> Alert:
    listed = dict.fromkeys((*before.services, *after.services))
    kind = Kind.BLOCK if Kind.BLOCK in (before.kind, after.kind) else before.kind
    mine, more = before.evidence, after.evidence
    return replace(
        before,
        kind=kind,
        technique=TECHNIQUES[kind],
        services=tuple(listed)[:LISTED_SERVICES],
        first_seen=min(before.first_seen, after.first_seen),
        last_seen=max(before.last_seen, after.last_seen),
        score=max(before.score, after.score),
        pattern=before.pattern or after.pattern,
        evidence=Evidence(
            attempts=mine.attempts + more.attempts,
            pairs=mine.pairs + more.pairs,
            answered=mine.answered + more.answered,
            targets=union(mine.targets, more.targets),
            services=union(mine.services, more.services),
            windows=mine.windows + 1,
            estimated=mine.estimated or more.estimated,
            shed=mine.shed + more.shed,
        ),
    )


def _completed(alert: Alert) -> Alert:
    """Fill in what follows from the rest."""
    targets = tuple(
        format_address(member >> 64, member & (1 << 64) - 1)
        for member in alert.evidence.targets.sample[:LISTED_TARGETS]
    )
    reason = explain(
        alert.kind,
        alert.sources[0],
        targets,
        alert.evidence,
        alert.last_seen - alert.first_seen,
        alert.score,
        alert.threshold,
    )
    return replace(alert, targets_sample=targets, reason=reason)


def _new_id(window: WindowCounts, source: str, means: Means) -> str:
    return "a" + hashlib.sha256(f"{window.id}\0{source}\0{means.name}".encode()).hexdigest()[:20]
