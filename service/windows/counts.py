"""A window's counts: what every later step knows of the traffic."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from service.capture.address import Addresses
from service.capture.services import Means

Ints = NDArray[np.int64]
Indices = NDArray[np.int32]

PROBE_TRIES = 4
"""A target that was tried more often than this is being retried, not probed: cloud clients make about 8
tries at a dead address, scanners 1 or 2."""

STREAM_TRIES = 16
"""What is sent to one port so often is no probe, though nothing came back: a call, of which only one side is seen.
nmap gives up after eleven."""

DARK_SOURCES = 10
DARK_SERVICES = 5
"""A target that so many sources tried at so many services, that answered none and began nothing is dark: as in
the empty address space that network telescopes watch, nobody has an honest reason to try it (Moore et al.,
"Network Telescopes", 2004). One service alone could be one that is down."""

EMPTY_PAIRS = 50
"""A source with so many pairs whose only attempt was a connection in which it said nothing asks who listens: these
count as unanswered. Whoever has something to say says it, and who watches over servers comes again, ..."""
EMPTY_TIME = 7200 * 1_000_000_000
"""... if the window has seen attempts for so long, ns."""

SAMPLE_SIZE = 1024
"""Targets kept for a source: those with the smallest hash, so that samples of windows can be joined."""


@dataclass(frozen=True, slots=True, eq=False)
class ServiceCounts:
    """One row for each (source, service) that occurs, sorted by source, then by service. All of length r."""

    source: Indices
    """Index of the source in `WindowCounts.sources`."""
    service: Indices
    """Number of the service, see `service.capture.services`."""
    attempts: Ints
    targets: Ints
    """Distinct targets."""
    answered: Ints
    """Distinct targets that took part, or of which another address was tried before they could: in QUIC those that
    took part over TCP, and over IPv6 web servers that were given up before a second SYN."""
    probed: Ints
    """Distinct targets that did not take part, were tried at most `PROBE_TRIES` times and lie at the end of a
    path: traceroute's probes are not among them."""
    dark: Ints
    """Distinct targets that are dark, see `DARK_SOURCES`."""
    hours: Ints
    """Parts of an overlapping window, such as the hours of a day, in which it was tried; 0 where none were told
    apart."""
    first: Ints
    """Time of the first attempt, ns since the epoch."""
    last: Ints
    """Time of the last attempt, ns since the epoch."""

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, slots=True, eq=False)
class SourceTotals:
    """What rows of services cannot tell of a source, all of length n; of its TCP and UDP services only."""

    targets: Ints
    """Distinct targets over all services."""
    most_services: Ints
    """The most distinct services tried on one target."""
    most_unanswered: Ints
    """The most distinct services tried in vain, less than `STREAM_TRIES` times, on one target (traceroute's ports
    are one service)."""
    most_targets: Ints
    """The most distinct targets tried for one service."""


@dataclass(frozen=True, slots=True, eq=False)
class TargetSamples:
    """Up to `SAMPLE_SIZE` targets of each source by each means (`service.capture.services.Means`).

    Those of source i by means j are ``targets[start[3 * i + j] : start[3 * i + j + 1]]``.
    """

    start: Ints
    """Shape (3 n + 1,)."""
    targets: Addresses

    def of(self, source: int, means: Means) -> Addresses:
        """Return the sample of a source (its index) by a means."""
        at = len(Means) * source + means
        return self.targets[self.start[at] : self.start[at + 1]]


@dataclass(frozen=True, slots=True, eq=False)
class ToolCounts:
    """Per source, how many of its pairs (target, service) carry the marks of a scanner; all of length n.

    A pair carries a mark if all of its attempts do (`service.capture.kernels.tools`). Where only a sample of the
    source's pairs is kept, the sample is counted. Of attempts whose packets were not seen nothing is counted: logs,
    exports and counts that were sent tell of none.
    """

    tcp: Ints
    """TCP pairs whose packets were seen: they might carry any mark."""
    others: Ints
    """The same of UDP and ICMP: they might carry zmap's."""
    zmap: Ints
    masscan: Ints
    mirai: Ints
    nmap: Ints
    unicornscan: Ints

    @classmethod
    def none(cls, n: int) -> ToolCounts:
        """Return that nothing is known of n sources."""
        return cls(*(np.zeros(n, np.int64) for _ in fields(cls)))


