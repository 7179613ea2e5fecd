"""One incident, not thousands: a scan that goes on from window to window is one alert that grows.

Windows of several lengths tell of the same attempts. An alert therefore remembers up to when its evidence counts:
windows after that add to it, while one that lies before counts only for what the alert does not hold yet.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from service.alerts.alert import LISTED_SERVICES, TECHNIQUES, Alert, Evidence, Kind
from service.alerts.evidence import alert_id, measured, united, with_reason
from service.alerts.sources import Verdict, further_rows
from service.alerts.tools import Tool, joined
from service.capture.address import parse_address
from service.capture.services import Means

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.alerts.allow import AllowList
    from service.alerts.habits import Habits
    from service.windows.counts import WindowCounts

Whose = tuple[int, Means]
"""A source's index in a window, and what it scans with."""


def follow(
    window: WindowCounts,
    verdicts: Sequence[Verdict],
    known: Iterable[Alert],
    patterns: Mapping[int, str],
    allowed: AllowList,
    habits: Habits,
) -> list[Alert]:
    """Return the alerts that begin or go on in a window.

    `known` are those that were open when the window began, `patterns` the pattern that each source (its index in
    the window) follows most, `habits` what the windows before tell.
    """
    before = _by_source(window, known)
    changed = []
    for verdict in verdicts:
        mine = before.pop((verdict.source, verdict.means), [])
        if not _holds_all(mine, window, verdict):
            changed.append(
                _grown(mine, measured(window, verdict, patterns.get(verdict.source), allowed, habits), allowed)
            )
    for (source, by), alerts in before.items():
        latest = alerts[-1]
        if latest.counted_until > window.start and latest.id != alert_id(window, source, by):
            continue
        rows = further_rows(window, source, by)
        if len(rows):
            more = Verdict(source, by, latest.kind, latest.ground, int(latest.score), int(latest.threshold), rows)
            changed.append(_added(latest, measured(window, more, patterns.get(source), allowed, habits), allowed))
    return changed


def begin(
    window: WindowCounts, verdicts: Sequence[Verdict], known: Iterable[Alert], allowed: AllowList, habits: Habits
) -> list[Alert]:
    """Return the alerts that begin in a look at a window that is still open; `known` as in `follow`.

    When the window is over, `follow` gives them all of its evidence.
    """
    before = _by_source(window, known)
    return [
        with_reason(measured(window, verdict, None, allowed, habits))
        for verdict in verdicts
        if (verdict.source, verdict.means) not in before
    ]


def _by_source(window: WindowCounts, alerts: Iterable[Alert]) -> dict[Whose, list[Alert]]:
    """Return the alerts whose source occurs in a window, the latest last."""
    alerts = sorted(alerts, key=lambda alert: alert.last_seen)
    places = {(high, low): i for i, (high, low) in enumerate(window.sources.tolist())} if alerts else {}
    found: dict[Whose, list[Alert]] = defaultdict(list)
    for alert in alerts:
        place = places.get(parse_address(alert.sources[0]))
        of_one = alert.kind is not Kind.COORDINATED
        if of_one and place is not None and alert.first_seen < window.end:
            found[place, means_of(alert)].append(alert)
    return found


def means_of(alert: Alert) -> Means:
    """Return what an alert's source scans with."""
    protocol = alert.services[0].partition("/")[0]
    return {"icmp": Means.ICMP, "icmp6": Means.ICMP, "arp": Means.ARP}.get(protocol, Means.PORTS)


def _holds_all(before: Sequence[Alert], window: WindowCounts, verdict: Verdict) -> bool:
    """Tell whether the alerts of before, of shorter or overlapping windows, hold what a verdict says."""
    overlapping = [alert for alert in before if alert.counted_until > window.start]
    if not overlapping or any(alert.id == alert_id(window, verdict.source, verdict.means) for alert in before):
        return False
    pairs = int(window.rows.targets[verdict.rows].sum())
    return pairs - sum(alert.evidence.pairs for alert in overlapping) < verdict.threshold


def _grown(before: Sequence[Alert], found: Alert, allowed: AllowList) -> Alert:
    """Return what a verdict's alert becomes beside those of before, which do not hold all of it."""
    looked_at = [alert for alert in before if alert.id == found.id]
    if looked_at:
        return _added(looked_at[0], found, allowed)
    start = found.counted_until - found.scale
    overlapping = [alert for alert in before if alert.counted_until > start]
    if overlapping:
        return _enlarged(overlapping[-1], found, allowed)
    of_same = [alert for alert in before if _goes_on(alert, found)]
    return _added(of_same[-1], found, allowed) if of_same else with_reason(found)


def _goes_on(before: Alert, found: Alert) -> bool:
    """Tell whether a scan can be the other's continuation: one sweep for other services can't."""
    swept = before.kind is Kind.HORIZONTAL and found.kind is Kind.HORIZONTAL
    return not swept or bool(set(before.services) & set(found.services))


def _added(before: Alert, found: Alert, allowed: AllowList) -> Alert:
    """Return an alert with the evidence of a later window, or all of that in which a look has named it."""
    if before.id == found.id:
        return _joined(before, found, found.evidence, found.tool or before.tool, allowed)
    evidence = united(before.evidence, found.evidence, added=True)
    return _joined(before, found, evidence, joined(before.tool, found.tool), allowed)


def _enlarged(before: Alert, found: Alert, allowed: AllowList) -> Alert:
    """Return an alert with the evidence of a longer window that holds its own, and more."""
    evidence = united(before.evidence, found.evidence, added=False)
    return _joined(before, found, evidence, found.tool or before.tool, allowed)


def _joined(before: Alert, found: Alert, evidence: Evidence, tool: Tool | None, allowed: AllowList) -> Alert:
    listed = dict.fromkeys((*before.services, *found.services))
    kind = Kind.BLOCK if Kind.BLOCK in (before.kind, found.kind) else before.kind
    doubled = evidence.pairs >= 2 * before.told
    stronger = found if found.ground is before.ground and found.score > before.score else before
    return with_reason(
        replace(
            before,
            kind=kind,
            technique=TECHNIQUES[kind],
            services=tuple(listed)[:LISTED_SERVICES],
            first_seen=min(before.first_seen, found.first_seen),
            last_seen=max(before.last_seen, found.last_seen),
            score=stronger.score,
            pattern=before.pattern or found.pattern,
            counted_until=max(before.counted_until, found.counted_until),
            updates=before.updates + doubled,
            told=evidence.pairs if doubled else before.told,
            evidence=evidence,
            tool=tool,
            usual=before.usual or found.usual,
            allowed_by=allowed.both(before, found.services, found.evidence.services.count, found.allowed_by),
        )
    )
