"""What a store promises: all that is read and written of one window stands or falls together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from contextlib import AbstractContextManager

    from service.alerts.alert import Alert, Kind
    from service.patterns.catalogue import Catalogue, Update
    from service.patterns.pattern import Pattern, PatternVersion, State, Status
    from service.windows.counts import WindowCounts


Item = TypeVar("Item")

MOST_VERSIONS = 32
"""Versions of a pattern that are kept: the latest."""
MOST_HUSHED = 256
"""Judged patterns of a sensor that are asked what they explain."""


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """A stored window: its counts, and what was found in it."""

    counts: WindowCounts
    digest: str
    patterns: tuple[str, ...]
    """Ids of the patterns found in it."""
    alerts: tuple[str, ...]
    """Ids of the alerts that began or went on in it."""
    kept: bool = True
    """False where the counts are no longer kept: those given are empty."""


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts are wanted, newest first; raises ValueError for a limit below 1.

    Who asks with a `source` that is neither address nor network gets a ValueError too.
    """

    kind: Kind | None = None
    source: str | None = None
    """An address in canonical form, or a network such as ``192.0.2.0/24``."""
    since: int | None = None
    """Only alerts seen at or after this time, ns since the epoch."""
    sensor: str | None = None
    limit: int = 100
    cursor: str | None = None
    """`Page.next` of the page before."""
    allowed: bool = False
    """Whether alerts are wanted that an allow-list or a judged pattern covers: those, or all others."""
    until: int | None = None
    """Only alerts that began before this time, ns since the epoch."""
    service: str | None = None
    """One of the services that the alert lists."""
    pattern: str | None = None
    """Id of the pattern that its source followed most."""
    least: float | None = None
    """The least evidence, in thresholds: see `Alert.excess`."""

    def __post_init__(self) -> None:
        _check_limit(self.limit)


@dataclass(frozen=True, slots=True)
class PatternQuery:
    """Which patterns are wanted, newest first; raises ValueError for a limit below 1."""

    sensor: str | None = None
    limit: int = 100
    cursor: str | None = None
    status: Status | None = None
    state: State | None = None
    service: str | None = None
    """One of the services that the pattern lists."""

    def __post_init__(self) -> None:
        _check_limit(self.limit)


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"limit: {limit} is less than 1")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a listing; `next` is the cursor of the part after it, or None at the end.

    A cursor stays valid while rows are added: nothing is listed twice or left out.
    """

    items: tuple[Item, ...]
    next: str | None


class Part(StrEnum):
    """What has a memory of its own."""

    GROUPS = "groups"
    """The past that groups of sources are compared with."""
    SOURCES = "sources"
    """What sources usually do."""
    COMPONENTS = "components"
    """The factors that the next window begins with."""


@dataclass(frozen=True, slots=True)
class MemoryKey:
    """Whose memory: that of a sensor's windows of one length, ns."""

    sensor: str
    length: int
    part: Part


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of windows, after one of them."""

    window: str
    """Its id."""
    document: bytes

    def stored(self) -> Memory:
        """Return this: it can be stored as it is."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class LateMemory:
    """A memory that becomes bytes only when it is stored, if none has taken its place by then."""

    window: str
    write: Callable[[], bytes]

    def stored(self) -> Memory:
        """Return it as it is to be stored."""
        return Memory(self.window, self.write())


@dataclass(frozen=True, slots=True)
class Tuning:
    """What people have changed while the service runs; it holds from the next window on."""

    false_alarms: float | None = None
    """False alarms a day that groups may raise; None: as configured."""
    allow_rules: tuple[str, ...] = ()
    """Rules, as `service.alerts.allow` reads them, beside those that are configured."""


