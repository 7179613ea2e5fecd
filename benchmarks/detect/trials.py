"""One campaign in one window: which columns find it, and whom they name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detect import stream
from benchmarks.detect.columns import dark_nmf, entropy, per_source
from benchmarks.detect.columns.grouping import COUNTERS, OWN, SHIPPED
from benchmarks.detect.injection import inject
from service.alerts.coordinated import judge_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.detect.background import Background
    from benchmarks.detect.campaigns import Attempts
    from benchmarks.detect.columns.grouping import GroupColumn
    from benchmarks.detect.injection import Injected
    from benchmarks.detect.stream import Site
    from service.alerts.coordinated import GroupVerdict
    from service.windows.counts import WindowCounts

    Ints = NDArray[np.int64]

DARK = "Dark-NMF"
NAMED = 0.25
"""Share of the campaign's sources in the window that a verdict has to name for it to be found, and ..."""
LEAST_NAMED = 2
"""... so many of them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a column made of a campaign."""

    found: bool
    f1: float
    """Of the members that it names; NaN if it was not found, or if the column names nobody."""


MISSED = Outcome(found=False, f1=float("nan"))


class Place:
    """A window of trials: what the columns say of its background is worked out once."""

    def __init__(self, site: Site, multiples: Mapping[str, float]) -> None:
        self.site = site
        self._multiples = multiples
        self._before: dict[str, set[str]] = {}

    @property
    def start(self) -> int:
        """Start of the window, ns since the epoch."""
        return self.site.seen.window.start

    @property
    def end(self) -> int:
        """End of the window, ns since the epoch."""
        return self.site.seen.window.end

    def put(self, attempts: Attempts) -> Injected:
        """Return the window with a campaign in it."""
        return inject(self.site.seen.window, self.site.seen.hours, attempts)

    def judge(self, column: GroupColumn, injected: Injected, *, several: bool) -> Outcome:
        """Return what a column finds; `several` is false if no source of the campaign tries several services.

        Then the campaign can't change what follows patterns, and their channel need not be asked.
        """
        if column.name not in self._before:
            window = self.site.seen.window
            found = self._verdicts(column, window, self.site.seen.loud, self.site.seen.hours, several=True)
            self._before[column.name] = {key for verdict in found for key in verdict.parts}
        loud = np.concatenate([self.site.seen.loud, stream.loud(injected.alone)])
        found = self._verdicts(column, injected.window, loud, injected.hours, several=several)
        new = [verdict for verdict in found if set(verdict.parts) - self._before[column.name]]
        return best([verdict.sources for verdict in new], injected.sources)

    def _verdicts(
        self, column: GroupColumn, window: WindowCounts, loud: stream.Bools, hours: Ints, *, several: bool
    ) -> list[GroupVerdict]:
        budget = replace(column.budget, per_day=column.budget.per_day * self._multiples.get(column.name, 1.0))
        history = self.site.histories[column.history]
        return judge_groups(window, history, column.propose if several else None, budget, loud, hours).verdicts

    def simple(self, injected: Injected) -> dict[str, Outcome]:
        """Return what the columns without groups find."""
        found = {}
        for name, score in stream.PER_SOURCE.items():
            needed = 1.0 if score is per_source.zeek else 1 / self._multiples[name]
            named = int((score(injected.alone) >= needed).sum())
            sources = len(injected.sources)
            f1 = 2 * named / (named + sources) if sources else 0.0
            found[name] = Outcome(found=True, f1=f1) if named >= max(LEAST_NAMED, NAMED * sources) else MISSED
        before = self.site.entropies[-60:]
        limit = 1 / self._multiples[stream.ENTROPY]
        now = entropy.unusual(entropy.entropy(injected.window), before)
        was = entropy.unusual(entropy.entropy(self.site.seen.window), before)
        found[stream.ENTROPY] = Outcome(found=now >= limit > was, f1=float("nan"))
        return found

    def dark(self, background: Background, attempts: Attempts) -> Outcome:
        """Return what Dark-NMF finds."""
        time, source = slice_of(background, self.start, self.end)
        inside = (attempts.time >= self.start) & (attempts.time < self.end)
        own = np.uint32(0x64400000) + attempts.source[inside]
        both = np.concatenate([source, own.astype(np.int64)])
        length = self.end - self.start
        found = dark_nmf.groups(np.concatenate([time, attempts.time[inside]]), both, self.start, length)
        limit = 1 / self._multiples[DARK]
        return best([members for size, members in found if size >= limit], np.unique(own).astype(np.int64))


def slice_of(background: Background, start: int, end: int) -> tuple[Ints, Ints]:
    """Return time and source of the attempts in [start, end)."""
    begin, stop = np.searchsorted(background.attempts.time, [start, end])
    part = slice(int(begin), int(stop))
    return background.attempts.time[part], background.attempts.source[part].astype(np.int64)


def best(groups: Sequence[Ints], campaign: Ints) -> Outcome:
    """Return whether a group names enough of the campaign, and the best F1 of those that do."""
    scores = []
    for group in groups:
        named = len(np.intersect1d(group, campaign))
        if named >= max(LEAST_NAMED, NAMED * len(campaign)):
            scores.append(2 * named / (len(group) + len(campaign)))
    return Outcome(found=True, f1=max(scores)) if scores else MISSED


def trial(
    places: Sequence[Place], shipped: Sequence[Place], columns: Sequence[GroupColumn], attempts: Attempts
) -> dict[str, Outcome]:
    """Return what each column finds: the columns at the first of `places`, the service as shipped at all lengths.

    `shipped` holds windows of all lengths that the campaign touches, the one of its own length first.
    """
    injected = places[0].put(attempts)
    pairs = len(injected.alone.rows)
    several = pairs > len(injected.alone.sources)
    found = places[0].simple(injected)
    for column in columns:
        if several or column.propose is None:
            found[column.name] = places[0].judge(column, injected, several=several)
    if not several and COUNTERS in found:
        for column in columns:
            found.setdefault(column.name, found[COUNTERS])
    found[SHIPPED] = _at_all_lengths(shipped, attempts)
    return found


def _at_all_lengths(shipped: Sequence[Place], attempts: Attempts) -> Outcome:
    """Ask the windows in turn until one finds the campaign; windows that see few of it are not asked."""
    column = OWN[0]
    for place in shipped:
        injected = place.put(attempts)
        if len(injected.sources) < 3:
            continue
        several = len(injected.alone.rows) > len(injected.alone.sources)
        outcome = place.judge(column, injected, several=several)
        if outcome.found:
            return outcome
    return MISSED
