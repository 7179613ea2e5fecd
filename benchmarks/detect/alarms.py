"""How often a column is wrong: alarms as they are told, each once, at many multiples of the column's budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.detect.background import HOUR
from service.alerts.coordinated import overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.alerts.coordinated import GroupVerdict
    from service.windows.counts import WindowCounts

MULTIPLES = tuple(20.0 * 0.8**step for step in range(20, -1, -1))
"""Of a column's budget, ascending: from 0.23 to 20."""
_SHARED = 0.5
"""An alarm goes on with what shares so many of the smaller one's sources and a service: as alerts do."""


@dataclass(slots=True)
class Alarms:
    """Of each incident of the test days the least budget that lets it through, as a multiple of the column's."""

    least: dict[str, float] = field(default_factory=dict)

    def note(self, key: str, multiple: float) -> None:
        """Take an incident's multiple; the least of its windows counts."""
        self.least[key] = min(multiple, self.least.get(key, math.inf))

    def within(self, multiple: float) -> int:
        """Return how many incidents a multiple of the budget lets through."""
        return sum(value <= multiple for value in self.least.values())

    def multiple(self, most: float) -> float:
        """Return the largest multiple of the budget that lets `most` incidents through, at most 20."""
        ordered = sorted(self.least.values())
        allowed = math.floor(most)
        return min(20.0, ordered[allowed] * (1 - 1e-9) if allowed < len(ordered) else 20.0)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A group that a window shows, whether it is named or not."""

    at: int
    key: str
    services: frozenset[int]
    sources: frozenset[tuple[int, int]]
    near: frozenset[int]
    """Numbers of the window's candidates that are one group with it."""


def candidates(window: WindowCounts, judged: Sequence[GroupVerdict]) -> list[Candidate]:
    """Return what a window shows."""
    near: list[set[int]] = [{at} for at in range(len(judged))]
    for at, each in enumerate(judged):
        for other in range(at):
            if overlap(each.sources, judged[other].sources):
                near[at].add(other)
                near[other].add(at)
    addresses = list(map(tuple, window.sources.tolist()))
    return [
        Candidate(
            at,
            each.key,
            frozenset(each.services),
            frozenset(addresses[source] for source in each.sources.tolist()),
            frozenset(near[at]),
        )
        for at, each in enumerate(judged)
    ]


def _together(named: Sequence[Candidate]) -> list[list[Candidate]]:
    """Return the candidates that share sources in one list each."""
    left = {each.at: each for each in named}
    found = []
    while left:
        group = [left.pop(next(iter(left)))]
        for each in group:
            group += [left.pop(other) for other in sorted(each.near & left.keys())]
        found.append(group)
    return found


@dataclass(slots=True)
class _Told:
    """An alarm that may go on."""

    keys: set[str]
    sources: set[tuple[int, int]]
    services: set[int]
    until: int


@dataclass(slots=True)
class _Book:
    """The alarms at one multiple."""

    told: int = 0
    open: list[_Told] = field(default_factory=list)

    def take(self, window: WindowCounts, named: Sequence[Candidate]) -> None:
        """Count the groups that no open alarm goes on with."""
        gap = min(window.end - window.start, HOUR)
        self.open = [alarm for alarm in self.open if alarm.until + gap >= window.start]
        keys = {key for alarm in self.open for key in alarm.keys}
        for known in (True, False):
            for group in _together([each for each in named if (each.key in keys) is known]):
                self._tell(window, group)

    def _tell(self, window: WindowCounts, group: Sequence[Candidate]) -> None:
        mine = _Told(
            {each.key for each in group},
            {address for each in group for address in each.sources},
            {service for each in group for service in each.services},
            window.end,
        )
        same = next((alarm for alarm in self.open if _alike(alarm, mine)), None)
        if same is None:
            self.told += 1
            self.open.append(mine)
        else:
            same.keys |= mine.keys
            same.sources |= mine.sources
            same.services |= mine.services
            same.until = max(same.until, mine.until)


def _alike(told: _Told, now: _Told) -> bool:
    if told.keys & now.keys:
        return True
    enough = len(told.sources & now.sources) >= _SHARED * min(len(told.sources), len(now.sources))
    return enough and bool(told.services & now.services)


@dataclass(slots=True)
class GroupAlarms:
    """The alarms of groups that a column would have raised on the test days.

    Verdicts of a window that share sources are one alarm, which goes on in later windows as an alert does.
    """

    books: list[_Book] = field(default_factory=lambda: [_Book() for _ in (*MULTIPLES, 1.0)])

    def note(self, window: WindowCounts, rated: Sequence[tuple[float, Candidate]]) -> None:
        """Take a window's candidates with the multiple of the budget from which on each is named."""
        for limit, book in zip((*MULTIPLES, 1.0), self.books, strict=True):
            book.take(window, [each for multiple, each in rated if multiple <= limit])

    def within(self, multiple: float) -> int:
        """Return how many alarms a multiple of the budget raises: 1, or the nearest of `MULTIPLES` below it."""
        if multiple == 1.0:
            return self.books[-1].told
        told = [book.told for limit, book in zip(MULTIPLES, self.books, strict=False) if limit <= multiple]
        return told[-1] if told else 0

    def multiple(self, most: float) -> float:
        """Return the largest of `MULTIPLES` up to which no more than `most` alarms are raised."""
        found = MULTIPLES[0]
        for limit, book in zip(MULTIPLES, self.books, strict=False):
            if book.told > most:
                break
            found = limit
        return found
