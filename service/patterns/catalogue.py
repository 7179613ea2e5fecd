"""Patterns across windows: the same services keep the same id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.patterns.chronicle import FORGOTTEN, CatalogueSpec, Chronicle, next_version
from service.patterns.kinship import kinship
from service.patterns.matching import match
from service.patterns.pattern import Event, Pattern, PatternVersion, State, Status
from service.patterns.sighting import sightings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.patterns.factorize import Shape
    from service.patterns.forms import Form
    from service.windows.counts import WindowCounts

__all__ = ["FORGOTTEN", "Catalogue", "CatalogueSpec", "Followers", "Update", "judge"]

MOST_RECURRING = 384
"""Patterns found in more than one window that a catalogue remembers; those seen last."""
MOST_SINGLE = 128
"""The same of patterns found in one window only, so that these never push out the others."""


@dataclass(frozen=True, slots=True)
class Followers:
    """A pattern as it was found in one window."""

    pattern: Pattern
    shares: dict[int, float]
    """Source (index in the window) → the share of its row that the pattern explains."""


@dataclass(frozen=True, slots=True)
class Update:
    """What a window changes in a catalogue."""

    catalogue: Catalogue
    followers: list[Followers]
    """The patterns that were found, in the order of the shapes."""
    patterns: tuple[Pattern, ...]
    """All that have changed, those found among them."""
    versions: tuple[PatternVersion, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known of the patterns of one sensor's windows of one length: a value; `update` returns the next."""

    sensor: str
    length: int
    """Of the windows, ns."""
    windows: int = 0
    """How many have been taken in."""
    patterns: tuple[Pattern, ...] = ()
    """At most `MOST_RECURRING` + `MOST_SINGLE`, in the order of their birth, live or not."""

    def known(self) -> list[Form]:
        """Return the services of the live patterns: what the next factorisation begins with."""
        return [pattern.form for pattern in self.patterns if pattern.state is State.LIVE]

    def update(self, window: WindowCounts, shapes: Sequence[Shape], spec: CatalogueSpec | None = None) -> Update:
        """Return the catalogue after a window in which these shapes were found, and what has changed."""
        spec = CatalogueSpec() if spec is None else spec
        found = sightings(window, shapes, spec.same)
        matched = match(found, self.patterns, spec.match)
        kin = kinship(found, self.patterns, matched)
        chronicle = Chronicle(window, self.windows + 1, spec, self.patterns)
        ids = chronicle.take_in(found, matched, kin)
        chronicle.merge_converged(ids)
        chronicle.retire()
        followers: dict[str, dict[int, float]] = {}
        for pattern_id, seen in zip(ids, found, strict=True):
            taken = followers.setdefault(chronicle.patterns[pattern_id].successor or pattern_id, {})
            taken.update((source, max(share, taken.get(source, 0.0))) for source, share in seen.shares.items())
        after = Catalogue(self.sensor, self.length, self.windows + 1, remembered(chronicle.patterns.values()))
        return Update(
            catalogue=after,
            followers=[Followers(chronicle.patterns[key], shares) for key, shares in followers.items()],
            patterns=chronicle.changed(),
            versions=tuple(chronicle.versions),
        )


def remembered(patterns: Iterable[Pattern], spare: int = 0) -> tuple[Pattern, ...]:
    """Return what a catalogue has room for, in the order given: of both kinds those that were seen last.

    And of both `spare` more.
    """
    listed = list(patterns)
    latest = sorted(range(len(listed)), key=lambda i: -listed[i].last_seen)
    kept = [
        *[i for i in latest if listed[i].windows > 1][: MOST_RECURRING + spare],
        *[i for i in latest if listed[i].windows == 1][: MOST_SINGLE + spare],
    ]
    return tuple(listed[i] for i in sorted(kept))


def judge(pattern: Pattern, status: Status, time: int) -> tuple[Pattern, PatternVersion]:
    """Return a pattern with the status that a person gives it at a time, ns since the epoch, and the version.

    Raises ValueError for `NEW`: who judges a pattern knows it.
    """
    if status is Status.NEW:
        raise ValueError("status: a person can't make a pattern new; choose known, benign or muted")
    judged = replace(pattern, status=status, judged=True, at_judgement=pattern.services)
    return next_version(judged, Event.JUDGED, time)
