"""The documents that go out."""

from __future__ import annotations

from pydantic import BaseModel

from service.api import examples
from service.api.schemas import Address, Service, TimeText, config


class Reference(BaseModel):
    """Something that is stored, and where."""

    model_config = config(examples.REFERENCE)

    id: str
    url: str


class WindowAccepted(BaseModel):
    """A window that was taken in; the same for each repetition."""

    model_config = config(examples.ACCEPTED)

    id: str
    url: str
    patterns: list[Reference]
    """What was found in it."""
    alerts: list[Reference]
    """Alerts that began or went on in it."""


class CaptureAccepted(BaseModel):
    """A capture that was taken in, window by window."""

    model_config = config(
        {
            "windows": [examples.ACCEPTED],
            "packets": 4112,
            "flows": 0,
            "attempts": 388,
            "unparsed": {"ether type 0x88cc": 3},
            "tunnelled": {"vxlan": 12},
            "damage": None,
        }
    )

    windows: list[WindowAccepted]
    """In the order of time; none if the capture holds no traffic."""
    packets: int
    flows: int
    """Of a log of flows."""
    attempts: int
    unparsed: dict[str, int]
    """Packets and flows that were not understood, by reason."""
    tunnelled: dict[str, int]
    """Packets that were read out of tunnels, by kind of tunnel."""
    damage: str | None
    """Where and why reading ended early."""


class RowOut(BaseModel):
    """What one source tried of one service in a window."""

    model_config = config({**examples.ROW, "probed": 39, "dark": 0, **examples.SEEN})

    source: Address
    service: Service
    attempts: int
    targets: int
    answered: int
    probed: int
    """Distinct targets that did not take part and were tried a few times only."""
    dark: int
    """Distinct targets that many sources tried and that answered nobody."""
    first_seen: TimeText
    last_seen: TimeText


class TotalsOut(BaseModel):
    """What rows can't tell of a source."""

    model_config = config(examples.TOTALS)

    source: Address
    targets: int
    most_services_on_one_target: int
    most_unanswered_services_on_one_target: int
    most_targets_of_one_service: int


class ShedOut(BaseModel):
    """What the window had no room for."""

    model_config = config(examples.SHED)

    sources: int
    """Sources that were dropped, those with least evidence of a scan first."""
    pairs: int
    """Distinct (target, service) pairs that were dropped with them."""
    attempts: int
    """Attempts that were dropped with them, and count nowhere."""
    sampled: int
    """Attempts that a sample of their source's pairs stands for."""


class WindowOut(BaseModel):
    """A stored window and part of its rows."""

    model_config = config(
        {
            "id": examples.ACCEPTED["id"],
            "sensor": "edge",
            **examples.INTERVAL,
            "exact": True,
            "shed": examples.SHED,
            "sampled_sources": 0,
            "attempts": 41,
            "source_count": 1,
            "row_count": 1,
            "rows": [{**examples.ROW, "probed": 39, "dark": 0, **examples.SEEN}],
            "sources": [examples.TOTALS],
            "patterns": [examples.REFERENCE],
            "alerts": [examples.ALERT_REFERENCE],
        }
    )

    id: str
    sensor: str
    start: TimeText
    end: TimeText
    exact: bool
    """False where totals were inferred from the rows."""
    shed: ShedOut
    sampled_sources: int
    """Sources of whose pairs only a sample was kept: their counts are estimates."""
    attempts: int
    """All attempts of the window."""
    source_count: int
    row_count: int
    """All rows of the window, listed here or not."""
    rows: list[RowOut]
    """Sorted by source, then by service."""
    sources: list[TotalsOut]
    """Totals of the sources of the rows that are listed here."""
    patterns: list[Reference]
    alerts: list[Reference]


class ServiceShare(BaseModel):
    """A service's share of a pattern."""

    model_config = config({"service": "tcp/23", "share": 0.75})

    service: Service
    share: float


class Member(BaseModel):
    """A source that follows a pattern."""

    model_config = config({"source": "192.0.2.1", "share": 0.98})

    source: Address
    share: float
    """The part of the source's attempts that the pattern explains."""


class PatternOut(BaseModel):
    """Services that are tried together, and the sources that do so."""

    model_config = config(examples.PATTERN)

    id: str
    sensor: str
    name: str
    status: str
    """new; known, from its fifth window on; or what a person said: known, benign or muted."""
    judged: bool
    """True where a person has said the status."""
    state: str
    """live; retired, not found for long; merged, another pattern has become the same."""
    successor: str | None
    """Id of the pattern into which it was merged."""
    parents: list[str]
    """Ids of the patterns from which it was split, or that were merged into it at its birth."""
    version: int
    """Grows with everything that happens to it: see its versions."""
    window_seconds: float
    """Length of the windows in which it is looked for."""
    services: list[ServiceShare]
    """The heaviest ones, heaviest first."""
    service_count: int
    members: list[Member]
    """Sources that followed it in its latest window, largest share first."""
    member_count: int
    first_seen: TimeText
    last_seen: TimeText
    windows: int
    """Windows in which it was found."""
    prevalence: float
    """Share of the sensor's windows, from its first to its latest, in which it was found."""
    reach: float
    """Share of its latest window's sources that followed it."""
    novelty: float
    """At its birth: 0 if a known pattern had the same services, 1 if none shared any."""
    drift: float
    """0 if its services are those of its birth, 1 if they are all others."""
    techniques: list[str]
    """MITRE ATT&CK ids for which some window has given evidence."""