@dataclass(frozen=True, slots=True)
class Shed:
    """What a window had no room for; see `service.windows.budget`."""

    sources: int = 0
    """Sources that were dropped; one that came back and was dropped again counts twice."""
    pairs: int = 0
    """Distinct (target, service) that were dropped with them."""
    attempts: int = 0
    """Attempts that were dropped with them, and count nowhere."""
    sampled: int = 0
    """Attempts that a sample of their source's pairs stands for."""

    def __add__(self, other: Shed) -> Shed:
        return Shed(
            self.sources + other.sources,
            self.pairs + other.pairs,
            self.attempts + other.attempts,
            self.sampled + other.sampled,
        )


@dataclass(frozen=True, slots=True, eq=False)
class WindowCounts:
    """The counts of one sensor in the half-open interval [start, end) of event time, ns since the epoch.

    Raises ValueError if the parts do not fit together.
    """

    sensor: str
    start: int
    end: int
    sources: Addresses
    rows: ServiceCounts
    totals: SourceTotals
    samples: TargetSamples
    exact: bool = True
    """False where `totals` was inferred from the rows because the sender did not say."""
    shed: Shed = Shed()
    halvings: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    """How often the sample of each source's pairs was halved, length n, or 0: where it is not 0, the counts of
    the source are estimates."""
    tools: ToolCounts = field(default_factory=lambda: ToolCounts.none(0))
    """What the packets show of the tools that sent them; left out, nothing."""
    seen_until: int | None = None
    """Of a look at a window that is still open, its time: it holds of some sources what is decided by then."""

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"end: {self.end} is not after the start {self.start}")
        n, r = len(self.sources), len(self.rows)
        if not len(self.halvings):
            object.__setattr__(self, "halvings", np.zeros(n, np.int8))
        if len(self.halvings) != n:
            raise ValueError(f"halvings: length is not {n}")
        if not len(self.tools.tcp):
            object.__setattr__(self, "tools", ToolCounts.none(n))
        for part, length in ((self.rows, r), (self.totals, n), (self.tools, n)):
            for name in part.__dataclass_fields__:
                if len(getattr(part, name)) != length:
                    raise ValueError(f"{type(part).__name__}.{name}: length is not {length}")
        if len(self.samples.start) != len(Means) * n + 1 or self.samples.start[-1] != len(self.samples.targets):
            raise ValueError(f"samples: do not describe {n} sources")
        if r and (self.rows.source.min() < 0 or self.rows.source.max() >= n):
            raise ValueError("rows.source: points outside of the sources")

    @property
    def whole(self) -> bool:
        """Whether the window is over."""
        return self.seen_until is None

    @property
    def attempts(self) -> int:
        """All attempts of the window."""
        return int(self.rows.attempts.sum())

    @property
    def id(self) -> str:
        """The address of the window: it follows from sensor, start and length alone."""
        key = f"{self.sensor}\0{self.start}\0{self.end - self.start}".encode()
        return "w" + hashlib.sha256(key).hexdigest()[:20]

    def digest(self) -> str:
        """Return a hash of the whole content, to tell a repetition from a contradiction."""
        content = hashlib.sha256(f"{self.sensor}\0{self.start}\0{self.end}\0{self.exact}".encode())
        content.update(np.ascontiguousarray(self.sources).tobytes())
        for part in (self.rows, self.totals, self.samples):
            for column in fields(part):
                content.update(np.ascontiguousarray(getattr(part, column.name)).tobytes())
        content.update(self.halvings.tobytes())
        if self.tools.tcp.any() or self.tools.others.any():
            for column in fields(self.tools):
                content.update(np.ascontiguousarray(getattr(self.tools, column.name)).tobytes())
        return content.hexdigest()


def no_counts(sensor: str, start: int, end: int) -> WindowCounts:
    """Return a window in which nothing is counted; `start` and `end` are ns since the epoch."""
    named = np.empty(0, np.int32)
    counted = {column.name: np.empty(0, np.int64) for column in fields(ServiceCounts)[2:]}
    return WindowCounts(
        sensor=sensor,
        start=start,
        end=end,
        sources=np.empty((0, 2), np.uint64),
        rows=ServiceCounts(named, named, **counted),
        totals=SourceTotals(*(np.empty(0, np.int64) for _ in fields(SourceTotals))),
        samples=TargetSamples(np.zeros(1, np.int64), np.empty((0, 2), np.uint64)),
    )
