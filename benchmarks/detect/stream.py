"""The background without campaigns: what columns learn from it, how often they are wrong, where trials begin."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detect.alarms import Alarms, GroupAlarms, candidates
from benchmarks.detect.background import DAY, HOUR, SECOND
from benchmarks.detect.columns import entropy, per_source
from benchmarks.detect.hours import ActiveHours
from service.alerts.coordinated import judge_groups, remember
from service.alerts.history import History
from service.alerts.sources import judge
from service.alerts.threshold import Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from benchmarks.detect.background import Background
    from benchmarks.detect.columns.grouping import GroupColumn
    from service.alerts.coordinated import Judged
    from service.windows.counts import WindowCounts

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

TEN_MINUTES = 600 * SECOND
PER_SOURCE = {"Zeek's counts": per_source.zeek, "threshold random walk": per_source.random_walk}
ENTROPY = "entropy of ports"
TESTS = 1000.0
"""Trials a day; of no weight after some days of history."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A window of the background as columns get it."""

    window: WindowCounts
    hours: Ints
    loud: Bools
    """Sources that are named by themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A window of a test day, with what each column knew before it."""

    seen: Seen
    histories: dict[str, History]
    entropies: list[float]


@dataclass(slots=True)
class Stream:
    """The windows of one length, one after the other."""

    length: int
    columns: Sequence[GroupColumn]
    histories: dict[str, History] = field(default_factory=dict)
    alarms: dict[str, Alarms] = field(default_factory=lambda: defaultdict(Alarms))
    """Of the columns without groups, ..."""
    groups: dict[str, GroupAlarms] = field(default_factory=lambda: defaultdict(GroupAlarms))
    """... and of those with."""
    entropies: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.histories = {column.name: History() for column in self.columns if column.history == column.name}

    def site(self, seen: Seen) -> Site:
        """Return what trials in this window, which was not added yet, need."""
        histories = {name: history.copy() for name, history in self.histories.items()}
        return Site(seen, histories, list(self.entropies))

    def add(self, seen: Seen, *, test: bool) -> None:
        """Judge a window and learn from it; alarms of test days are counted."""
        window = seen.window
        for column in self.columns:
            if column.history == column.name:
                history = self.histories[column.name]
                judged = judge_groups(window, history, column.propose, column.budget, seen.loud, seen.hours)
                if test:
                    self._note(seen, judged, history)
                remember(history, judged)
        self._simple(seen, test=test)

    def _note(self, seen: Seen, judged: Judged, history: History) -> None:
        """Count what the columns that share a history would have raised."""
        shown = candidates(seen.window, judged.candidates)
        for column in self.columns:
            if self.histories[column.history] is history:
                rated = []
                for each, verdict in zip(shown, judged.candidates, strict=True):
                    share = column.budget.of(verdict.evidence, self.length)
                    if share > 0:
                        tail, _ = history.incidents.tail(verdict.evidence, share, TESTS)
                        rated.append((tail.expected(verdict.score) / share, each))
                self.groups[column.name].note(seen.window, rated)

    def everything(self) -> dict[str, Alarms | GroupAlarms]:
        """Return the alarms of all columns."""
        return {**self.alarms, **self.groups}

    def _simple(self, seen: Seen, *, test: bool) -> None:
        """Account for the columns that have no history but their last values."""
        window = seen.window
        value = entropy.entropy(window)
        if test:
            unusual = entropy.unusual(value, self.entropies[-60:])
            # An incident of a day at most: windows that overlap say the same.
            self.alarms[ENTROPY].note(str(window.start // max(DAY, self.length)), 1 / max(unusual, 1e-9))
            for name, score in PER_SOURCE.items():
                scores = score(window)
                for source in np.flatnonzero(scores > 0).tolist():
                    key = f"{window.sources[source].tolist()}{window.start // DAY}"
                    self.alarms[name].note(key, 1 / float(scores[source]))
        self.entropies.append(value)


def follow(background: Background, length: int, step: int, first: int, last: int) -> Iterator[Seen]:
    """Yield the windows of the background that begin in [first, last], with the hours of their rows."""
    shorter = background.windows(HOUR, HOUR, first - length, last + length) if length > HOUR else iter(())
    waiting = next(shorter, None)
    active = ActiveHours()
    for window in background.windows(length, step, first, last):
        if not len(window.rows):
            continue
        while waiting is not None and waiting.end <= window.end:
            active.add(waiting)
            waiting = next(shorter, None)
        hours = active.of(window) if length > HOUR else np.zeros(len(window.rows), np.int64)
        yield Seen(window, hours, loud(window))


def loud(window: WindowCounts) -> Bools:
    """Mark the sources that the service names by themselves."""
    marked = np.zeros(len(window.sources), np.bool_)
    marked[[verdict.source for verdict in judge(window, Thresholds())]] = True
    return marked
