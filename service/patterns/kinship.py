"""Patterns that were split, and patterns that were merged, told by their services and their members together.

Services alone don't tell: whoever tries one port of a pair is not a part of those who try both. So half of the
members of the smaller side must be the same sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.patterns.forms import contained
from service.patterns.matching import Match
from service.patterns.pattern import Pattern, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.patterns.sighting import Sighting

_INSIDE = 0.8
"""Share of a part's weight that lies in the services of the whole."""
_COMPANY = 0.5
"""Common members, as a share of those of the smaller of the two."""


@dataclass(frozen=True, slots=True)
class Kinship:
    """Sightings and patterns are numbered as given."""

    parents: dict[int, tuple[int, ...]]
    """Newborn sighting → the live patterns of which it is a part, or that are parts of it."""
    split: dict[int, tuple[int, ...]]
    """Pattern → newborn sightings that are parts of it."""
    merged: dict[int, int]
    """Pattern that was not found → the sighting of which it has become a part."""


def kinship(sightings: Sequence[Sighting], patterns: Sequence[Pattern], matched: Match) -> Kinship:
    """Return which patterns the window shows to be split or merged."""
    split: dict[int, list[int]] = {}
    merged: dict[int, list[int]] = {}
    found = set(matched.known.values())
    for i, j in zip(*(matched.company >= _COMPANY).nonzero(), strict=True):
        seen, form = sightings[i].form, patterns[j].form
        if patterns[j].state is not State.LIVE or matched.known.get(int(i)) == j:
            continue
        if int(i) not in matched.known and contained(seen, form) >= _INSIDE:
            split.setdefault(int(j), []).append(int(i))
        elif j not in found and contained(form, seen) >= _INSIDE:
            merged.setdefault(int(i), []).append(int(j))
    # What has only one part is that part grown, and would have matched it if it were alike.
    joined = {i: parts for i, parts in merged.items() if i in matched.known or len(parts) > 1}
    parents: dict[int, tuple[int, ...]] = {i: tuple(parts) for i, parts in joined.items() if i not in matched.known}
    for j, parts in split.items():
        for i in parts:
            parents[i] = (*parents.get(i, ()), j)
    return Kinship(
        parents=parents,
        split={j: tuple(parts) for j, parts in split.items()},
        merged={j: i for i, parts in joined.items() for j in parts},
    )
