"""A verdict's alert: what its window knows of the scan."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.alert import LISTED_SERVICES, LISTED_TARGETS, TECHNIQUES, Alert, Distinct, Evidence
from service.alerts.distinct import distinct
from service.alerts.reason import explain
from service.capture.address import format_address
from service.capture.services import Means, format_service

if TYPE_CHECKING:
    from service.alerts.allow import AllowList
    from service.alerts.sources import Verdict
    from service.windows.counts import WindowCounts


def measured(window: WindowCounts, verdict: Verdict, pattern: str | None, allowed: AllowList) -> Alert:
    """Return the alert of a scan that is known from one window only, but for its reason."""
    rows = window.rows
    mine = verdict.rows
    high, low = window.sources[verdict.source].tolist()
    source = format_address(high, low)
    pairs = int(rows.targets[mine].sum())
    return Alert(
        id=_new_id(window, source, verdict.means),
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
        allowed_by=allowed.covering(high, low, rows.service[mine].tolist()),
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


def _new_id(window: WindowCounts, source: str, means: Means) -> str:
    return "a" + hashlib.sha256(f"{window.id}\0{source}\0{means.name}".encode()).hexdigest()[:20]