class VersionOut(BaseModel):
    """What a pattern was when something happened to it."""

    model_config = config(examples.VERSION)

    version: int
    event: str
    """born, drifted, split, merged, retired, returned or judged."""
    time: TimeText
    """Start of the window that brought it, or when a person said it."""
    status: str
    name: str
    services: list[ServiceShare]
    """The heaviest ones, heaviest first."""
    member_count: int
    windows: int
    """Windows in which it had been found."""
    others: list[str]
    """Ids of the patterns that took part."""


class PatternHistory(BaseModel):
    """The latest versions of a pattern, oldest first."""

    model_config = config({"items": [examples.VERSION]})

    items: list[VersionOut]


class BaselineOut(BaseModel):
    """What the sensor's past let expect of a group."""

    model_config = config({"sources": 1.2, "spread": 1.4, "false_alarms_a_day": 0.001, "days": 12.0})

    sources: float
    spread: float
    """Standard deviation of the number of sources."""
    false_alarms_a_day: float
    """With such a score or a higher one."""
    days: float
    """Days of history that this rests on."""


class TypicalOut(BaseModel):
    """What a source does in a window."""

    model_config = config({"attempts": 4.0, "pairs": 2.5, "services": 1.5})

    attempts: float
    pairs: float
    """Distinct (target, service) pairs."""
    services: float


class UsualOut(BaseModel):
    """What was usual before a source was named, in windows of one length."""

    model_config = config(examples.USUAL)

    window_seconds: float
    windows: int
    """Windows of this length that were seen before, ..."""
    seen: int
    """... and those of them in which the source was seen."""
    complete: bool
    """False if the sensor has more sources than are remembered, and this one is not among those that are."""
    source: TypicalOut
    """What the source did in such a window, on average."""
    sources_median: TypicalOut
    """What half of the sensor's sources do not exceed in a window, ..."""
    sources_99_percent: TypicalOut
    """... and 99 % of them."""


class ToolOut(BaseModel):
    """A scanner's tool."""

    model_config = config({"name": "zmap", "pairs": 41, "of": 41, "evidence": "41 of 41 ..."})

    name: str
    pairs: int
    """Pairs of target and service whose packets carry its mark, ..."""
    of: int
    """... of so many that could."""
    evidence: str


class AlertOut(BaseModel):
    """One scan, from its first to its latest window."""

    model_config = config(examples.ALERT)

    id: str
    sensor: str
    kind: str
    """vertical: many services on few targets; horizontal: few on many; block: many on many; coordinated: many
    sources, each small."""
    sources: list[Address]
    """One, or of a group its surest members, at most 1000."""
    memberships: list[float]
    """Of a group: how sure each of the sources is a member; else empty."""
    services: list[Service]
    """Those with most targets."""
    service_count: int
    targets_sample: list[Address]
    target_count: int
    targets_exact: bool
    """False where target_count is an estimate."""
    attempts: int
    pairs: int
    """Distinct (target, service) pairs, summed over the windows."""
    answered: int
    """How many of the pairs took part."""
    answered_share: float
    attempts_per_second: float
    """From the first attempt to the last."""
    windows: int
    """Windows in which the scan went on."""
    estimated: bool
    """True where a window was so full that only a sample of the source's pairs was kept: counts are estimates."""
    shed_attempts: int
    """Attempts, of any source, that these windows had no room for."""
    first_seen: TimeText
    last_seen: TimeText
    open_until: TimeText
    """What the source tries up to then goes on with this scan."""
    named_at: TimeText
    """When it was named, in the time of the traffic."""
    named_after_pairs: int
    """The pairs that had been tried by then."""
    scale_seconds: float
    """Length of the windows in which it was named."""
    updates: int
    """How often the scan has doubled since it was named."""
    ground: str
    """What decided: services (unanswered ones of a target), targets (unanswered ones of a service), grid (services
    that each fail on several targets), dark (targets that answer nobody), pinged, or asked (in ARP, in vain); of a
    group surge, novelty, breadth or pattern: more sources of a service, of one hardly tried before, trying broadly,
    or following one pattern, than usual."""
    score: float
    """The evidence that decided, of that kind."""
    threshold: float
    """The score at which a scan is named."""
    baseline: BaselineOut | None
    """Of a group: what the sensor's past let expect; else null."""
    usual: UsualOut | None
    """Of a single source: what it and others did before; null where nothing is known of before."""
    tool: ToolOut | None
    """The scanner's tool, where its headers give it away, or null."""
    technique: str
    """MITRE ATT&CK id."""
    pattern: str | None
    """Id of the pattern that the source followed most."""
    reason: str
    """One sentence that says why."""
    allowed_by: str | None
    """The rules of the allow-list that cover it, the pattern judged benign or muted that explains it, or null."""
    excess: float
    """score over threshold: comparable between grounds; the filter min_score is about it."""
    state: str
    """open; or ended: a window was taken in that ends after open_until."""
    acknowledged: bool
    acknowledged_at: TimeText | None
    acknowledged_by: str | None
    """Who did so first: the name of a token, or anonymous."""
    muted_until: TimeText | None
    """Nobody wants to hear of it up to then."""
    muted_by: str | None
    comment_count: int


class AlertPage(BaseModel):
    """Part of the alerts, last begun first."""

    model_config = config({"items": [examples.ALERT], "next": "YWxlcnRzOjE3"}, {"items": [], "next": None})

    items: list[AlertOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class PatternPage(BaseModel):
    """Part of the patterns, last found first."""

    model_config = config({"items": [examples.PATTERN], "next": "cGF0dGVybnM6NQ"}, {"items": [], "next": None})

    items: list[PatternOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class Health(BaseModel):
    """The service answers."""

    model_config = config({"status": "ok", "version": "0.1.0"})

    status: str
    version: str
