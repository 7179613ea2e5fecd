"""Which events an output tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.alerts.alert import Kind
from service.export.severity import SCORES, Severity, severity_of
from service.store.events import EventKind

if TYPE_CHECKING:
    from service.outputs.output import Notice

SCANS = frozenset({EventKind.OPENED, EventKind.GREW, EventKind.ENDED})
"""What scans do; the other events are what people do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an event must be like."""

    events: frozenset[EventKind] = SCANS
    kinds: frozenset[Kind] = frozenset(Kind)
    severity: Severity = Severity.LOW
    """The least."""
    allowed: bool = False
    """Whether alerts that the allow-list covers are told, too."""
    muted: bool = False
    """Whether alerts that somebody has muted are told, too."""

    def takes(self, notice: Notice, muted_until: int | None) -> bool:
        """Tell whether an event is wanted; `muted_until` is up to when its alert is muted, ns since the epoch."""
        event, alert = notice.event, notice.alert
        silenced = event.kind in SCANS and muted_until is not None and event.at < muted_until
        return (
            event.kind in self.events
            and alert.kind in self.kinds
            and (self.allowed or alert.allowed_by is None)
            and (self.muted or not silenced)
            and SCORES[severity_of(alert)] >= SCORES[self.severity]
        )