class Known(Protocol):
    """What the analysis of a window reads."""

    def window(self, window_id: str) -> WindowRecord | None:
        """Return a stored window, or None."""
        ...

    def window_digest(self, window_id: str) -> str | None:
        """Return the digest of a stored window without reading its counts, or None."""
        ...

    def catalogue(self, sensor: str, length: int) -> Catalogue:
        """Return what is known of the patterns of a sensor's windows of this length, ns; empty at first."""
        ...

    def open_alerts(self, sensor: str, since: int, sources: Collection[str] | None = None) -> Sequence[Alert]:
        """Return the sensor's alerts with `open_until` at or after `since`, in the order of first saving.

        Those with one of `sources`, addresses in canonical form, if these are given.
        """
        ...

    def memory(self, key: MemoryKey) -> Memory | None:
        """Return what was saved last, or None."""
        ...

    def memory_window(self, key: MemoryKey) -> str | None:
        """Return the window of what was saved last, without reading the rest, or None."""
        ...

    def hushed_patterns(self, sensor: str) -> Sequence[Pattern]:
        """Return the sensor's patterns that are judged benign or muted, seen last first; at most `MOST_HUSHED`."""
        ...

    def tuning(self) -> Tuning:
        """Return what people have changed."""
        ...


class Placed(Known, Protocol):
    """The same, and what is needed to go on with writes that the store has not heard of."""

    def catalogue(self, sensor: str, length: int, spare: int = 0) -> Catalogue:
        """Return as `Known.catalogue` does, and of recurring patterns and others `spare` more than it remembers."""
        ...

    def alert_places(self, alert_ids: Collection[str]) -> dict[str, int]:
        """Return the places, in the order of first saving, of those of these alerts that are stored."""
        ...


class Reader(Placed, Protocol):
    """Reads of one transaction: all of them see the store as it was at one moment."""

    def alert(self, alert_id: str) -> Alert | None:
        """Return an alert, or None."""
        ...

    def alerts(self, query: AlertQuery) -> Page[Alert]:
        """Return alerts, last added first; raises NotFoundError for a cursor that is none of ours."""
        ...

    def pattern(self, pattern_id: str) -> Pattern | None:
        """Return a pattern, or None."""
        ...

    def patterns(self, query: PatternQuery) -> Page[Pattern]:
        """Return patterns, last added first; raises NotFoundError for a cursor that is none of ours."""
        ...

    def versions(self, pattern_id: str) -> Sequence[PatternVersion]:
        """Return the latest `MOST_VERSIONS` versions of a pattern, oldest first; none if there is no such id."""
        ...


class Unit(Reader, Protocol):
    """Reads and writes of one transaction; its reads see its writes."""

    def add_window(self, record: WindowRecord, document: bytes | None = None) -> None:
        """Store a window; raises WindowConflictError if one of the same id is stored already.

        `document` is what `service.windows.wire.write_window` makes of its counts, if that is at hand already.
        """
        ...

    def save_catalogue(self, update: Update) -> None:
        """Store what a window has changed: the patterns, as `save_patterns` does, their versions, and the count."""
        ...

    def save_patterns(self, patterns: Iterable[Pattern], versions: Iterable[PatternVersion] = ()) -> None:
        """Add patterns, or replace those with the same id, which keep their place in listings."""
        ...

    def save_memory(self, key: MemoryKey, memory: Memory) -> None:
        """Keep what is remembered in place of what was before."""
        ...

    def save_alerts(self, alerts: Iterable[Alert], *, named: bool = True) -> None:
        """Add alerts, or replace those with the same id, which keep their place in listings.

        Unless they are `named`, they can't be found by their sources and services up to `name_alerts`.
        """
        ...

    def name_alerts(self, alerts: Iterable[Alert]) -> None:
        """Let saved alerts be found by their sources and services as they are now."""
        ...


class Store(Protocol):
    """Keeps windows, patterns and alerts. Raises StoreError where the database fails."""

    durable: bool
    """Whether what it keeps outlives the process."""

    def begin(self, sensor: str | None = None) -> AbstractContextManager[Unit]:
        """Open a transaction: committed at the end of the block, undone if the block raises.

        Transactions of several threads and processes follow one another, so don't begin one inside another. Where
        `sensor` says that one reads and writes what belongs to this sensor alone, those of other sensors may go
        on at the same time.
        """
        ...

    def read(self) -> AbstractContextManager[Reader]:
        """Open a transaction that only reads: it waits for no writer and no writer waits for it."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
