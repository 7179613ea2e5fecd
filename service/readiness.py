"""Whether the service can do its work now, as far as the store and the disk tell."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import GaugeMetricFamily

from service.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from prometheus_client.core import Metric

    from service.store.deliveries import SqlDeliveries, Standing
    from service.store.gauges import Gauges, SqlGauges

_SECOND = 1_000_000_000


class Measured(Protocol):
    """A transaction of a store that can be measured."""

    gauges: SqlGauges
    deliveries: SqlDeliveries


class MeasuredStore(Protocol):
    """A store that can be measured."""

    def read(self) -> AbstractContextManager[Measured]:
        """Open a transaction that only reads."""
        ...

    def was_full(self) -> bool:
        """Return whether there was no room for what was written last."""
        ...


@dataclass(frozen=True, slots=True)
class ReadinessSpec:
    """When the service is not ready."""

    folders: tuple[Path, ...] = (Path(),)
    """On the disks that must not be full."""
    min_free_bytes: int = 256 << 20
    stuck_seconds: int = 300
    """Age of the oldest waiting job at which nothing moves, if none was done for as long."""


class Readiness:
    """Asks the store, the disk, and whether the worker beside it `works`; `clock` gives ns since the epoch."""

    def __init__(
        self,
        spec: ReadinessSpec,
        store: MeasuredStore,
        clock: Callable[[], int] = time.time_ns,
        works: Callable[[], bool] = lambda: True,
    ) -> None:
        self._spec, self._store, self._clock, self._works = spec, store, clock, works

    def failures(self) -> list[str]:
        """Return what is wrong, a sentence each; nothing if the service can do its work."""
        found = [] if self._works() else ["the worker gets ready, which takes a minute or two the first time"]
        try:
            with self._store.read() as reader:
                gauges = reader.gauges.read()
        except StoreError:
            found.append("the store can't be read")
        else:
            if self._stuck(gauges):
                found.append(f"{gauges.waiting} jobs wait, and none was done for {self._spec.stuck_seconds} s")
        if self._store.was_full():
            found.append("the store has no room left on its disk")
        return [*found, *self._full_disks()]

    def _full_disks(self) -> Iterator[str]:
        wanted, seen = self._spec.min_free_bytes, set[int]()
        for folder in self._spec.folders:
            try:
                disk, free = folder.stat().st_dev, shutil.disk_usage(folder).free
            except OSError as error:
                yield f"a folder can't be looked at: {error.strerror}"
                continue
            if free < wanted and disk not in seen:
                yield f"the disk is full but for {free >> 20} MiB; {wanted >> 20} MiB are wanted"
            seen.add(disk)

    def _stuck(self, gauges: Gauges) -> bool:
        if gauges.oldest_waiting is None:
            return False
        moved = max(gauges.oldest_waiting, gauges.last_done or 0)
        return self._clock() - moved > self._spec.stuck_seconds * _SECOND


class StoreGauges:
    """A collector of what Prometheus shows of the store, asked anew each time."""

    def __init__(self, store: MeasuredStore, clock: Callable[[], int] = time.time_ns) -> None:
        self._store, self._clock = store, clock

    def collect(self) -> Iterator[Metric]:
        """Return the figures; of a store that can't be read, only that."""
        try:
            with self._store.read() as reader:
                gauges, outputs = reader.gauges.read(), reader.deliveries.standings()
        except StoreError:
            yield GaugeMetricFamily("yocho_store_up", _UP, 0)
            return
        yield GaugeMetricFamily("yocho_store_up", _UP, 1)
        yield from _families(gauges, self._clock())
        yield from _output_families(outputs, self._clock())

    def describe(self) -> Iterator[Metric]:
        """Return the names without asking the store."""
        return described_gauges()


def described_gauges() -> Iterator[Metric]:
    """Yield what `StoreGauges` collects, without values."""
    yield GaugeMetricFamily("yocho_store_up", _UP)
    yield from _families(None, 0)
    yield from _output_families((), 0)


_UP = "1 if the store can be read"

_SHOWN = (
    ("yocho_queue_jobs", "Work that waits"),
    ("yocho_queue_bytes", "Bytes of the work that waits"),
    ("yocho_queue_oldest_seconds", "Age of the work that waits longest; 0 if none waits"),
    ("yocho_patterns_alive", "Patterns seen in the last day before the end of the latest window"),
)


def _families(gauges: Gauges | None, now: int) -> Iterator[Metric]:
    values: list[float | None] = [None] * len(_SHOWN)
    if gauges is not None:
        age = (now - gauges.oldest_waiting) / _SECOND if gauges.oldest_waiting is not None else 0.0
        values = [gauges.waiting, gauges.waiting_bytes, age, gauges.patterns_alive]
    for (name, text), value in zip(_SHOWN, values, strict=True):
        yield GaugeMetricFamily(name, text, value)


_OF_OUTPUTS: tuple[tuple[str, str, Callable[[Standing, int], float]], ...] = (
    ("yocho_deliveries_waiting", "Events that an output has not told yet", lambda each, _: each.behind),
    (
        "yocho_deliveries_oldest_seconds",
        "How long the first of them has waited; 0 if none waits",
        lambda each, now: each.waited(now),
    ),
    ("yocho_dead_letters", "Events that an output gave up", lambda each, _: each.dead),
)


def _output_families(outputs: Sequence[Standing], now: int) -> Iterator[Metric]:
    for name, text, figure in _OF_OUTPUTS:
        family = GaugeMetricFamily(name, f"{text}, by output", labels=["output"])
        for standing in outputs:
            family.add_metric([standing.delivery.output], figure(standing, now))
        yield family
