"""Which pattern of a window is which known one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.patterns.assignment import assign
from service.patterns.forms import cosines
from service.patterns.pattern import Pattern, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from service.patterns.pattern import Shares
    from service.patterns.sighting import Sighting

_LEAST_COMMON = 2
"""Members that two patterns must have in common for that to say anything."""
_COMPANY = 0.1
"""How much the same members add to the cosine of the services."""
_PAST = 0.05
"""How much less alike a pattern counts that is live no more: where two fit, the live one is meant."""
_AGE = 1e-6
"""How much being the older one adds: it decides between equals."""


@dataclass(frozen=True, slots=True)
class MatchSpec:
    """When two patterns are one and the same."""

    alike: float = 0.75
    """Cosine of the services from which on they are, ..."""
    akin: float = 0.5
    """... or from which on they are if they have enough members in common, ..."""
    company: float = 0.3
    """... which is this share of the members of the smaller of the two."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How the sightings of a window fit to the known patterns; both are numbered as given."""

    known: dict[int, int]
    """Sighting → pattern, one to one."""
    cosines: NDArray[np.float64]
    """Of services, shape (sightings, patterns)."""
    company: NDArray[np.float64]
    """Common members, as a share of those of the smaller; same shape."""


def match(sightings: Sequence[Sighting], patterns: Sequence[Pattern], spec: MatchSpec) -> Match:
    """Return the assignment with the largest sum of likeness (Kuhn 1955), over those that are alike at all."""
    likeness = cosines([seen.form for seen in sightings], [pattern.form for pattern in patterns])
    company = _company([seen.members for seen in sightings], [pattern.members for pattern in patterns])
    fits = (likeness >= spec.alike) | ((likeness >= spec.akin) & (company >= spec.company))
    age = np.array([pattern.windows for pattern in patterns], np.float64)
    past = np.array([pattern.state is not State.LIVE for pattern in patterns], np.float64)
    score = likeness + _COMPANY * company - _PAST * past + _AGE * age / (1 + age)
    return Match(assign(score, fits), likeness, company)


def _company(sightings: Sequence[Shares], patterns: Sequence[Shares]) -> NDArray[np.float64]:
    """Return the common sources of each two as a share of the smaller's; 0 if there are fewer than two."""
    sizes = [np.array([len(each) for each in side], np.float64) for side in (sightings, patterns)]
    common = np.zeros((len(sightings), len(patterns)))
    where: dict[str, list[int]] = {}
    for i, members in enumerate(sightings):
        for source, _ in members:
            where.setdefault(source, []).append(i)
    pairs = [
        (i, j)
        for j, members in enumerate(patterns)
        for source, _ in members
        if source in where
        for i in where[source]
    ]
    if pairs:
        np.add.at(common, tuple(np.array(pairs).T), 1.0)
    common[common < _LEAST_COMMON] = 0.0
    smaller = np.minimum(sizes[0][:, np.newaxis], sizes[1])
    return np.divide(common, smaller, out=np.zeros_like(common), where=smaller > 0)
