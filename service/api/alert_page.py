"""Alerts as documents, with what people have said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.api.answers import AlertOut
from service.export.document import alert_document, format_time
from service.store.desk import Said
from service.store.events import EventKind

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.store.desk import Filed


def alert_page(filed: Filed) -> AlertOut:
    """Return an alert as it stands."""
    return _document(filed.alert, filed.said, ended=filed.ended)


def event_alert(kind: EventKind, alert: Alert, filed: Filed | None) -> AlertOut:
    """Return an alert as it was at an event, with what people have said of it by now, as far as it is stored."""
    ended = kind is EventKind.ENDED
    if kind in (EventKind.ACKNOWLEDGED, EventKind.MUTED, EventKind.COMMENTED):
        ended = filed is None or filed.ended
    return _document(alert, Said() if filed is None else filed.said, ended=ended)


def _document(alert: Alert, said: Said, *, ended: bool) -> AlertOut:
    return AlertOut(
        **alert_document(alert),
        state="ended" if ended else "open",
        excess=alert.excess,
        acknowledged=said.acknowledged is not None,
        acknowledged_at=_time(said.acknowledged),
        acknowledged_by=said.acknowledged_by,
        muted_until=_time(said.muted_until),
        muted_by=said.muted_by,
        comment_count=said.comments,
    )


def _time(time: int | None) -> str | None:
    return None if time is None else format_time(time)
