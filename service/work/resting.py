"""Who has to wait for a disk that is full: longer each time."""

from __future__ import annotations

_FIRST = 1.0
_SECOND = 1_000_000_000


class Delay:
    """Seconds to wait: one, then twice as long each time, up to a longest."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = min(_FIRST, longest)

    def next(self) -> float:
        """Return how long to wait this time."""
        now, self._next = self._next, min(2 * self._next, self._longest)
        return now


class Resting:
    """Sensors whose work is not tried before a time, ns since the epoch."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._delays: dict[str, Delay] = {}
        self._until: dict[str, int] = {}

    def now(self, time: int) -> frozenset[str]:
        """Return those that rest at a time."""
        return frozenset(name for name, until in self._until.items() if time < until)

    def rest(self, sensor: str, time: int) -> float:
        """Let one rest from a time on; return for how many seconds."""
        seconds = self._delays.setdefault(sensor, Delay(self._longest)).next()
        self._until[sensor] = time + int(seconds * _SECOND)
        return seconds

    def wake(self, sensor: str) -> None:
        """Forget that one had to rest: its work goes on."""
        self._delays.pop(sensor, None)
        self._until.pop(sensor, None)
