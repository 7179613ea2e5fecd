"""Tries of a few sources through the whole way of a live sensor, second by second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.alert import Kind
from service.capture.batch import AttemptBatch, Outcome
from service.capture.hosts import HostTable
from service.pipeline import Pipeline, PipelineSpec
from service.store.memory import MemoryStore
from service.windows.assign import Windows, WindowSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from service.windows.counts import WindowCounts

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_767_225_600 * SECOND
"""A midnight, ns since the epoch."""

_TICK = SECOND // 4
"""A live sensor looks at open windows so often, ns."""
_PATIENCE = 3 * SECOND
"""What is silent is known so long after a try, ns."""
_LATENESS = 10 * SECOND
"""Windows close so long after their end, ns."""


@dataclass(frozen=True, slots=True)
class Try:
    """A source tries a service of a target."""

    time: int
    """ns since the epoch"""
    source: int
    """IPv4 address"""
    target: int
    service: int
    outcome: int | None = None
    """`Outcome`, 20 ms later; None: silence."""


@dataclass(frozen=True, slots=True)
class Named:
    """When a source was named."""

    kind: Kind
    tries: int
    """It had made by then."""
    pairs: int
    """Distinct (target, service) that the verdict rests on."""
    seconds: float
    """Since its first try."""
    scale: int
    """Length of the windows that showed it, s."""


def live_spec() -> PipelineSpec:
    """Return what `yocho watch` uses."""
    return PipelineSpec(windows=WindowSpec.usual())


def named(tries: Sequence[Try], spec: PipelineSpec | None = None) -> dict[int, Named]:
    """Return whom a live sensor names, and when, if these tries are all it sees."""
    return _Sensor(spec or live_spec(), sorted(tries, key=lambda one: one.time)).run()


@dataclass(slots=True)
class _Sensor:
    spec: PipelineSpec
    tries: list[Try]
    found: dict[int, Named] = field(default_factory=dict)

    def run(self) -> dict[int, Named]:
        windows = Windows("bench", self.spec.windows, HostTable())
        store = MemoryStore(most_windows=1)
        pipeline = Pipeline(self.spec, store)
        told, looked = 0, 0
        for now in self._ticks():
            end = told
            while end < len(self.tries) and self.tries[end].time <= now:
                end += 1
            for counts in self._counted(windows, self.tries[told:end], now):
                self._note(store, pipeline.accept(counts).alerts, now)
            for counts in windows.look(looked):
                self._note(store, pipeline.look(counts), now)
            told, looked = end, windows.latest
        return self.found

    def _ticks(self) -> Iterator[int]:
        """Yield when something is to be seen: a try, that it was in vain, or the end of a window."""
        decided = (one.time + wait for one in self.tries for wait in (0, _PATIENCE))
        ticks = {-(-time // _TICK) * _TICK for time in decided}
        first, last = self.tries[0].time // (10 * MINUTE) * 10 * MINUTE, self.tries[-1].time + 2 * 60 * MINUTE
        yield from sorted(ticks | set(range(first + _LATENESS, last, 10 * MINUTE)))

    def _counted(self, windows: Windows, tries: Sequence[Try], now: int) -> Iterator[WindowCounts]:
        if tries:
            rows = [(one, Outcome.ATTEMPT) for one in tries]
            rows += [(one, one.outcome) for one in tries if one.outcome is not None]
            yield from windows.add(
                AttemptBatch(
                    time=np.array([one.time for one, _ in rows], np.int64),
                    source=np.array([one.source for one, _ in rows], np.uint32),
                    target=np.array([one.target for one, _ in rows], np.uint32),
                    service=np.array([one.service for one, _ in rows], np.int32),
                    outcome=np.array([outcome for _, outcome in rows], np.uint8),
                )
            )
        yield from windows.advance(now)

    def _note(self, store: MemoryStore, alerts: Iterable[str], now: int) -> None:
        with store.read() as unit:
            for alert in filter(None, map(unit.alert, alerts)):
                for text in alert.sources:
                    source = int.from_bytes(bytes(map(int, text.split("."))))
                    mine = [one.time for one in self.tries if one.source == source]
                    self.found.setdefault(
                        source,
                        Named(
                            kind=alert.kind,
                            tries=sum(time <= now for time in mine),
                            pairs=alert.named_after,
                            seconds=(now - mine[0]) / SECOND,
                            scale=alert.scale // SECOND,
                        ),
                    )
