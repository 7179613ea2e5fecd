"""Alerts and patterns as JSON documents: one form for the API, the command line and files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.alerts.alert import Alert, Baseline, Typical, Usual
    from service.alerts.tools import Tool
    from service.patterns.pattern import Pattern, PatternVersion, Shares

Document = dict[str, Any]
"""Holds nothing but what JSON knows."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_time(time: int) -> str:
    """Write ns since the epoch as ISO 8601 in UTC, cut to microseconds: ``2026-03-01T12:00:00.000000Z``."""
    moment = _EPOCH + timedelta(microseconds=time // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def alert_document(alert: Alert) -> Document:
    """Return the document of an alert."""
    evidence = alert.evidence
    return {
        "id": alert.id,
        "sensor": alert.sensor,
        "kind": alert.kind.value,
        "sources": list(alert.sources),
        "memberships": list(alert.memberships),
        "services": list(alert.services),
        "service_count": evidence.services.count,
        "targets_sample": list(alert.targets_sample),
        "target_count": evidence.targets.count,
        "targets_exact": evidence.targets.exact,
        "attempts": evidence.attempts,
        "pairs": evidence.pairs,
        "answered": evidence.answered,
        "answered_share": evidence.answered_share,
        "attempts_per_second": alert.rate,
        "windows": evidence.windows,
        "estimated": evidence.estimated,
        "shed_attempts": evidence.shed,
        "first_seen": format_time(alert.first_seen),
        "last_seen": format_time(alert.last_seen),
        "open_until": format_time(alert.open_until),
        "named_at": format_time(alert.named_at),
        "named_after_pairs": alert.named_after,
        "scale_seconds": alert.scale / 1e9,
        "updates": alert.updates,
        "ground": alert.ground.value,
        "score": alert.score,
        "threshold": alert.threshold,
        "baseline": _baseline(alert.baseline),
        "usual": _usual(alert.usual),
        "tool": _tool(alert.tool),
        "technique": alert.technique,
        "pattern": alert.pattern,
        "reason": alert.reason,
        "allowed_by": alert.allowed_by,
    }


def _baseline(baseline: Baseline | None) -> Document | None:
    if baseline is None:
        return None
    return {
        "sources": baseline.sources,
        "spread": baseline.spread,
        "false_alarms_a_day": baseline.alarms,
        "days": baseline.days,
    }


def _usual(usual: Usual | None) -> Document | None:
    if usual is None:
        return None
    return {
        "window_seconds": usual.length / 1e9,
        "windows": usual.windows,
        "seen": usual.seen,
        "complete": usual.complete,
        "source": _typical(usual.source),
        "sources_median": _typical(usual.median),
        "sources_99_percent": _typical(usual.high),
    }


def _typical(typical: Typical) -> Document:
    return {"attempts": typical.attempts, "pairs": typical.pairs, "services": typical.services}


def _tool(tool: Tool | None) -> Document | None:
    if tool is None:
        return None
    return {"name": tool.name, "pairs": tool.pairs, "of": tool.of, "evidence": tool.evidence}


def pattern_document(pattern: Pattern) -> Document:
    """Return the document of a pattern."""
    return {
        "id": pattern.id,
        "sensor": pattern.sensor,
        "name": pattern.name,
        "status": pattern.status.value,
        "judged": pattern.judged,
        "state": pattern.state.value,
        "successor": pattern.successor,
        "parents": list(pattern.parents),
        "version": pattern.version,
        "window_seconds": pattern.length / 1e9,
        "services": _services(pattern.services),
        "service_count": pattern.service_count,
        "members": [{"source": source, "share": share} for source, share in pattern.members],
        "member_count": pattern.member_count,
        "first_seen": format_time(pattern.first_seen),
        "last_seen": format_time(pattern.last_seen),
        "windows": pattern.windows,
        "prevalence": pattern.prevalence,
        "reach": pattern.reach,
        "novelty": pattern.novelty,
        "drift": pattern.drift,
        "techniques": list(pattern.techniques),
    }


def version_document(version: PatternVersion) -> Document:
    """Return the document of a pattern's version."""
    return {
        "version": version.version,
        "event": version.event.value,
        "time": format_time(version.time),
        "status": version.status.value,
        "name": version.name,
        "services": _services(version.services),
        "member_count": version.member_count,
        "windows": version.windows,
        "others": list(version.others),
    }


def _services(shares: Shares) -> list[Document]:
    return [{"service": service, "share": share} for service, share in shares]
