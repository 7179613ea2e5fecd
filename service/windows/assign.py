"""Attempts go to the tumbling window in which they were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import AttemptBatch, Outcome, take
from service.windows.budget import Budget
from service.windows.close import WindowName, close_window
from service.windows.kernels import clock as kernels
from service.windows.pairs import Look, PairTable
from service.windows.scales import Part, Scale, ScaledWindows, usual_scales

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.capture.hosts import HostTable
    from service.windows.counts import WindowCounts

SECOND = 1_000_000_000
_RUNS = 64
"""Windows in a batch up to which they are taken apart without copies."""


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How time is divided.

    Raises ValueError if `length` is less than a second, a lateness negative, or a scale cuts windows.
    """

    length: int = 60 * SECOND
    """ns; windows start at multiples of it since the epoch."""
    lateness: int = 10 * SECOND
    """A window stays open so long after its end for late packets and late answers, ns."""
    log_lateness: int = 900 * SECOND
    """The same for logs: those are written when a flow is over, some (AWS) many minutes later and in no order."""
    budget: Budget = field(default_factory=Budget)
    """What a window may hold."""
    scales: tuple[Scale, ...] = ()
    """Longer windows besides, shortest first; they begin where shorter ones do."""

    @classmethod
    def usual(cls, length: int = 60 * SECOND, budget: Budget | None = None) -> WindowSpec:
        """Return windows of a length, ns, with the usual longer ones besides."""
        return cls(length=length, budget=budget or Budget(), scales=usual_scales(length))

    def __post_init__(self) -> None:
        if self.length < SECOND:
            raise ValueError(f"length: {self.length} ns is less than a second")
        for name in ("lateness", "log_lateness"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} ns is negative")
        lengths = [self.length, *(scale.length for scale in self.scales)]
        if any(longer <= shorter for shorter, longer in pairwise(lengths)):
            raise ValueError(f"scales: {lengths[1:]} ns are not longer and longer than {self.length} ns")
        for scale in self.scales:
            if scale.step % self.length:
                raise ValueError(f"scales: steps of {scale.step} ns cut windows of {self.length} ns")


