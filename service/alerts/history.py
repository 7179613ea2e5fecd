"""What a sensor's past windows of one length say: counts, rows and scores, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.baseline import Baseline, Sums, summed, weighted
from service.alerts.incidents import DAY, HOUR, Incidents
from service.patterns.groups import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.alerts.surge import Counted

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HistorySpec:
    """How much of the past is kept. Raises ValueError if a number is not positive."""

    windows: int = 4320
    """Windows, at most, ..."""
    days: float = 60.0
    """... and none that began longer ago."""
    entries: int = 1 << 20
    """Counters and services of rows in all of them, at most: the oldest windows go first."""
    rows: int = 1 << 13
    """Rows that are recounted, at most: the latest."""
    half_life: float = 14.0
    """Days after which a window counts half."""
    hour_days: float = 3.0
    """Days of an hour's own counts that the mean of all hours counts for."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} is not positive")


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is kept of one window."""

    start: int
    """ns since the epoch"""
    end: int
    sources: int
    counted: Counted
    rows: Rows
    """The sources that tried several services."""

    @property
    def entries(self) -> int:
        """Numbers that are kept."""
        return len(self.counted.ids) + len(self.rows.services)

    @property
    def hour(self) -> int:
        """The hour of the day, UTC, in which it began."""
        return self.start // HOUR % 24


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """The rows of past windows, one after the other."""

    rows: Rows
    window: Ints
    """The window of each row."""
    weights: Floats
    """Of each window."""


@dataclass(slots=True)
class History:
    """The past windows of one sensor and one length, none of which overlap.

    Of windows that overlap, as sliding ones do, each is added, and those are kept that begin where the last one
    kept has ended. Not safe for use by several threads.
    """

    spec: HistorySpec = field(default_factory=HistorySpec)
    incidents: Incidents = field(default_factory=Incidents)
    _kept: list[Past] = field(default_factory=list)
    _entries: int = 0
    _days: dict[int, tuple[int, Sums]] = field(default_factory=dict)
    """Of each day the number of windows, and their sums."""
    _baselines: dict[tuple[int, int], Baseline] = field(default_factory=dict)
    _recalled: tuple[int, Recalled] | None = None

    def add(self, past: Past) -> None:
        """Take a window into the past, if it begins where the last one ended, or later."""
        self.incidents.advance(past.start, past.end)
        if self._kept and past.start < self._kept[-1].end:
            return
        self._kept.append(past)
        self._entries += past.entries
        oldest = past.end - self.spec.days * DAY
        gone = 0
        while gone < len(self._kept) - 1 and (
            len(self._kept) - gone > self.spec.windows
            or self._entries > self.spec.entries
            or self._kept[gone].start < oldest
        ):
            self._entries -= self._kept[gone].entries
            gone += 1
        del self._kept[:gone]
        first = self._kept[0].start // DAY
        self._days = {day: sums for day, sums in self._days.items() if day >= first}
        self._baselines.clear()
        self._recalled = None

    def baseline(self, start: int, length: int) -> Baseline:
        """Return what the past says of a window that begins at `start`; windows that overlap it say nothing."""
        kept = self._before(start)
        hour = start // HOUR % 24 if length <= HOUR else -1
        key = len(kept), hour
        if key not in self._baselines:
            self._baselines[key] = self._baseline(kept, hour, length)
        return self._baselines[key]

    def recall(self, start: int) -> Recalled:
        """Return the latest rows of the windows that end at `start` or earlier."""
        kept = self._before(start)
        if self._recalled is None or self._recalled[0] != len(kept):
            self._recalled = len(kept), self._recall(kept)
        return self._recalled[1]

    def copy(self) -> History:
        """Return another one that goes on by itself."""
        return History(self.spec, self.incidents.copy(), list(self._kept), self._entries, dict(self._days))

    def _before(self, time: int) -> list[Past]:
        kept = len(self._kept)
        while kept and self._kept[kept - 1].end > time:
            kept -= 1
        return self._kept[:kept]

    def _weight(self, day: int, last: int) -> float:
        return float(0.5 ** ((last - day) / self.spec.half_life))

    def _baseline(self, kept: list[Past], hour: int, length: int) -> Baseline:
        prior = self.spec.hour_days * max(1.0, HOUR / length)
        if not kept:
            return Baseline(summed([]), summed([]), 1.0, prior)
        days: dict[int, list[Past]] = {}
        for past in kept:
            days.setdefault(past.start // DAY, []).append(past)
        last = kept[-1].start // DAY
        weights = [self._weight(day, last) for day in days]
        whole = weighted([self._day(day, mine) for day, mine in days.items()], weights)
        at_hour = [[past.counted for past in mine if past.hour == hour] for mine in days.values()]
        return Baseline(
            whole, weighted([summed(mine) for mine in at_hour], weights), self._share(kept, hour, prior), prior
        )

    def _day(self, day: int, windows: list[Past]) -> Sums:
        known = self._days.get(day)
        if known is None or known[0] != len(windows):
            known = len(windows), summed([past.counted for past in windows])
            self._days[day] = known
        return known[1]

    def _share(self, kept: list[Past], hour: int, prior: float) -> float:
        """Return how busy an hour is, as a multiple of the mean."""
        last = kept[-1].start // DAY
        weights = np.array([self._weight(past.start // DAY, last) for past in kept])
        sources = weights * np.array([past.sources for past in kept], np.float64)
        mean = float(sources.sum() / weights.sum())
        if hour < 0 or mean <= 0:
            return 1.0
        same = np.array([past.hour == hour for past in kept])
        return float((sources[same].sum() + prior * mean) / (weights[same].sum() + prior) / mean)

    def _recall(self, kept: list[Past]) -> Recalled:
        rows, first = 0, len(kept)
        while first and rows + len(kept[first - 1].rows) <= self.spec.rows:
            first -= 1
            rows += len(kept[first].rows)
        kept = kept[first:]
        nothing = np.empty(0, np.int64)
        lengths = np.concatenate([nothing, *(np.diff(past.rows.start) for past in kept)])
        return Recalled(
            rows=Rows(
                services=np.concatenate([nothing, *(past.rows.services for past in kept)]),
                attempts=np.concatenate([nothing, *(past.rows.attempts for past in kept)]),
                start=np.concatenate(([0], np.cumsum(lengths))),
            ),
            window=np.repeat(np.arange(len(kept)), [len(past.rows) for past in kept]),
            weights=np.array([self._weight(past.start // DAY, kept[-1].start // DAY) for past in kept]),
        )
