"""An interface whose windows are sent, from packets to the bodies of requests."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path

import httpx

from service.capture.hosts import HostTable
from service.capture.live import LiveCapture
from service.client.client import Client
from service.client.patience import Patience
from service.pipeline import PipelineSpec
from service.sensor.forward import forward_interface
from service.sensor.sender import Sender
from service.sensor.spool import Spool, SpoolSpec
from service.windows.counts import WindowCounts
from service.windows.wire import read_window
from tests.packets import START
from tests.test_watch import SECOND, Silence, sweep

BEGIN = START // (60 * SECOND) * 60 * SECOND


def sent(folder: Path, listener: Silence, times: list[int]) -> list[WindowCounts]:
    """Return what a service was sent of an interface by a sensor whose clock shows these times, then the last."""
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        return httpx.Response(202, json={})

    capture = LiveCapture(listener, HostTable(16))
    listener.capture = capture
    spool = Spool(SpoolSpec(folder))
    patience = Patience(tries=1, first=0.001)
    with Client("http://yocho", patience=patience, transport=httpx.MockTransport(answer)) as client:
        sender = Sender(client, spool, patience)
        sender.start()
        clock = chain(times, repeat(times[-1]))
        forward_interface(capture, "eth0", PipelineSpec(), spool, sender, lambda _: None, lambda: next(clock))
        sender.stop(10)
    spool.close()
    return [read_window(body) for body in bodies]


def test_windows_and_looks_arrive(tmp_path: Path) -> None:
    windows = sent(tmp_path, Silence([sweep(BEGIN), None, None]), [BEGIN + SECOND, BEGIN + 200 * SECOND])
    whole = [counts for counts in windows if counts.whole]
    assert (whole[0].start, whole[0].end) == (BEGIN, BEGIN + 60 * SECOND)
    assert whole[0].attempts == 30
    assert all(counts.sensor == "eth0" for counts in windows)


def test_long_windows_that_are_not_over_are_left_out_at_the_end(tmp_path: Path) -> None:
    windows = sent(tmp_path, Silence([sweep(BEGIN)]), [BEGIN + SECOND])
    assert [counts.end - counts.start for counts in windows if counts.whole] == [60 * SECOND]


def test_a_restart_within_a_minute_loses_nothing_and_contradicts_nothing(tmp_path: Path) -> None:
    first = sent(tmp_path, Silence([sweep(BEGIN)]), [BEGIN + SECOND])
    again = sent(tmp_path, Silence([sweep(BEGIN + 20 * SECOND), None]), [BEGIN + 21 * SECOND, BEGIN + 190 * SECOND])
    minutes = [counts for counts in first + again if counts.whole and counts.end - counts.start == 60 * SECOND]
    assert [counts.start - BEGIN for counts in minutes] == [0, 60 * SECOND]
    assert [counts.attempts for counts in minutes] == [30, 30]
