"""A store that lives as long as the process: for scans without a database."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from service.alerts.alert import Alert
from service.errors import WindowConflictError
from service.patterns.catalogue import Catalogue, remembered
from service.patterns.pattern import Pattern, PatternVersion
from service.store.cursor import read_cursor, write_cursor
from service.store.repository import (
    MOST_HUSHED,
    MOST_VERSIONS,
    AlertQuery,
    Memory,
    MemoryKey,
    Page,
    PatternQuery,
    Tuning,
    WindowRecord,
)
from service.store.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from service.patterns.catalogue import Update

Item = TypeVar("Item", Alert, Pattern)


@dataclass(slots=True)
class _Shelf(Generic[Item]):
    """Items by id in the order of their first save. A dict keeps an item's place when it is replaced."""

    listing: str
    items: dict[str, Item] = field(default_factory=dict)

    def copy(self) -> _Shelf[Item]:
        return _Shelf(self.listing, dict(self.items))

    def save(self, items: Iterable[Item]) -> None:
        self.items.update((item.id, item) for item in items)

    def page(self, matches: Callable[[Item], bool], limit: int, cursor: str | None) -> Page[Item]:
        """Return up to `limit` of the matching items, newest first; an item's number is its place."""
        before = len(self.items) if cursor is None else min(read_cursor(self.listing, cursor), len(self.items))
        items = list(self.items.values())
        older = (place for place in range(before - 1, -1, -1) if matches(items[place]))
        # One more than asked for: it tells whether there is a next page.
        found = list(islice(older, limit + 1))
        following = write_cursor(self.listing, found[limit - 1]) if len(found) > limit else None
        return Page(tuple(items[place] for place in found[:limit]), following)


