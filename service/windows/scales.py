"""Longer windows from shorter ones: their pairs are added up, packets are not looked at again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.windows.close import WindowName, close_window
from service.windows.pairs import PairTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.capture.hosts import HostTable
    from service.windows.budget import Budget
    from service.windows.counts import WindowCounts


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


class ScaledWindows:
    """The open windows of one scale, of one sensor.

    Each takes the memory of a `Budget`, and length / step of them are open at a time.
    """

    def __init__(self, sensor: str, scale: Scale, budget: Budget, hosts: HostTable) -> None:
        self._sensor = sensor
        self._scale = scale
        self._budget = budget
        self._hosts = hosts
        self._open: dict[int, PairTable] = {}

    def add(self, start: int, part: PairTable) -> None:
        """Add the pairs of a shorter window that begins at `start` and crosses no border of this scale."""
        last = start // self._scale.step * self._scale.step
        first = last - self._scale.length + self._scale.step
        for begin in range(first, last + 1, self._scale.step):
            if begin not in self._open:
                self._open[begin] = PairTable(self._budget)
            self._open[begin].merge(part)

    def close(self, before: int) -> Iterator[WindowCounts]:
        """Yield the windows that end at or before a time, oldest first."""
        for begin in sorted(self._open):
            end = begin + self._scale.length
            if end > before:
                return
            table = self._open.pop(begin)
            yield close_window(WindowName(self._sensor, begin, end), table.pairs(), self._hosts, table.shed)
