"""Real traffic as attempts, and as the windows that the service makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import AttemptBatch, FlowBatch, Outcome, take
from service.capture.direction import Conversations
from service.capture.flow_direction import FlowDirection
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.windows.budget import Budget
from service.windows.close import WindowName, close_window
from service.windows.counts import Shed
from service.windows.pairs import PairTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from service.windows.counts import WindowCounts

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The attempts of some files, by time, with their outcomes."""

    name: str
    attempts: AttemptBatch
    hosts: HostTable

    @property
    def start(self) -> int:
        """Time of the first attempt, ns since the epoch."""
        return int(self.attempts.time[0])

    @property
    def end(self) -> int:
        """Time of the last attempt, ns since the epoch."""
        return int(self.attempts.time[-1])

    def windows(self, length: int, step: int, first: int, last: int) -> Iterator[WindowCounts]:
        """Yield the windows that begin at multiples of `step` in [first, last], as the service would."""
        time = self.attempts.time
        for start in range(-(-first // step) * step, last + 1, step):
            begin, end = np.searchsorted(time, [start, start + length])
            yield self._window(start, length, slice(int(begin), int(end)))

    def _window(self, start: int, length: int, part: slice) -> WindowCounts:
        table = PairTable(Budget())
        table.add(take(self.attempts, part))
        return close_window(WindowName(self.name, start, start + length), table.pairs(), self.hosts, Shed())


def load(name: str, paths: Sequence[Path]) -> Background:
    """Read captures and logs of flows with the service's own readers; raises CaptureError as those do."""
    hosts = HostTable()
    batches = [batch for path in paths for batch in _attempts(path, hosts)]
    columns = {
        column: np.concatenate([getattr(batch, column) for batch in batches])
        for column in ("time", "source", "target", "service", "outcome")
    }
    order = np.lexsort((columns["outcome"] != Outcome.ATTEMPT, columns["time"]))
    return Background(name, take(AttemptBatch(**columns), order), hosts)


def _attempts(path: Path, hosts: HostTable) -> Iterator[AttemptBatch]:
    traffic, flows, packets = open_traffic(path, hosts), FlowDirection(), Conversations()
    for batch in traffic.batches():
        if isinstance(batch, FlowBatch):
            yield from flows.follow(batch)
        else:
            yield packets.follow(batch)
    yield flows.finish()
    yield packets.finish()