@dataclass(slots=True)
class _MemoryUnit:
    """Reads and writes of a state that only this unit can change."""

    stored: dict[str, WindowRecord]
    shelved_patterns: _Shelf[Pattern]
    shelved_alerts: _Shelf[Alert]
    alerts_of: dict[str, tuple[tuple[int, str], ...]]
    """Source → the place and the id of each of its alerts."""
    memories: dict[MemoryKey, Memory]
    catalogued: dict[tuple[str, int], int] = field(default_factory=dict)
    """Sensor and length → windows taken in."""
    past: dict[str, tuple[PatternVersion, ...]] = field(default_factory=dict)
    """Id of a pattern → its versions."""

    def copy(self) -> _MemoryUnit:
        return _MemoryUnit(
            dict(self.stored),
            self.shelved_patterns.copy(),
            self.shelved_alerts.copy(),
            dict(self.alerts_of),
            dict(self.memories),
            dict(self.catalogued),
            dict(self.past),
        )

    def window(self, window_id: str) -> WindowRecord | None:
        return self.stored.get(window_id)

    def window_digest(self, window_id: str) -> str | None:
        record = self.stored.get(window_id)
        return None if record is None else record.digest

    def add_window(self, record: WindowRecord, document: bytes | None = None) -> None:  # noqa: ARG002
        if record.counts.id in self.stored:
            raise WindowConflictError(f"window {record.counts.id}: stored already")
        self.stored[record.counts.id] = record

    def catalogue(self, sensor: str, length: int, spare: int = 0) -> Catalogue:
        patterns = self.shelved_patterns.items.values()
        ours = [pattern for pattern in patterns if (pattern.sensor, pattern.length) == (sensor, length)]
        return Catalogue(sensor, length, self.catalogued.get((sensor, length), 0), remembered(ours, spare))

    def save_catalogue(self, update: Update) -> None:
        catalogue = update.catalogue
        self.catalogued[catalogue.sensor, catalogue.length] = catalogue.windows
        self.save_patterns(update.patterns, update.versions)

    def save_patterns(self, patterns: Iterable[Pattern], versions: Iterable[PatternVersion] = ()) -> None:
        self.shelved_patterns.save(patterns)
        for version in versions:
            others = [each for each in self.past.get(version.pattern, ()) if each.version != version.version]
            self.past[version.pattern] = (*others, version)[-MOST_VERSIONS:]

    def open_alerts(self, sensor: str, since: int, sources: Collection[str] | None = None) -> Sequence[Alert]:
        alerts: Iterable[Alert] = self.shelved_alerts.items.values()
        if sources is not None:
            places = sorted({place for source in sources for place in self.alerts_of.get(source, ())})
            alerts = (self.shelved_alerts.items[alert] for _, alert in places)
        return [alert for alert in alerts if alert.sensor == sensor and alert.open_until >= since]

    def alert_places(self, alert_ids: Collection[str]) -> dict[str, int]:
        return {
            alert_id: place for place, alert_id in enumerate(self.shelved_alerts.items) if alert_id in alert_ids
        }

    def save_alerts(self, alerts: Iterable[Alert], *, named: bool = True) -> None:  # noqa: ARG002
        for alert in alerts:
            if alert.id not in self.shelved_alerts.items:
                place = len(self.shelved_alerts.items), alert.id
                self.alerts_of.update(
                    (source, (*self.alerts_of.get(source, ()), place)) for source in alert.sources
                )
            self.shelved_alerts.save([alert])

    def name_alerts(self, alerts: Iterable[Alert]) -> None:
        """Do nothing: alerts are named when they are saved."""

    def memory(self, key: MemoryKey) -> Memory | None:
        return self.memories.get(key)

    def memory_window(self, key: MemoryKey) -> str | None:
        memory = self.memories.get(key)
        return None if memory is None else memory.window

    def save_memory(self, key: MemoryKey, memory: Memory) -> None:
        self.memories[key] = memory

    def alert(self, alert_id: str) -> Alert | None:
        return self.shelved_alerts.items.get(alert_id)

    def tuning(self) -> Tuning:
        return Tuning()

    def alerts(self, query: AlertQuery) -> Page[Alert]:
        span = Span.of(query.source or "::/0")

        def matches(alert: Alert) -> bool:
            return (
                (query.kind is None or alert.kind is query.kind)
                and (query.source is None or any(span.holds(source) for source in alert.sources))
                and (query.since is None or alert.last_seen >= query.since)
                and (query.sensor is None or alert.sensor == query.sensor)
                and (alert.allowed_by is not None) == query.allowed
                and (query.until is None or alert.first_seen < query.until)
                and (query.service is None or query.service in alert.services)
                and (query.pattern is None or alert.pattern == query.pattern)
                and (query.least is None or alert.excess >= query.least)
            )

        return self.shelved_alerts.page(matches, query.limit, query.cursor)

    def pattern(self, pattern_id: str) -> Pattern | None:
        return self.shelved_patterns.items.get(pattern_id)

    def patterns(self, query: PatternQuery) -> Page[Pattern]:
        def matches(pattern: Pattern) -> bool:
            return (
                (query.sensor is None or pattern.sensor == query.sensor)
                and (query.status is None or pattern.status is query.status)
                and (query.state is None or pattern.state is query.state)
                and (query.service is None or query.service in dict(pattern.services))
            )

        return self.shelved_patterns.page(matches, query.limit, query.cursor)

    def hushed_patterns(self, sensor: str) -> Sequence[Pattern]:
        ours = [each for each in self.shelved_patterns.items.values() if each.sensor == sensor and each.hushed]
        return sorted(ours, key=lambda pattern: -pattern.last_seen)[:MOST_HUSHED]

    def versions(self, pattern_id: str) -> Sequence[PatternVersion]:
        return self.past.get(pattern_id, ())


class MemoryStore:
    """Keeps everything in dicts; of the windows only the latest `most_windows`, if that is given.

    A transaction works on its own copy, which takes the place of the state when it ends well; what was
    read before therefore never changes, and readers need no lock.
    """

    durable = False

    def __init__(self, most_windows: int | None = None) -> None:
        self._most_windows = most_windows
        self._state = _MemoryUnit({}, _Shelf("patterns"), _Shelf("alerts"), {}, {})
        self._writing = threading.Lock()

    @contextmanager
    def begin(self, sensor: str | None = None) -> Iterator[_MemoryUnit]:  # noqa: ARG002  (one after another)
        """Open a transaction: kept at the end of the block, dropped if the block raises."""
        with self._writing:
            unit = self._state.copy()
            yield unit
            if self._most_windows is not None:
                for window_id in list(unit.stored)[: max(0, len(unit.stored) - self._most_windows)]:
                    del unit.stored[window_id]
            self._state = unit

    @contextmanager
    def read(self) -> Iterator[_MemoryUnit]:
        """Read the state of this moment."""
        yield self._state

    def close(self) -> None:
        """Nothing to let go of."""
