"""An alert: who scanned what, how we know, and why that is a scan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The shape of a scan."""

    VERTICAL = "vertical"
    HORIZONTAL = "horizontal"
    BLOCK = "block"


TECHNIQUES = {
    # MITRE ATT&CK: Network Service Discovery; Active Scanning: Scanning IP Blocks.
    Kind.VERTICAL: "T1046",
    Kind.HORIZONTAL: "T1595.001",
    Kind.BLOCK: "T1595.001",
}

LISTED_SERVICES = 64
LISTED_TARGETS = 10


@dataclass(frozen=True, slots=True)
class Distinct:
    """A set that grows from window to window: counted exactly while small, estimated beyond.

    `sample` holds the members with the smallest hash; see `service.alerts.distinct`.
    """

    count: int
    exact: bool
    sample: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers behind a verdict."""

    attempts: int
    pairs: int
    """Distinct (target, service) pairs, summed over the alert's windows."""
    answered: int
    """How many of them took part."""
    targets: Distinct
    services: Distinct
    windows: int
    """Windows in which the scan went on."""
    estimated: bool = False
    """Whether a window was so full that only a sample of the source's pairs was kept."""
    shed: int = 0
    """Attempts, of any source, that these windows had no room for."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One scan by one source, from its first to its latest window.

    Raises ValueError if it names no source, ends before it begins, or lies below its threshold.
    """

    id: str
    sensor: str
    kind: Kind
    sources: tuple[str, ...]
    services: tuple[str, ...]
    """The services with most targets, at most `LISTED_SERVICES`; `evidence.services.count` counts all."""
    targets_sample: tuple[str, ...]
    """At most `LISTED_TARGETS` targets, chosen by hash."""
    first_seen: int
    """First attempt, ns since the epoch."""
    last_seen: int
    """Last attempt, ns since the epoch."""
    score: float
    """The evidence that decided: unanswered services on one target, or unanswered targets of a service."""
    threshold: float
    """The score at which a scan is named."""
    technique: str
    """MITRE ATT&CK id."""
    pattern: str | None
    """Id of the pattern that the source followed most."""
    reason: str
    """One sentence that says why."""
    evidence: Evidence

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: an alert names at least one")
        if self.last_seen < self.first_seen:
            raise ValueError(f"last_seen: {self.last_seen} is before first_seen {self.first_seen}")
        if self.score < self.threshold:
            raise ValueError(f"score: {self.score} is below the threshold {self.threshold}")
