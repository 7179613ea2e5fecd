"""Scores of the past, one for each event, and the tail that they have."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.tails import ScoreTail, fit_scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

HOUR = 3600 * 1_000_000_000
DAY = 24 * HOUR

KEPT = 512
"""Incidents of a channel that are kept, at most: those with the highest scores."""
KEPT_DAYS = 60.0
FLOOR = 1.0
"""Scores below are no incidents."""

_ALIKE = 0.5
"""Share of their services that two patterns share if they are one incident."""
_NEAR_BEST = 0.7
"""An incident goes on while it has this share of its best score."""


class Channel(IntEnum):
    """What a group is known by; each has its own share of the budget, and its own tail."""

    SURGE = 0
    """More sources of a usual service than its past explains."""
    NOVELTY = 1
    """More sources of a service that hardly anybody tried before: such outbreaks have a tail of their own."""
    BREADTH = 2
    """More sources that try a service on several targets or in several hours, or several services."""
    PATTERN = 3
    """More sources that follow a set of services."""


@dataclass(slots=True)
class Incident:
    """What was one thing from its first window to its latest one."""

    key: str
    channel: Channel
    services: frozenset[int]
    first: int
    until: int
    """End of the latest window in which it was near its best, ns since the epoch."""
    best: float
    named: float = math.inf
    """The threshold that it has passed: it goes on above that, although its own score moves the tail."""
    of: str = ""
    """The key that it shares with others that the same sources made: a list of ports is one event, not one for each
    of them. Its own, if none is given."""

    def __post_init__(self) -> None:
        self.of = self.of or self.key


@dataclass(slots=True)
class Incidents:
    """The incidents of one sensor's windows of one length. Not safe for use by several threads."""

    _all: list[list[Incident]] = field(default_factory=lambda: [[] for _ in Channel])
    _open: list[list[Incident]] = field(default_factory=lambda: [[] for _ in Channel])
    """Those that may go on."""
    _observed: int = 0
    """ns, of which no part is counted twice."""
    _latest: int = 0
    _tails: dict[tuple[Channel, float], tuple[ScoreTail, float]] = field(default_factory=dict)

    @property
    def days(self) -> float:
        """Days that the scores are from."""
        return min(self._observed / DAY, KEPT_DAYS)

    def match(self, channel: Channel, services: Iterable[int], start: int, length: int) -> Incident | None:
        """Return the incident that a candidate of the window that begins at `start` continues."""
        mine = frozenset(services)
        gap = min(length, HOUR)
        for known in self._open[channel]:
            if known.until + gap < start or known.first > start:
                continue
            if known.services == mine or (
                channel is Channel.PATTERN and len(known.services & mine) >= _ALIKE * len(known.services | mine)
            ):
                return known
        return None

    def note(
        self,
        channel: Channel,
        services: Iterable[int],
        score: float,
        start: int,
        end: int,
        threshold: float = math.inf,
        beside: str | None = None,
    ) -> str:
        """Take a candidate's score into the past; return its incident's key.

        `beside` is the key of a surer candidate of the same window, the sources of which it shares: from now on the
        two are one event.
        """
        known = self.match(channel, services, start, end - start)
        if known is None:
            key = incident_key(channel, services, start, end)
            known = Incident(key, channel, frozenset(services), start, end, score)
            self._all[channel].append(known)
            self._open[channel].append(known)
        elif score >= _NEAR_BEST * known.best:
            known.until = max(known.until, end)
        known.best = max(known.best, score)
        if score >= threshold:
            known.named = min(known.named, threshold)
        if beside is not None:
            self._unite(channel, known, beside)
        return known.key

    def _unite(self, channel: Channel, known: Incident, beside: str) -> None:
        surer = next((other for other in self._all[channel] if other.key == beside), None)
        if surer is not None and surer.of != known.of:
            before = known.of
            for other in self._all[channel]:
                if other.of == before:
                    other.of = surer.of

    @property
    def observed(self) -> tuple[int, int]:
        """Time that the scores are from, ns, of which no part is counted twice; and when it ended."""
        return self._observed, self._latest

    @classmethod
    def of(cls, incidents: Iterable[Incident], observed: tuple[int, int]) -> Incidents:
        """Return what holds these incidents, and `observed` as it was."""
        made = cls(_observed=observed[0], _latest=observed[1])
        for known in incidents:
            made._all[known.channel].append(known)
        made._find_open()
        return made

    def every(self) -> list[Incident]:
        """Return all incidents, by channel, each channel's in the order in which they began."""
        return [known for incidents in self._all for known in incidents]

    def copy(self) -> Incidents:
        """Return another one that goes on by itself."""
        return Incidents.of(map(replace, self.every()), self.observed)

    def advance(self, start: int, end: int) -> None:
        """Account for a window's time, and forget what is old or low."""
        self._observed += max(0, end - max(start, self._latest))
        self._latest = max(self._latest, end)
        oldest = self._latest - int(KEPT_DAYS * DAY)
        for channel, incidents in enumerate(self._all):
            kept = [known for known in incidents if known.until >= oldest]
            if len(kept) > KEPT:
                ended = sorted(kept, key=lambda known: (known.until + HOUR >= self._latest, known.best))
                kept = sorted(ended[-KEPT:], key=lambda known: known.first)
            self._all[channel] = kept
        self._find_open()
        self._tails.clear()

    def _find_open(self) -> None:
        gap = DAY + HOUR
        self._open = [[known for known in each if known.until + gap >= self._latest] for each in self._all]

    def tail(self, channel: Channel, budget: float, tests: float) -> tuple[ScoreTail, float]:
        """Return the tail of a channel's scores, and the score of which at most `budget` are expected a day.

        Of what is one event the highest score counts, as it is one alarm.
        `tests` counts the independent trials a day, for the time before there is a past.
        """
        key = channel, budget
        if key not in self._tails:
            events: dict[str, float] = {}
            for known in self._all[channel]:
                events[known.of] = max(known.best, events.get(known.of, 0.0))
            scores: NDArray[np.float64] = np.array([*events.values()], np.float64)
            tail = fit_scores(scores, self.days, budget, tests)
            self._tails[key] = tail, tail.score_at(budget)
        return self._tails[key]


def incident_key(channel: Channel, services: Iterable[int], start: int, end: int) -> str:
    """Return the key of an incident that begins with the window [start, end)."""
    text = f"{channel.name}\0{sorted(services)}\0{start}\0{end - start}"
    return "g" + hashlib.sha256(text.encode()).hexdigest()[:20]
