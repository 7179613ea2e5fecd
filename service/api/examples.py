"""One made-up scan, as the documents of the API show it."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

ROW: Example = {"source": "192.0.2.1", "service": "tcp/23", "attempts": 41, "targets": 41, "answered": 2}
TOTALS: Example = {
    "source": "192.0.2.1",
    "targets": 41,
    "most_services_on_one_target": 1,
    "most_unanswered_services_on_one_target": 1,
    "most_targets_of_one_service": 41,
}
INTERVAL: Example = {"start": "2026-03-01T12:00:00.000000Z", "end": "2026-03-01T12:01:00.000000Z"}
WINDOW: Example = {"sensor": "edge", **INTERVAL, "rows": [ROW], "sources": [TOTALS]}
REFERENCE: Example = {"id": "p1c0ffee", "url": "/v1/patterns/p1c0ffee"}
ALERT_REFERENCE: Example = {"id": "a1c0ffee", "url": "/v1/alerts/a1c0ffee"}
SEEN: Example = {"first_seen": "2026-03-01T12:00:00.120000Z", "last_seen": "2026-03-01T12:04:59.870000Z"}
ACCEPTED: Example = {
    "id": "w0123456789abcdef0123",
    "url": "/v1/windows/w0123456789abcdef0123",
    "patterns": [REFERENCE],
    "alerts": [ALERT_REFERENCE],
}
JOB: Example = {
    "id": "j0123456789abcdef0123",
    "url": "/v1/jobs/j0123456789abcdef0123",
    "window": ACCEPTED["id"],
    "window_url": ACCEPTED["url"],
}
TELNET: list[Example] = [{"service": "tcp/23", "share": 0.9}, {"service": "tcp/2323", "share": 0.1}]
PATTERN: Example = {
    "id": REFERENCE["id"],
    "sensor": "edge",
    "name": "telnet pair 23/2323",
    "status": "known",
    "judged": False,
    "state": "live",
    "successor": None,
    "parents": [],
    "version": 1,
    "window_seconds": 60.0,
    "services": TELNET,
    "service_count": 2,
    "members": [{"source": "192.0.2.1", "share": 0.98}],
    "member_count": 1,
    **SEEN,
    "windows": 5,
    "prevalence": 1.0,
    "reach": 0.5,
    "novelty": 0.9,
    "drift": 0.01,
    "techniques": ["T1595.001"],
}
VERSION: Example = {
    "version": 1,
    "event": "born",
    "time": INTERVAL["start"],
    "status": "new",
    "name": PATTERN["name"],
    "services": TELNET,
    "member_count": 1,
    "windows": 1,
    "others": [],
}
SHED: Example = {"sources": 0, "pairs": 0, "attempts": 0, "sampled": 0}
USUAL: Example = {
    "window_seconds": 60.0,
    "windows": 1440,
    "seen": 12,
    "complete": True,
    "source": {"attempts": 4.0, "pairs": 2.5, "services": 1.5},
    "sources_median": {"attempts": 2.0, "pairs": 1.0, "services": 1.0},
    "sources_99_percent": {"attempts": 60.0, "pairs": 18.0, "services": 4.0},
}
ALERT: Example = {
    "id": ALERT_REFERENCE["id"],
    "sensor": "edge",
    "kind": "horizontal",
    "sources": ["192.0.2.1"],
    "memberships": [],
    "services": ["tcp/23"],
    "service_count": 1,
    "targets_sample": ["198.51.100.7"],
    "target_count": 41,
    "targets_exact": True,
    "attempts": 41,
    "pairs": 41,
    "answered": 2,
    "answered_share": 2 / 41,
    "attempts_per_second": 0.137,
    "windows": 5,
    "estimated": False,
    "shed_attempts": 0,
    **SEEN,
    "open_until": "2026-03-01T12:14:59.870000Z",
    "named_at": "2026-03-01T12:01:00.000000Z",
    "named_after_pairs": 12,
    "scale_seconds": 60.0,
    "updates": 1,
    "ground": "targets",
    "score": 39.0,
    "threshold": 10.0,
    "baseline": None,
    "usual": USUAL,
    "tool": {"name": "zmap", "pairs": 41, "of": 41, "evidence": "41 of 41 TCP pairs have IP id 54321"},
    "technique": "T1595.001",
    "pattern": REFERENCE["id"],
    "reason": "192.0.2.1 tried tcp/23 on 39 targets in vain.",
    "allowed_by": None,
    "excess": 3.9,
    "state": "open",
    "acknowledged": True,
    "acknowledged_at": "2026-03-01T12:07:31.000000Z",
    "acknowledged_by": "anonymous",
    "muted_until": None,
    "muted_by": None,
    "comment_count": 1,
}
COMMENT: Example = {
    "id": "17",
    "time": "2026-03-01T12:08:02.000000Z",
    "author": "anonymous",
    "text": "A camera that was taken over; cut off.",
}
ACTIVITY: Example = {
    "id": ACCEPTED["id"],
    "url": ACCEPTED["url"],
    "sensor": "edge",
    **INTERVAL,
    "attempts": 41,
    "targets": 41,
    "service_count": 1,
    "services": [{"service": "tcp/23", "attempts": 41, "targets": 41, "answered": 2}],
    **SEEN,
}
ACTIVITIES: Example = {"items": [ACTIVITY], "next": None}
INCIDENT: Example = {
    **ALERT_REFERENCE,
    "kind": "horizontal",
    "sensor": "edge",
    **SEEN,
    "excess": 3.9,
    "state": "open",
    "reason": ALERT["reason"],
    "allowed_by": None,
}
MEMBERSHIP: Example = {
    **REFERENCE,
    "name": PATTERN["name"],
    "sensor": "edge",
    "share": 0.98,
    "last_seen": SEEN["last_seen"],
}
SENSOR: Example = {
    "name": "edge",
    "url": "/v1/sensors/edge",
    "windows": 1440,
    "attempts": 512345,
    "shed": 0,
    "dropped": 12,
    "first_window": "2026-02-28T12:01:00.000000Z",
    "latest_window": INTERVAL["end"],
    "lag_seconds": 4.2,
    "heard_at": "2026-03-01T12:01:03.100000Z",
    "open_alerts": 1,
    "history_days": 1.0,
}
DAY: Example = {
    "sensor": "edge",
    "day": "2025-02-28T00:00:00.000000Z",
    "window_seconds": 60.0,
    "windows": 1440,
    "attempts": 512345,
    "answered": 48211,
    "most_sources": 812,
    "most_services": 140,
    "shed": 0,
}
SETTING: Example = {
    "value": 2.5,
    "configured": 1.0,
    "changed_at": "2026-03-01T11:00:00.000000Z",
    "changed_by": "anonymous",
}
RULE: Example = {
    "id": "r0123456789abcdef",
    "rule": "192.0.2.0/28 tcp/443",
    "note": "our own scanner",
    "origin": "api",
    "created_at": "2026-03-01T11:00:00.000000Z",
    "created_by": "anonymous",
}
CHANGE: Example = {
    "id": "17",
    "time": "2026-03-01T12:07:31.000000Z",
    "actor": "anna",
    "method": "PATCH",
    "path": "/v1/alerts/a1c0ffee",
    "status": 200,
    "request": "5f0c2a9be4314a6f",
}
OUTPUT: Example = {
    "name": "soc",
    "url": "/v1/outputs/soc",
    "position": 1234,
    "behind": 2,
    "behind_seconds": 31.5,
    "tries": 4,
    "failure": "soc.example.org answered 503",
    "next_try_seconds": 12.0,
    "dead_letters": 1,
    "put_back": 0,
}
DEAD_LETTER: Example = {
    "id": "3",
    "time": "2026-03-01T12:08:02.000000Z",
    "reason": "soc.example.org answered 422",
    "sequence": 1198,
    "event": "opened",
    "at": "2026-03-01T12:01:00.500000Z",
    "alert": ALERT_REFERENCE,
}
WORK: Example = {"jobs": 0, "bytes": 0, "oldest_seconds": None}
