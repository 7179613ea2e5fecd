"""An alert: who scanned what, how we know, and why that is a scan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.alerts.tools import Tool


class Kind(StrEnum):
    """The shape of a scan."""

    VERTICAL = "vertical"
    HORIZONTAL = "horizontal"
    BLOCK = "block"
    COORDINATED = "coordinated"


class Ground(StrEnum):
    """What decided that it is a scan."""

    SERVICES = "services"
    """Unanswered services on one target."""
    TARGETS = "targets"
    """Unanswered targets of one service."""
    GRID = "grid"
    """Services that fail on several targets each, and several of them on one target."""
    DARK = "dark"
    """Targets of one service that nobody has an honest reason to try."""
    PINGED = "pinged"
    """Targets of an ICMP request."""
    ASKED = "asked"
    """Unanswered targets of ARP requests."""
    SURGE = "surge"
    """More sources of a service than the sensor's past explains."""
    NOVELTY = "novelty"
    """More sources of a service that hardly anybody tried before."""
    BREADTH = "breadth"
    """More sources that try a service broadly, or several services, than the past explains."""
    PATTERN = "pattern"
    """More sources that follow one pattern of services than the past explains."""


TECHNIQUES = {
    # MITRE ATT&CK: Network Service Discovery; Active Scanning: Scanning IP Blocks.
    Kind.VERTICAL: "T1046",
    Kind.HORIZONTAL: "T1595.001",
    Kind.BLOCK: "T1595.001",
    Kind.COORDINATED: "T1595.001",
}

GAP = 600 * 1_000_000_000
"""A scan that pauses for longer, ns, is another one when it returns, unless it took longer windows to see it."""

LISTED_SERVICES = 64
LISTED_TARGETS = 10
LISTED_SOURCES = 1000


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

    @property
    def answered_share(self) -> float:
        """The share of the pairs that took part."""
        return self.answered / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the sensor's past let expect of a group."""

    sources: float
    """So many sources, ..."""
    spread: float
    """... with this standard deviation."""
    alarms: float
    """False alarms a day of such a score, by the tail of past scores."""
    days: float
    """Days of history that this rests on."""


@dataclass(frozen=True, slots=True)
class Typical:
    """What a source does in a window."""

    attempts: float
    pairs: float
    """Distinct (target, service) pairs."""
    services: float


@dataclass(frozen=True, slots=True)
class Usual:
    """What was usual before a source was named, in windows of one length."""

    length: int
    """Of the windows, ns."""
    windows: int
    """So many were seen before, ..."""
    seen: int
    """... and the source in so many of them, as far as is known."""
    complete: bool
    """False if there were more sources than could be remembered, and this one is not among those that are."""
    source: Typical
    """What the source did in a window in which it was seen, on average; windows count half after two weeks."""
    median: Typical
    """What half of the sensor's sources do not exceed, ..."""
    high: Typical
    """... and 99 % of them."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One scan by one source, or by a group of them, from its first to its latest window.

    Raises ValueError if it names no source, ends before it begins, or lies below its threshold.
    """

    id: str
    sensor: str
    kind: Kind
    sources: tuple[str, ...]
    """One, or of a group at most `LISTED_SOURCES`, the surest members first."""
    services: tuple[str, ...]
    """The services with most targets, at most `LISTED_SERVICES`; `evidence.services.count` counts all."""
    targets_sample: tuple[str, ...]
    """At most `LISTED_TARGETS` targets, chosen by hash."""
    first_seen: int
    """First attempt, ns since the epoch."""
    last_seen: int
    """Last attempt, ns since the epoch."""
    ground: Ground
    score: float
    """The evidence that decided, of the kind that `ground` says."""
    threshold: float
    """The score at which a scan is named."""
    technique: str
    """MITRE ATT&CK id."""
    pattern: str | None
    """Id of the pattern that the source followed most."""
    reason: str
    """One sentence that says why."""
    evidence: Evidence
    scale: int
    """Length of the windows in which it was named, ns."""
    named_at: int
    """When it was named, in the time of the traffic, ns since the epoch."""
    named_after: int
    """The pairs that had been tried by then."""
    counted_until: int
    """End of the latest window that the evidence holds, ns since the epoch."""
    updates: int = 0
    """How often the scan has doubled, in pairs, since it was named or the last update."""
    told: int = 0
    """The pairs at the last update."""
    memberships: tuple[float, ...] = ()
    """Of a group: how sure each of the sources is a member, in (0, 1]."""
    tool: Tool | None = None
    """What the source scans with, where its packets show it."""
    baseline: Baseline | None = None
    """Of a group: what was to be expected."""
    usual: Usual | None = None
    """Of a single source: what it and the sensor's others did before, where windows tell."""
    allowed_by: str | None = None
    """The rules of the allow-list that let its sources do all of this, or the pattern judged benign or muted that
    explains it; None: somebody should be told."""

    @property
    def rate(self) -> float:
        """Attempts a second from the first to the last; of a single moment as if it were a second."""
        return self.evidence.attempts / max((self.last_seen - self.first_seen) / 1e9, 1.0)

    @property
    def excess(self) -> float:
        """How many times the threshold the evidence is: comparable between grounds."""
        return self.score / self.threshold if self.threshold > 0 else 1.0

    @property
    def open_until(self) -> int:
        """What the source tries up to then, ns since the epoch, goes on with this scan."""
        return self.last_seen + max(GAP, self.scale)

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: an alert names at least one")
        if self.memberships and len(self.memberships) != len(self.sources):
            raise ValueError(f"memberships: {len(self.memberships)} of {len(self.sources)} sources")
        if self.last_seen < self.first_seen:
            raise ValueError(f"last_seen: {self.last_seen} is before first_seen {self.first_seen}")
        if self.score < self.threshold:
            raise ValueError(f"score: {self.score} is below the threshold {self.threshold}")
