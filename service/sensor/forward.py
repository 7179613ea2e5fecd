"""A live interface: its windows go to a service elsewhere."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from service.reading import Reading, read_live
from service.scan import Figures
from service.windows.wire import write_window

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.capture.live import LiveCapture
    from service.pipeline import PipelineSpec
    from service.scan import Summary
    from service.sensor.sender import Sender
    from service.sensor.spool import Spool
    from service.windows.counts import WindowCounts

_log = logging.getLogger(__name__)


def forward_interface(
    capture: LiveCapture,
    sensor: str,
    spec: PipelineSpec,
    spool: Spool,
    sender: Sender,
    tell_drops: Callable[[int], None],
    clock: Callable[[], int] = time.time_ns,
) -> Summary:
    """Follow an interface until its capture is stopped; put its windows into the spool, and return the figures.

    It goes on where the spool's position is: attempts that belong to a window which was sent count in the next.
    Long windows that are not over at the end are left out: nobody could tell them from whole ones.
    `tell_drops` hears how many packets the system has dropped, if they have become more.
    """
    reading, figures = Reading(), Figures(spec.windows.length)
    dropped = 0
    for counts in read_live(capture, sensor, spec, reading, clock, spool.position()):
        if not counts.whole:
            sender.look(write_window(counts))
            continue
        figures.add(counts)
        short = counts.end - counts.start == spec.windows.length
        if short or counts.end <= clock():
            _keep(spool, counts, counts.end if short else spool.position())
            sender.wake()
        if (now := capture.losses().dropped or 0) > dropped:
            tell_drops(dropped := now)
    return figures.summary(reading, 0, 0, live=True)


def _keep(spool: Spool, counts: WindowCounts, position: int) -> None:
    try:
        spool.put(write_window(counts), position)
    except OSError as error:
        # The interface goes on: a full disk costs windows, not the sensor.
        _log.warning("window lost", extra={"window": counts.id, "reason": error.strerror, "waiting": len(spool)})
