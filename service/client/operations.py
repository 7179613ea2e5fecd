"""Everything that can be asked of the service, as operations on documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from service.client.steps import Answer, Call
from service.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.client.steps import Plan

Document = dict[str, Any]

_WINDOW = "application/vnd.yocho.window"
_JSON = {"content-type": "application/json"}
_PAGE = 1000
"""Items that are asked for at a time."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Traffic that the service has stored: `document` is its receipt once `done`, and before that its job."""

    done: bool
    document: Document
    job: str | None
    """Id of the job, while it is not done."""


def send_window(window: Mapping[str, Any] | bytes, wait: float = 0.0) -> Plan[Accepted]:
    """Hand over the counts of a window, as a document of ``POST /v1/windows`` or as bytes of a sensor.

    Returns when it is stored; with `wait`, when it is analysed, or after so many seconds. The same window may be
    sent again. Raises RemoteError with status 409 if other content was accepted for it.
    """
    body, kind = (window, _WINDOW) if isinstance(window, bytes) else (_dumped(window), _JSON["content-type"])
    answer = yield Call("POST", "/v1/windows", headers={"content-type": kind} | _prefer(wait), body=body)
    return _accepted(answer)


def send_windows(windows: Iterable[Mapping[str, Any]], wait: float = 0.0) -> Plan[list[Document]]:
    """Hand over windows that come together, as documents of ``POST /v1/windows``; return their jobs.

    All are taken in or, if any is refused, none: RemoteError says in which line it stood. See `send_window`.
    """
    body = b"".join(_dumped(window) + b"\n" for window in windows)
    headers = {"content-type": "application/x-ndjson"} | _prefer(wait)
    document = _document((yield Call("POST", "/v1/windows", headers=headers, body=body)))
    jobs: list[Document] = document["jobs"]
    return jobs


def send_file(
    path: str | Path, sensor: str, wait: float = 0.0, content_type: str = "application/vnd.tcpdump.pcap"
) -> Plan[Accepted]:
    """Hand over a capture or a log of flows, piece by piece; see `send_window`."""
    headers = {"content-type": content_type} | _prefer(wait)
    answer = yield Call("POST", "/v1/windows", {"sensor": sensor}, headers, Path(path))
    return _accepted(answer)


def job(job_id: str) -> Plan[Document]:
    """Return the state of what was handed over."""
    return (yield from _get(f"/v1/jobs/{_part(job_id)}"))


def alerts(limit: int = 100, **filters: str | float) -> Plan[list[Document]]:
    """Return at most `limit` alerts, last begun first; the filters are those of ``GET /v1/alerts``."""
    return (yield from _pages("/v1/alerts", limit, filters))


def alert(alert_id: str) -> Plan[Document]:
    """Return an alert as it is by now."""
    return (yield from _get(f"/v1/alerts/{_part(alert_id)}"))


def change_alert(alert_id: str, **changes: Any) -> Plan[Document]:
    """Acknowledge or mute an alert, as ``PATCH /v1/alerts/{id}`` takes it."""
    return (yield from _change(f"/v1/alerts/{_part(alert_id)}", changes))


def comment(alert_id: str, text: str) -> Plan[Document]:
    """Add a comment to an alert."""
    path = f"/v1/alerts/{_part(alert_id)}/comments"
    return _document((yield Call("POST", path, headers=_JSON, body=_dumped({"text": text}), repeatable=False)))


def patterns(limit: int = 100, **filters: str | float) -> Plan[list[Document]]:
    """Return at most `limit` patterns, last found first; the filters are those of ``GET /v1/patterns``."""
    return (yield from _pages("/v1/patterns", limit, filters))


def pattern(pattern_id: str) -> Plan[Document]:
    """Return a pattern as it was in its latest window."""
    return (yield from _get(f"/v1/patterns/{_part(pattern_id)}"))


def judge_pattern(pattern_id: str, status: str) -> Plan[Document]:
    """Say that a pattern is ``known``, ``benign`` or ``muted``."""
    return (yield from _change(f"/v1/patterns/{_part(pattern_id)}", {"status": status}))


def source(address: str) -> Plan[Document]:
    """Return what is known of a source."""
    return (yield from _get(f"/v1/sources/{_part(address)}"))


def sensors() -> Plan[Document]:
    """Return the sensors."""
    return (yield from _get("/v1/sensors"))


def days(sensor: str, limit: int = 366, **filters: str | float) -> Plan[list[Document]]:
    """Return at most `limit` sums of a sensor's days, latest first; the filters are those of ``GET /v1/days``."""
    return (yield from _pages("/v1/days", limit, {"sensor": sensor, **filters}))


def outputs() -> Plan[Document]:
    """Return where the outputs of alerts stand."""
    return (yield from _get("/v1/outputs"))


def dead_letters(output: str, limit: int = 100) -> Plan[list[Document]]:
    """Return at most `limit` events that an output gave up, latest first."""
    return (yield from _pages(f"/v1/outputs/{_part(output)}/dead-letters", limit, {}))


def retry_output(output: str) -> Plan[Document]:
    """Let an output try again what it gave up; return where it stands."""
    return _document((yield Call("POST", f"/v1/outputs/{_part(output)}/retry")))


def audit(limit: int = 100, **filters: str | float) -> Plan[list[Document]]:
    """Return at most `limit` entries of the audit log, latest first; the filters are those of ``GET /v1/audit``.

    It takes a token with the scope admin.
    """
    return (yield from _pages("/v1/audit", limit, filters))


def status() -> Plan[Document]:
    """Return how the service is."""
    return (yield from _get("/v1/status"))


def _get(path: str, params: Mapping[str, str] | None = None) -> Plan[Document]:
    return _document((yield Call("GET", path, params or {})))


def _change(path: str, changes: Mapping[str, Any]) -> Plan[Document]:
    return _document((yield Call("PATCH", path, headers=_JSON, body=_dumped(changes))))


def _pages(path: str, limit: int, filters: Mapping[str, str | float]) -> Plan[list[Document]]:
    found: list[Document] = []
    params = {name: str(value) for name, value in filters.items()}
    while len(found) < limit:
        page = yield from _get(path, params | {"limit": str(min(limit - len(found), _PAGE))})
        found += page["items"]
        if page.get("next") is None:
            break
        params["cursor"] = page["next"]
    return found


def _accepted(answer: Answer) -> Accepted:
    document, done = _document(answer), answer.status != 202
    return Accepted(done, document, None if done else document.get("id"))


def _document(answer: Answer) -> Document:
    try:
        document = json.loads(answer.content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RemoteError("the answer is no JSON object; is this URL that of Yocho?", answer.status)
    return document


def _dumped(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _prefer(wait: float) -> dict[str, str]:
    return {"prefer": f"wait={round(wait)}"} if wait else {}


def _part(text: str) -> str:
    """Return text as one part of a path: no id leads elsewhere."""
    return quote(text, safe="")
