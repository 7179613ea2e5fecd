"""Longer windows from shorter ones: their pairs are added up, packets are not looked at again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from service.windows.budget import Budget
from service.windows.close import WindowName, close_window
from service.windows.kernels.closing import count_hours
from service.windows.pairs import PairTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.capture.hosts import HostTable
    from service.windows.counts import Shed, WindowCounts
    from service.windows.pairs import Pairs

_SECOND = 1_000_000_000
_PANES_SHARE = 4
"""What a part of a sliding window may hold is the window's budget divided by this."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Windows of `length` ns that begin at all multiples of `step` since the epoch.

    They follow one another if both are the same, and overlap if `step` is less. Raises ValueError unless `step` is
    positive and divides `length`.
    """

    length: int
    step: int

    def __post_init__(self) -> None:
        if self.step < 1 or self.length % self.step:
            raise ValueError(f"step: {self.step} ns does not divide the length of {self.length} ns")


USUAL = (
    Scale(600 * _SECOND, 600 * _SECOND),
    Scale(3600 * _SECOND, 3600 * _SECOND),
    Scale(86400 * _SECOND, 3600 * _SECOND),
)
"""10 minutes, an hour, and every hour the 24 before it: slower scans take longer windows."""


def usual_scales(length: int) -> tuple[Scale, ...]:
    """Return those of `USUAL` that windows of a length, ns, can be added up to."""
    return tuple(scale for scale in USUAL if scale.length > length and scale.step % length == 0)


@dataclass(slots=True)
class Part:
    """The pairs of some shorter windows."""

    first: int
    """Start of the first of them, ns since the epoch, ..."""
    last: int
    """... and of the last one."""
    table: PairTable


class ScaledWindows:
    """The open windows of one scale, of one sensor.

    What overlapping windows share is kept once. They take the memory of a `Budget`, and if they overlap a quarter
    of it for each step. A window that holds no more than one window of the next shorter scale, `finer` ns long, is
    not told again.
    """

    def __init__(self, sensor: str, scale: Scale, finer: int, budget: Budget, hosts: HostTable) -> None:
        self._sensor = sensor
        self._scale = scale
        self._finer = finer
        self._budget = budget
        slides = scale.step < scale.length
        self._pane_budget = Budget(max(2, budget.pairs // _PANES_SHARE)) if slides else budget
        self._hosts = hosts
        self._panes: dict[int, Part] = {}
        self.over: list[Part] = []
        """What windows that were closed held, for the next longer scale to take; nothing if they overlap."""
        self._closed_before = 0
        """End of the latest window that was closed."""

    def add(self, part: Part) -> None:
        """Add the pairs of shorter windows that lie within one step; what is handed over belongs to this scale."""
        begin = part.first // self._scale.step * self._scale.step
        pane = self._panes.get(begin)
        if pane is None:
            pane = self._panes[begin] = Part(part.first, part.last, part.table.within(self._pane_budget))
        else:
            pane.first, pane.last = min(pane.first, part.first), max(pane.last, part.last)
            pane.table.merge(part.table)
        if self._scale.step < self._scale.length:
            pane.table.pack()

    def so_far(self, parts: Mapping[int, PairTable]) -> Iterator[tuple[WindowName, PairTable]]:
        """Yield the pairs of windows that began and that parts still open, by their start, would go on with.

        Of overlapping windows, none.
        """
        if self._scale.step < self._scale.length:
            return
        for begin, pane in self._panes.items():
            end = begin + self._scale.step
            mine = [part for start, part in parts.items() if begin <= start < end]
            if mine:
                table = PairTable(self._budget)
                for part in (pane.table, *mine):
                    table.merge(part)
                yield WindowName(self._sensor, begin, end), table

    def close(self, before: int) -> Iterator[WindowCounts]:
        """Yield the windows that end at or before a time, oldest first.

        Of overlapping ones those whose last step brought something, and those that follow one another.
        """
        step, length = self._scale.step, self._scale.length
        if all(begin + step > before for begin in self._panes):
            return
        ends = {begin + step for begin in self._panes} | {(begin // length + 1) * length for begin in self._panes}
        for end in sorted(ends):
            if self._closed_before < end <= before:
                self._closed_before = end
                yield from self._close(end)

    def _close(self, end: int) -> Iterator[WindowCounts]:
        start = end - self._scale.length
        for begin in [begin for begin in self._panes if begin < start]:
            del self._panes[begin]
        panes = [self._panes[begin] for begin in sorted(self._panes) if begin < end]
        if not panes:
            return
        if min(p.first for p in panes) // self._finer < max(p.last for p in panes) // self._finer:
            yield self._counted(WindowName(self._sensor, start, end), panes)
        if self._scale.step == self._scale.length:
            self.over.append(self._panes.pop(start))

    def _counted(self, name: WindowName, panes: list[Part]) -> WindowCounts:
        """Return the counts of panes; their pairs, megabytes, are let go of before anyone looks at them."""
        pairs, shed = self._united(panes)
        counts = close_window(name, pairs, self._hosts, shed)
        return _with_hours(counts, pairs, panes) if self._scale.step < self._scale.length else counts

    def _united(self, panes: list[Part]) -> tuple[Pairs, Shed]:
        """Return the pairs of panes and what was shed, and let go of the table that they are added up in."""
        table = panes[0].table
        if len(panes) > 1:
            table = PairTable(self._budget)
            for pane in panes:
                table.merge(pane.table)
        return table.pairs(), table.shed


def _with_hours(counts: WindowCounts, pairs: Pairs, panes: list[Part]) -> WindowCounts:
    """Return the counts of pairs with the number of panes in which each row's source tried its service."""
    rows = counts.rows
    keys = np.unique(pairs.source).astype(np.int64)[rows.source] << 24 | rows.service
    hours = np.zeros(len(rows), np.int64)
    for pane in panes:
        tried = pane.table.pairs()
        count_hours(keys, tried.source, tried.service, hours)
    return replace(counts, rows=replace(rows, hours=hours))
