"""A live interface: alerts as they come, until somebody says stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service.pipeline import Pipeline
from service.reading import Reading, read_live
from service.scan import Figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.alerts.alert import Alert
    from service.capture.live import LiveCapture
    from service.pipeline import PipelineSpec
    from service.scan import Summary
    from service.store.repository import Store


def watch_interface(
    capture: LiveCapture,
    sensor: str,
    spec: PipelineSpec,
    store: Store,
    tell: Callable[[Alert], None],
    tell_drops: Callable[[int], None],
    clock: Callable[[], int] = time.time_ns,
) -> Summary:
    """Follow an interface until its capture is stopped, and keep what is found; return the figures.

    `tell` hears of each scan once, when a look at an open window first shows it, and `tell_drops` at the end of a
    window how many packets the system has dropped, if they have become more. `clock` gives ns since the epoch: it
    closes windows when nothing comes. Raises WindowConflictError if the store holds other windows of these times.
    """
    pipeline, reading, figures = Pipeline(spec, store), Reading(), Figures(spec.windows.length)
    told: dict[str, bool] = {}
    dropped = 0
    for counts in read_live(capture, sensor, spec, reading, clock):
        if counts.whole:
            figures.add(counts)
        found = pipeline.accept(counts).alerts if counts.whole else pipeline.look(counts)
        fresh = [alert for alert in found if not told.get(alert)]
        with store.read() as unit:
            for alert in filter(None, map(unit.alert, fresh)):
                told[alert.id] = alert.allowed_by is None
                if told[alert.id]:
                    tell(alert)
        if (now := capture.losses().dropped or 0) > dropped:
            tell_drops(dropped := now)
    return figures.summary(reading, sum(told.values()), len(told) - sum(told.values()), live=True)
