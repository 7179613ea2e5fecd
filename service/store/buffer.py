"""Findings that wait to be written: what is read looks as if they were, and the store has not heard of them yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from service.patterns.catalogue import Catalogue, remembered
from service.windows.wire import write_window

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from service.alerts.alert import Alert
    from service.observe import Observer
    from service.patterns.pattern import Pattern
    from service.store.findings import Findings
    from service.store.repository import Memory, MemoryKey, Placed, Tuning, Unit, WindowRecord


class Buffer:
    """What the analysis of windows reads, on top of one moment of a store; `add` what it finds.

    Windows become documents here already: while the store's lock is held, that need not be done.
    """

    def __init__(self, reader: Placed) -> None:
        self._reader = reader
        self._findings: list[tuple[Findings, bytes | None]] = []
        self._windows: dict[str, WindowRecord] = {}
        self._alerts: dict[str, Alert] = {}
        self._patterns: dict[tuple[str, int], dict[str, Pattern]] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._memories: dict[MemoryKey, Memory] = {}

    def add(self, findings: Findings) -> None:
        """Let findings wait."""
        if findings.record is not None:
            self._windows[findings.record.counts.id] = findings.record
        if findings.update is not None:
            catalogue = findings.update.catalogue
            key = catalogue.sensor, catalogue.length
            self._counts[key] = catalogue.windows
            self._patterns.setdefault(key, {}).update((each.id, each) for each in findings.update.patterns)
        self._alerts.update((alert.id, alert) for alert in findings.alerts)
        self._memories.update(findings.memories)
        document = None if findings.record is None else write_window(findings.record.counts)
        # Of what is remembered only the last counts.
        self._findings.append((replace(findings, memories=()), document))

    def flush(self, unit: Unit) -> None:
        """Write all that waits, in the order in which it was found."""
        for findings, document in self._findings:
            findings.save(unit, document)
        for key, memory in self._memories.items():
            unit.save_memory(key, memory)

    def tell(self, observer: Observer) -> None:
        """Let an observer hear of what was flushed, once that is committed."""
        for findings, _ in self._findings:
            findings.tell(observer)

    def hushed_patterns(self, sensor: str) -> Sequence[Pattern]:
        """Return a sensor's patterns of which people want to hear nothing."""
        return self._reader.hushed_patterns(sensor)

    def tuning(self) -> Tuning:
        """Return what people have changed."""
        return self._reader.tuning()

    def window(self, window_id: str) -> WindowRecord | None:
        """Return a window, or None."""
        return self._windows.get(window_id) or self._reader.window(window_id)

    def window_digest(self, window_id: str) -> str | None:
        """Return the digest of a window, or None."""
        waiting = self._windows.get(window_id)
        return self._reader.window_digest(window_id) if waiting is None else waiting.digest

    def catalogue(self, sensor: str, length: int) -> Catalogue:
        """Return what is known of the patterns of a sensor's windows of this length, ns."""
        changed = self._patterns.get((sensor, length), {})
        # As many more as have changed: each of them may have made room for one.
        stored = self._reader.catalogue(sensor, length, len(changed))
        if (sensor, length) not in self._counts:
            return stored
        patterns = {pattern.id: pattern for pattern in stored.patterns} | changed
        return Catalogue(sensor, length, self._counts[sensor, length], remembered(patterns.values()))

    def open_alerts(self, sensor: str, since: int, sources: Collection[str] | None = None) -> Sequence[Alert]:
        """Return the sensor's alerts that are open, as `Reader.open_alerts` does."""
        stored = self._reader.open_alerts(sensor, since, sources)
        waiting = [alert for alert in self._alerts.values() if alert.sensor == sensor]
        if not waiting:
            return stored
        found = {alert.id: alert for alert in stored}
        found.update((alert.id, alert) for alert in waiting if alert.id in found or _wanted(alert, since, sources))
        found = {
            key: alert for key, alert in found.items() if key not in self._alerts or _wanted(alert, since, sources)
        }
        strays = found.keys() - {alert.id for alert in stored}
        if self._reader.alert_places(strays):
            # Alerts that the store has, and would not have found: they go where they were first saved.
            places = self._reader.alert_places(found.keys())
            last = max(places.values())
            new = {alert_id: number for number, alert_id in enumerate(self._alerts, last + 1)}
            return sorted(found.values(), key=lambda alert: places.get(alert.id, new.get(alert.id, last)))
        return list(found.values())

    def memory(self, key: MemoryKey) -> Memory | None:
        """Return what is remembered, or None."""
        return self._memories.get(key) or self._reader.memory(key)

    def memory_window(self, key: MemoryKey) -> str | None:
        """Return the window of what is remembered, or None."""
        waiting = self._memories.get(key)
        return self._reader.memory_window(key) if waiting is None else waiting.window


def _wanted(alert: Alert, since: int, sources: Collection[str] | None) -> bool:
    return alert.open_until >= since and (sources is None or not set(sources).isdisjoint(alert.sources))
