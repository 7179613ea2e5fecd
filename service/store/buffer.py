"""Findings that wait to be written: what is read looks as if they were, and the store has not heard of them yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from service.patterns.catalogue import Update
from service.store.at_hand import Catalogues
from service.windows.wire import write_window

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from service.alerts.alert import Alert
    from service.observe import Observer
    from service.patterns.catalogue import Catalogue
    from service.patterns.pattern import Pattern, PatternVersion
    from service.store.findings import Findings
    from service.store.repository import LateMemory, Memory, MemoryKey, Placed, Tuning, Unit, WindowRecord


class Buffer:
    """What the analysis of windows reads, on top of one moment of a store; `add` what it finds.

    Windows become documents here already: while the store's lock is held, that need not be done. A pattern that
    several windows have changed is written once, as it is at last; all of its versions are.
    """

    def __init__(self, reader: Placed, catalogues: Catalogues | None = None) -> None:
        """`catalogues` are those of the same moment, if they are at hand."""
        self.catalogues = Catalogues() if catalogues is None else catalogues
        self._reader = reader
        self._findings: list[tuple[Findings, bytes | None]] = []
        self._windows: dict[str, WindowRecord] = {}
        self._alerts: dict[str, Alert] = {}
        self._known: dict[tuple[str, int], Catalogue] = {}
        self._patterns: dict[str, Pattern] = {}
        self._versions: list[PatternVersion] = []
        self._memories: dict[MemoryKey, Memory | LateMemory] = {}
        self._tuning: Tuning | None = None
        self._hushed: dict[str, Sequence[Pattern]] = {}

    def add(self, findings: Findings, document: bytes | None = None) -> None:
        """Let findings wait; `document` is what `write_window` makes of the window, if that is at hand already."""
        if findings.record is not None:
            self._windows[findings.record.counts.id] = findings.record
            document = document or write_window(findings.record.counts)
        if findings.update is not None:
            self.catalogues.add(findings.update)
            catalogue = findings.update.catalogue
            self._known[catalogue.sensor, catalogue.length] = catalogue
            self._patterns.update((each.id, each) for each in findings.update.patterns)
            self._versions += findings.update.versions
        self._alerts.update((alert.id, alert) for alert in findings.alerts)
        self._memories.update(findings.memories)
        # Of patterns and of what is remembered only the last counts.
        self._findings.append((replace(findings, memories=(), update=None), document))

    def flush(self, unit: Unit) -> None:
        """Write all that waits, in the order in which it was found."""
        for catalogue in self._known.values():
            unit.save_catalogue(Update(catalogue, [], (), ()))
        unit.save_patterns(self._patterns.values(), self._versions)
        for findings, document in self._findings:
            findings.save(unit, document, named=False)
        unit.name_alerts(self._alerts.values())
        for key, memory in self._memories.items():
            unit.save_memory(key, memory.stored())

    def tell(self, observer: Observer) -> None:
        """Let an observer hear of what was flushed, once that is committed."""
        for findings, _ in self._findings:
            findings.tell(observer)

    def hushed_patterns(self, sensor: str) -> Sequence[Pattern]:
        """Return a sensor's patterns of which people want to hear nothing."""
        if sensor not in self._hushed:
            self._hushed[sensor] = self._reader.hushed_patterns(sensor)
        return self._hushed[sensor]

    def tuning(self) -> Tuning:
        """Return what people have changed."""
        if self._tuning is None:
            self._tuning = self._reader.tuning()
        return self._tuning

    def window(self, window_id: str) -> WindowRecord | None:
        """Return a window, or None."""
        return self._windows.get(window_id) or self._reader.window(window_id)

    def window_digest(self, window_id: str) -> str | None:
        """Return the digest of a window, or None."""
        waiting = self._windows.get(window_id)
        return self._reader.window_digest(window_id) if waiting is None else waiting.digest

    def catalogue(self, sensor: str, length: int) -> Catalogue:
        """Return what is known of the patterns of a sensor's windows of this length, ns."""
        return self.catalogues.get(self._reader, sensor, length)

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
        waiting = self._memories.get(key)
        return self._reader.memory(key) if waiting is None else waiting.stored()

    def memory_window(self, key: MemoryKey) -> str | None:
        """Return the window of what is remembered, or None."""
        waiting = self._memories.get(key)
        return self._reader.memory_window(key) if waiting is None else waiting.window


def _wanted(alert: Alert, since: int, sources: Collection[str] | None) -> bool:
    return alert.open_until >= since and (sources is None or not set(sources).isdisjoint(alert.sources))
