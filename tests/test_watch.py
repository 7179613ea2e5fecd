"""`yocho watch` on the loopback interface, as its users start it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from service.alerts.alert import Alert
from service.capture.hosts import HostTable
from service.capture.live import LiveCapture
from service.capture.records import RecordBlock, RecordColumns
from service.pipeline import PipelineSpec
from service.store.memory import MemoryStore
from service.watch import watch_interface
from tests.capture.test_ring import privileged
from tests.conftest import REPOSITORY
from tests.packets import START

SECOND = 10**9


class Silence:
    """An interface on which nothing happens but what is put there."""

    def __init__(self, blocks: list[RecordBlock | None]) -> None:
        self._blocks = blocks
        self.capture: LiveCapture | None = None
        self.dropped = 0

    def next_block(self, patience: float) -> RecordBlock | None:
        if not self._blocks:
            assert self.capture is not None
            self.capture.stop()
            return None
        self.dropped += 5
        return self._blocks.pop(0)

    def drops(self) -> int:
        return self.dropped

    def close(self) -> None:
        self._blocks = []


def sweep(start: int, count: int = 30) -> RecordBlock:
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    frames = [
        bytes(ether / IP(src="192.0.2.9", dst=f"10.0.0.{i + 1}") / TCP(dport=23, flags="S")) for i in range(count)
    ]
    columns = RecordColumns.empty()
    at = 0
    for i, frame in enumerate(frames):
        columns.offset[i], columns.length[i], columns.time[i], columns.link[i] = at, len(frame), start + i, 1
        at += len(frame)
    return columns.block(np.frombuffer(b"".join(frames), np.uint8), count)


def test_a_scan_is_told_when_its_window_is_over_though_nothing_comes_any_more() -> None:
    start = START * SECOND if START < 10**12 else START
    listener = Silence([sweep(start), None, None])
    capture = LiveCapture(listener, HostTable(16))
    listener.capture = capture
    told: list[tuple[Alert, int]] = []
    drops: list[int] = []
    clock = iter([start + 61 * SECOND, *[start + 200 * SECOND] * 9])
    now = 0

    def tick() -> int:
        nonlocal now
        now = next(clock)
        return now

    summary = watch_interface(
        capture, "eth7", PipelineSpec(), MemoryStore(), lambda alert: told.append((alert, now)), drops.append, tick
    )
    assert [(alert.sources, alert.kind.value) for alert, _ in told] == [(("192.0.2.9",), "horizontal")]
    assert told[0][1] == start + 200 * SECOND
    assert (summary.packets, summary.windows, summary.live) == (30, 1, True)
    assert drops == sorted(drops)
    assert summary.dropped == listener.dropped >= drops[-1] > 0


@privileged
def test_watch_names_who_scans_and_gives_up_its_rights(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from service.wiring import main; main()"]
    watching = subprocess.Popen(
        [*command, "watch", "lo", "--bpf", "udp and portrange 20000-20099", "--format", "jsonl", "--window", "1"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stderr is not None
        assert watching.stderr.readline() == "yocho: listening on lo; Ctrl-C ends it\n"
        status = Path(f"/proc/{watching.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for port in range(20000, 20100):
                sender.sendto(b"probe", ("127.0.0.1", port))
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=60)
    finally:
        watching.kill()
    lines = [json.loads(line) for line in out.splitlines()]
    assert (watching.returncode, err) == (0, "")
    assert {(line["kind"], tuple(line["sources"])) for line in lines[:-1]} == {("vertical", ("127.0.0.1",))}
    assert lines[-1]["summary"]["packets"] == 100
    assert lines[-1]["summary"]["dropped"] == 0


@pytest.mark.skipif(not hasattr(socket, "AF_PACKET"), reason="needs Linux")
def test_an_interface_that_is_not_there_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from service.wiring import main; main()", "watch", "nowhere0"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere0" in done.stderr


def test_a_scan_is_told_before_its_window_is_over() -> None:
    start = START * SECOND if START < 10**12 else START
    listener = Silence([sweep(start, 10), None, None, None])
    capture = LiveCapture(listener, HostTable(16))
    listener.capture = capture
    told: list[Alert] = []
    clock = chain([start + seconds * SECOND for seconds in (1, 1, 5)], repeat(start + 9 * SECOND))
    watch_interface(
        capture, "eth7", PipelineSpec(), MemoryStore(), told.append, lambda _: None, lambda: next(clock)
    )
    (alert,) = told
    assert (alert.sources, alert.named_after) == (("192.0.2.9",), 10)
    assert alert.named_at == start + 5 * SECOND