class Windows:
    """Divides the attempts of one sensor into windows. Idle time makes no windows.

    However long they may stay open: where together they hold more than two windows may, the oldest is closed.
    Windows that end by `since`, ns since the epoch, were told before: they are closed from the beginning.
    """

    def __init__(self, sensor: str, spec: WindowSpec, hosts: HostTable, since: int = 0) -> None:
        self._sensor = sensor
        self._spec = spec
        self._hosts = hosts
        self._open: dict[int, PairTable] = {}
        # Index of the first window that may still be open, even if nothing is in it.
        self._closed_before = since // spec.length if since else -1
        self.latest = 0
        """Event time: that of the latest attempt, or what `advance` was told, ns since the epoch."""
        finer = (spec.length, *(scale.length for scale in spec.scales))
        self._scales = [
            ScaledWindows(sensor, scale, shorter, spec.budget, hosts)
            for scale, shorter in zip(spec.scales, finer, strict=False)
        ]
        self._next: list[list[ScaledWindows]] = [[] for _ in finer]
        """Which scales are added up from the windows of `length`, and from those of each scale."""
        for at, scale in enumerate(self._scales):
            self._next[_made_of(spec.scales, at)].append(scale)
        self.late = 0
        """Attempts that came after their window was closed, and count in the oldest open one."""

    def add(self, attempts: AttemptBatch, *, from_log: bool = False) -> Iterator[WindowCounts]:
        """Count attempts; yield the windows that are over."""
        if not len(attempts):
            return
        lateness = self._spec.log_lateness if from_log else self._spec.lateness
        for window, part in self._runs(attempts) or self._sorted(attempts):
            yield from self._close(window * self._spec.length - lateness)
            self._count(window, part)
            yield from self._relieve()
        self.latest = max(self.latest, int(attempts.time.max()))
        yield from self._close(self.latest - lateness)

    def _runs(self, attempts: AttemptBatch) -> list[tuple[int, AttemptBatch]]:
        """Return the attempts of each window, if they come window by window and none is late; nothing if not."""
        window, begin = np.empty((2, _RUNS), np.int64)
        count = kernels.runs(attempts.time, self._spec.length, window, begin)
        if count < 0 or window[0] < self._closed_before:
            return []
        ends = [*begin[1:count].tolist(), len(attempts)]
        return [
            (index, take(attempts, slice(first, end)))
            for index, first, end in zip(window[:count].tolist(), begin.tolist(), ends, strict=False)
        ]

    def _sorted(self, attempts: AttemptBatch) -> Iterator[tuple[int, AttemptBatch]]:
        """Yield the attempts of each window, those that are late in the oldest one that is open."""
        index = attempts.time // self._spec.length
        late = index < self._closed_before
        if late.any():
            self.late += int((late & (attempts.outcome == Outcome.ATTEMPT)).sum())
            index = np.where(late, min(self._open, default=self._closed_before), index)
        for window in np.unique(index).tolist():
            yield window, take(attempts, np.flatnonzero(index == window))

    def advance(self, now: int) -> Iterator[WindowCounts]:
        """Let event time go on to `now`, ns since the epoch, without attempts; yield the windows that are over."""
        self.latest = max(self.latest, now)
        yield from self._close(self.latest - self._spec.lateness)

    def look(self, before: int) -> Iterator[WindowCounts]:
        """Yield what can be said already of windows that are still open: those of the shortest scale, too.

        `before` is the time of the look before, ns since the epoch; see `service.windows.pairs.Look`.
        """
        for index in sorted(self._open):
            start = index * self._spec.length
            name = WindowName(self._sensor, start, start + self._spec.length)
            yield from self._looked_at(name, self._open[index], before)
        for scale in self._scales[:1]:
            parts = {index * self._spec.length: table for index, table in self._open.items()}
            for name, table in scale.so_far(parts):
                yield from self._looked_at(name, table, before)

    def _looked_at(self, name: WindowName, table: PairTable, before: int) -> Iterator[WindowCounts]:
        pairs = table.suspects(self.latest, Look(before))
        if len(pairs.source):
            yield close_window(name, pairs, self._hosts, table.shed, seen_until=self.latest)

    def finish(self) -> Iterator[WindowCounts]:
        """Yield the windows that are still open, at the end of the traffic."""
        yield from self._close(np.iinfo(np.int64).max)

    def _count(self, index: int, attempts: AttemptBatch) -> None:
        if index not in self._open:
            self._open[index] = PairTable(self._spec.budget)
        self._open[index].add(attempts)

    def _relieve(self) -> Iterator[WindowCounts]:
        """Close the oldest of many windows while they hold more pairs than two may."""
        while len(self._open) > 2 and sum(map(len, self._open.values())) > 2 * self._spec.budget.pairs:
            yield from self._close((min(self._open) + 1) * self._spec.length)

    def _close(self, before: int) -> Iterator[WindowCounts]:
        """Close the windows that end at or before a time, those without attempts too."""
        self._closed_before = max(self._closed_before, before // self._spec.length)
        over = [index for index in sorted(self._open) if (index + 1) * self._spec.length <= before]
        for index in over:
            name = WindowName(self._sensor, index * self._spec.length, (index + 1) * self._spec.length)
            yield from self._close_scales(name.start)
            yield from filter(_holds_any, [self._counted(name, self._open.pop(index))])
        yield from self._close_scales(before)

    def _counted(self, name: WindowName, table: PairTable) -> WindowCounts:
        """Return the counts of a window that is over; its table is handed on first: both take the most memory."""
        pairs, shed = table.pairs(), table.shed
        self._hand_on(Part(name.start, name.start, table), 0)
        del table
        return close_window(name, pairs, self._hosts, shed)

    def _close_scales(self, before: int) -> Iterator[WindowCounts]:
        for at, scale in enumerate(self._scales, 1):
            yield from filter(_holds_any, scale.close(before))
            over, scale.over = scale.over, []
            for part in over:
                self._hand_on(part, at)

    def _hand_on(self, part: Part, at: int) -> None:
        """Let longer windows have what those that are over held; all but the first get copies."""
        for number, scale in enumerate(reversed(self._next[at]), 1 - len(self._next[at])):
            scale.add(Part(part.first, part.last, part.table.copy()) if number else part)


def _made_of(scales: Sequence[Scale], at: int) -> int:
    """Return which windows a scale is added up from: 0 the shortest, i those of scale i - 1; the longest that fit.

    So a pair that comes again and again is added once an hour, not once a minute, to those of a day.
    """
    for number in range(at, 0, -1):
        finer = scales[number - 1]
        if finer.step == finer.length and scales[at].step % finer.length == 0:
            return number
    return 0


def _holds_any(counts: WindowCounts) -> bool:
    return len(counts.rows) > 0
