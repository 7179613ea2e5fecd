"""A sensor as a process of its own: packets are counted, windows wait on the disk, and are sent.

In place of an interface it hears minutes that are always the same, from the one on with which its position begins;
all else is what `yocho watch --to` consists of. It sends no looks: which it would send depends on the clock.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.capture.hosts import HostTable
from service.capture.live import LiveCapture
from service.capture.records import RecordBlock, RecordColumns
from service.client.client import Client
from service.client.patience import Patience
from service.pipeline import PipelineSpec
from service.sensor.forward import forward_interface
from service.sensor.sender import Sender
from service.sensor.spool import Spool, SpoolSpec
from service.windows.assign import WindowSpec
from tests.chaos.traffic import TAP, frames
from tests.traffic import START, Try
from tests.work.traffic import MINUTE, tries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.selfcheck.frames import Frame

_TOGETHER = 10
"""Packets in one block."""
_PAUSE = 0.005
"""Seconds between two blocks."""
_LAST_SECONDS = 60.0


class Wire:
    """An interface on which minutes pass, as many as a file says; it ends with the last one."""

    def __init__(self, count: int, position: int, allowed: Path) -> None:
        self._count = count
        self._allowed = allowed
        self._minute = max(0, (position - START) // MINUTE)
        self._blocks = self._told(tries(count, 5))
        self.capture: LiveCapture | None = None

    def next_block(self, patience: float) -> RecordBlock | None:
        """See `service.capture.live.Listener`."""
        time.sleep(_PAUSE)
        if self._minute < min(self._count, int(self._allowed.read_text())):
            return next(self._blocks)
        if self._minute >= self._count:
            assert self.capture is not None
            self.capture.stop()
        return None

    def drops(self) -> int:
        """See `service.capture.live.Listener`."""
        return 0

    def close(self) -> None:
        """See `service.capture.live.Listener`."""

    def _told(self, told: list[list[Try]]) -> Iterator[RecordBlock]:
        while self._minute < self._count:
            packets = frames(told[self._minute], START + self._minute * MINUTE)
            for first in range(0, len(packets), _TOGETHER):
                last = first + _TOGETHER >= len(packets)
                self._minute += last
                yield _block(packets[first : first + _TOGETHER])


def _block(packets: list[Frame]) -> RecordBlock:
    columns, at = RecordColumns.empty(), 0
    for i, packet in enumerate(packets):
        columns.offset[i], columns.length[i], columns.time[i], columns.link[i] = (
            at,
            len(packet.data),
            packet.time,
            1,
        )
        at += len(packet.data)
    return columns.block(np.frombuffer(b"".join(packet.data for packet in packets), np.uint8), len(packets))


def main() -> None:
    """Run until the last minute is told; the exit status is 1 if windows are left that could not be sent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("spool", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("allowed", type=Path)
    options = parser.parse_args()
    spool = Spool(SpoolSpec(options.spool))
    wire = Wire(options.count, spool.position(), options.allowed)
    capture = wire.capture = LiveCapture(wire, HostTable(16))
    spec = PipelineSpec(windows=WindowSpec())
    with Client(options.url, patience=Patience(tries=1)) as client:
        sender = Sender(client, spool, Patience(first=0.1, longest=1.0))
        sender.start()
        forward_interface(capture, TAP, spec, spool, sender, lambda _: None, lambda: -1)
        sender.stop(_LAST_SECONDS)
    sys.exit(1 if len(spool) else 0)


if __name__ == "__main__":
    main()
