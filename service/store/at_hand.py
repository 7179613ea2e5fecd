"""Catalogues of patterns at hand: as one process wrote them last, while nobody else has written of their sensor.

Reading a catalogue means to read and check hundreds of documents, of which a window changes few. What is kept here
is a copy: without it, all is the same.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.patterns.catalogue import MOST_RECURRING, MOST_SINGLE, Catalogue, remembered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.patterns.catalogue import Update
    from service.patterns.pattern import Pattern
    from service.store.repository import Placed

_SPARE = 128
"""Patterns of both kinds that are held beyond those of a catalogue: who changes its kind makes room for one."""
_MOST_ENTRIES = 1 << 18
"""Services and members of all patterns at hand, some 220 bytes each with what is around them: 55 MiB. Those of
sensors that waited longest go."""
_FOR_EVER = -1
"""A time before all windows: nothing lies below it."""

_Key = tuple[str, int]
"""A sensor, and a length of windows, ns."""


@dataclass(slots=True)
class _Held:
    """Patterns of windows of one length."""

    windows: int
    """How many have been taken in."""
    patterns: dict[str, Pattern]
    """By id, in the order in which they were first saved."""
    floors: dict[bool, int]
    """Recurring or not → of these, all that were seen after this time, ns, are held; others may be missing."""

    def is_enough(self) -> bool:
        """Tell whether all that a catalogue lists is among these."""
        return all(self._count_above(kind) >= most for kind, most in _MOST if self.floors[kind] != _FOR_EVER)

    def trim(self, spare: int) -> None:
        """Let go of those that were seen longest ago."""
        kept = {pattern.id: pattern for pattern in remembered(self.patterns.values(), spare)}
        for pattern in self.patterns.values():
            if pattern.id not in kept:
                kind = pattern.windows > 1
                self.floors[kind] = max(self.floors[kind], pattern.last_seen)
        self.patterns = kept

    def _count_above(self, kind: bool) -> int:  # noqa: FBT001
        floor = self.floors[kind]
        return sum((each.windows > 1) is kind and each.last_seen > floor for each in self.patterns.values())


_MOST = ((True, MOST_RECURRING), (False, MOST_SINGLE))


class Catalogues:
    """Catalogues as one moment of a store has them, with what was found since."""

    def __init__(self) -> None:
        self._held: dict[_Key, _Held] = {}
        self._waiting: dict[_Key, dict[str, Pattern]] = {}
        self._counts: dict[_Key, int] = {}

    def get(self, reader: Placed, sensor: str, length: int) -> Catalogue:
        """Return what is known of the patterns of a sensor's windows of this length, ns."""
        key = sensor, length
        held = self._held.get(key)
        if held is None or not held.is_enough():
            held = self._held[key] = self._read(reader, key)
        return Catalogue(sensor, length, held.windows, remembered(held.patterns.values()))

    def add(self, update: Update) -> None:
        """Take in what a window has changed."""
        key = update.catalogue.sensor, update.catalogue.length
        changed = {pattern.id: pattern for pattern in update.patterns}
        self._counts[key] = update.catalogue.windows
        self._waiting.setdefault(key, {}).update(changed)
        held = self._held.get(key)
        if held is not None:
            held.windows = update.catalogue.windows
            held.patterns.update(changed)

    def written(self) -> None:
        """Note that the store has all that was taken in."""
        self._waiting.clear()
        self._counts.clear()
        for held in self._held.values():
            if len(held.patterns) > sum(most for _, most in _MOST) + 4 * _SPARE:
                held.trim(_SPARE)

    def entries(self) -> int:
        """Return how many services and members are held: they take nearly all of the memory."""
        return sum(_entries(held.patterns.values()) for held in self._held.values())

    def _read(self, reader: Placed, key: _Key) -> _Held:
        waiting = self._waiting.get(key, {})
        # As many more as have changed: each of them may have made room for one.
        stored = reader.catalogue(*key, _SPARE + len(waiting))
        floors = {kind: _floor(stored.patterns, kind, most + _SPARE + len(waiting)) for kind, most in _MOST}
        patterns = {pattern.id: pattern for pattern in stored.patterns} | waiting
        return _Held(self._counts.get(key, stored.windows), patterns, floors)


class CataloguesAtHand:
    """Catalogues by sensor, each with the revision of its sensor at which the store had the same."""

    def __init__(self, most_entries: int = _MOST_ENTRIES) -> None:
        self._most = most_entries
        self._held: OrderedDict[str, tuple[int, int, Catalogues]] = OrderedDict()
        self._entries = 0

    def take(self, sensor: str, revision: int) -> Catalogues:
        """Return the catalogues of a sensor at this revision, to be put back when all that was found is written."""
        known, entries, catalogues = self._held.pop(sensor, (revision, 0, Catalogues()))
        self._entries -= entries
        return catalogues if known == revision else Catalogues()

    def put(self, sensor: str, revision: int, catalogues: Catalogues) -> None:
        """Keep catalogues that the store has as they are, at this revision of the sensor."""
        self.take(sensor, revision)
        catalogues.written()
        entries = catalogues.entries()
        self._held[sensor] = revision, entries, catalogues
        self._entries += entries
        while self._entries > self._most:
            _, (_, gone, _) = self._held.popitem(last=False)
            self._entries -= gone


def _floor(stored: Iterable[Pattern], kind: bool, most: int) -> int:  # noqa: FBT001
    """Return the time, ns, down to which all patterns of a kind are among these, of which at most so many are."""
    seen = [pattern.last_seen for pattern in stored if (pattern.windows > 1) is kind]
    return min(seen) if len(seen) >= most else _FOR_EVER


def _entries(patterns: Iterable[Pattern]) -> int:
    return sum(map(_entries_of, patterns))


def _entries_of(pattern: Pattern) -> int:
    # What is the same tuple takes room once.
    held = {id(each): len(each) for each in (pattern.services, pattern.at_birth, pattern.at_version)}
    return len(pattern.members) + sum(held.values())
