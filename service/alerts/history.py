"""What a sensor's past windows of one length say: counts, rows and scores, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.baseline import Baseline, Sums, added, summed, weighted
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


class _Day:
    """The windows that began on one day (UTC), and what follows from them, worked out once."""

    def __init__(self, number: int, windows: list[Past]) -> None:
        self.number = number
        self.windows = windows
        self._sums: dict[int, Sums] = {}
        self._busy: Floats | None = None
        self._rows: Recalled | None = None

    def until(self, time: int) -> _Day:
        """Return the day without the windows that end after `time`."""
        if self.windows[-1].end <= time:
            return self
        return _Day(self.number, [past for past in self.windows if past.end <= time])

    def followed_by(self, past: Past) -> _Day:
        """Return the day with a window more; sums that are worked out go on."""
        day = _Day(self.number, [*self.windows, past])
        mine = summed([past.counted])
        for hour, held in self._sums.items():
            day._sums[hour] = added(held, mine) if hour in (past.hour, -1) else held
        return day

    def sums(self, hour: int) -> Sums:
        """Return the sums of the windows of an hour of the day, or of all for −1."""
        if hour not in self._sums:
            mine = [past.counted for past in self.windows if hour in (past.hour, -1)]
            self._sums[hour] = summed(mine)
        return self._sums[hour]

    def busy(self) -> Floats:
        """Return the sources of all windows of each hour of the day, shape (24,)."""
        if self._busy is None:
            hours = [past.hour for past in self.windows]
            sources = [float(past.sources) for past in self.windows]
            self._busy = np.bincount(hours, sources, minlength=24).astype(np.float64)
        return self._busy

    def rows(self) -> Recalled:
        """Return the rows of the windows; all windows have the weight 1."""
        if self._rows is None:
            nothing = np.empty(0, np.int64)
            kept = self.windows
            lengths = np.concatenate([nothing, *(np.diff(past.rows.start) for past in kept)])
            self._rows = Recalled(
                rows=Rows(
                    services=np.concatenate([nothing, *(past.rows.services for past in kept)]),
                    attempts=np.concatenate([nothing, *(past.rows.attempts for past in kept)]),
                    start=np.concatenate(([0], np.cumsum(lengths))),
                ),
                window=np.repeat(np.arange(len(kept)), [len(past.rows) for past in kept]),
                weights=np.ones(len(kept)),
            )
        return self._rows


@dataclass(slots=True)
class History:
    """The past windows of one sensor and one length, none of which overlap.

    Of windows that overlap, as sliding ones do, each is added, and those are kept that begin where the last one
    kept has ended. Not safe for use by several threads.
    """

    spec: HistorySpec = field(default_factory=HistorySpec)
    incidents: Incidents = field(default_factory=Incidents)
    _days: list[_Day] = field(default_factory=list)
    _windows: int = 0
    _entries: int = 0
    _baselines: dict[tuple[int, int], Baseline] = field(default_factory=dict)
    _recalled: tuple[int, Recalled] | None = None
    _earlier: dict[int, tuple[tuple[int, int, int], Sums]] = field(default_factory=dict)
    """Hour of the day, or −1 → sums over all days but the latest, and what they were made of."""

    def add(self, past: Past) -> None:
        """Take a window into the past, if it begins where the last one ended, or later."""
        self.incidents.advance(past.start, past.end)
        self.put(past)

    def put(self, past: Past) -> None:
        """Do the same, but leave the incidents as they are: they were brought back by themselves."""
        if self._days and past.start < self._days[-1].windows[-1].end:
            return
        self._append(past)
        while self._windows > 1 and (
            self._windows > self.spec.windows
            or self._entries > self.spec.entries
            or self._days[0].windows[0].start < past.end - self.spec.days * DAY
        ):
            self._drop()
        self._baselines.clear()
        self._recalled = None

    def _append(self, past: Past) -> None:
        number = past.start // DAY
        same = self._days and self._days[-1].number == number
        self._days.append(self._days.pop().followed_by(past) if same else _Day(number, [past]))
        self._windows += 1
        self._entries += past.entries

    def _drop(self) -> None:
        """Forget the oldest window."""
        first = self._days[0]
        self._windows -= 1
        self._entries -= first.windows[0].entries
        left = first.windows[1:]
        self._days[:1] = [_Day(first.number, left)] if left else []

    def baseline(self, start: int, length: int) -> Baseline:
        """Return what the past says of a window that begins at `start`; windows that overlap it say nothing."""
        kept = self._before(start)
        hour = start // HOUR % 24 if length <= HOUR else -1
        key = kept[-1].windows[-1].end if kept else 0, hour
        if key not in self._baselines:
            self._baselines[key] = self._baseline(kept, hour, length)
        return self._baselines[key]

    def recall(self, start: int) -> Recalled:
        """Return the latest rows of the windows that end at `start` or earlier."""
        kept = self._before(start)
        key = kept[-1].windows[-1].end if kept else 0
        if self._recalled is None or self._recalled[0] != key:
            self._recalled = key, self._recall(kept)
        return self._recalled[1]

    def windows(self) -> list[Past]:
        """Return the windows that are kept, oldest first."""
        return [past for day in self._days for past in day.windows]

    def copy(self) -> History:
        """Return another one that goes on by itself."""
        return History(self.spec, self.incidents.copy(), list(self._days), self._windows, self._entries)

    def _before(self, time: int) -> list[_Day]:
        """Return the days without the windows that end after `time`."""
        kept = len(self._days)
        while kept and self._days[kept - 1].windows[0].end > time:
            kept -= 1
        days = self._days[:kept]
        if days:
            days[-1] = days[-1].until(time)
        return days

    def _weights(self, kept: list[_Day]) -> Floats:
        numbers = np.array([day.number for day in kept], np.float64)
        return np.asarray(0.5 ** ((numbers.max(initial=0.0) - numbers) / self.spec.half_life))

    def _baseline(self, kept: list[_Day], hour: int, length: int) -> Baseline:
        prior = self.spec.hour_days * max(1.0, HOUR / length)
        weights = self._weights(kept)
        whole = self._sums(kept, weights, -1)
        if hour < 0 or not kept:
            return Baseline(whole, summed([]), 1.0, prior)
        at_hour = self._sums(kept, weights, hour)
        busy = sum(weight * day.busy() for weight, day in zip(weights, kept, strict=True))
        mean = float(busy.sum()) / whole.windows
        share = (float(busy[hour]) + prior * mean) / (at_hour.windows + prior) / mean if mean > 0 else 1.0
        return Baseline(whole, at_hour, share, prior)

    def _sums(self, kept: list[_Day], weights: Floats, hour: int) -> Sums:
        """Return the weighted sums over days; those before the latest, whose weight is 1, are worked out once."""
        if not kept:
            return summed([])
        *earlier, last = kept
        made_of = last.number, len(earlier), sum(len(day.windows) for day in earlier)
        held = self._earlier.get(hour)
        if held is None or held[0] != made_of:
            held = made_of, weighted([day.sums(hour) for day in earlier], weights[:-1].tolist())
            self._earlier[hour] = held
        return added(held[1], last.sums(hour))

    def _recall(self, kept: list[_Day]) -> Recalled:
        rows, first = 0, len(kept)
        while first and rows + len(kept[first - 1].rows().rows) <= self.spec.rows:
            first -= 1
            rows += len(kept[first].rows().rows)
        parts = [day.rows() for day in kept[first:]]
        nothing = np.empty(0, np.int64)
        lengths = np.concatenate([nothing, *(np.diff(part.rows.start) for part in parts)])
        before = np.cumsum([0, *(len(part.weights) for part in parts)])
        return Recalled(
            rows=Rows(
                services=np.concatenate([nothing, *(part.rows.services for part in parts)]),
                attempts=np.concatenate([nothing, *(part.rows.attempts for part in parts)]),
                start=np.concatenate(([0], np.cumsum(lengths))),
            ),
            window=np.concatenate([nothing, *(part.window + at for part, at in zip(parts, before, strict=False))]),
            # All count alike: what was seen once in two months is no news, and fading would make it some.
            weights=np.concatenate([np.empty(0), *(part.weights for part in parts)]),
        )
