"""The whole way from the bytes of a real capture to counts, against scapy and the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scapy.utils import RawPcapReader

from service.capture.direction import Conversations
from service.capture.file import CaptureFile
from service.windows.assign import Windows, WindowSpec
from service.windows.clock import SteadyClock
from tests.capture.dissection import ETHERNET, dissect
from tests.capture.reading import packets_of
from tests.reference import Packet, attempts_of, windows_of
from tests.windows.counting import window_of

if TYPE_CHECKING:
    from service.windows.counts import WindowCounts

LAB = Path(__file__).parents[2] / "examples" / "lab.pcap"

pytestmark = pytest.mark.skipif(not LAB.exists(), reason="examples/lab.pcap is not there")


@pytest.fixture(scope="module")
def dissected() -> list[Packet]:
    with RawPcapReader(str(LAB)) as reader:
        frames = [(meta.sec * 10**9 + meta.usec * 1000, data) for data, meta in reader]
    found = (dissect(ETHERNET, time, data) for time, data in frames)
    return [packet for packet in found if packet]


def test_scapy_sees_the_same_packets(dissected: list[Packet]) -> None:
    capture = CaptureFile(LAB)
    seen = [packet for batch in capture.batches() for packet in packets_of(batch, capture.hosts)]
    assert seen == dissected
    losses = capture.losses()
    assert losses.packets == len(seen) + sum(losses.unparsed.values())
    assert losses.damage is None


@pytest.mark.parametrize("length", [10, 60])
def test_the_reference_counts_the_same(dissected: list[Packet], length: int) -> None:
    spec = WindowSpec(length=length * 10**9)
    capture = CaptureFile(LAB)
    clock, conversations = SteadyClock(), Conversations()
    windows = Windows("lab", spec, capture.hosts)
    found: list[WindowCounts] = []
    for batch in capture.batches():
        timed = replace(batch, time=clock.steady(batch.time))
        found += windows.add(conversations.follow(timed))
    found += windows.add(conversations.finish())
    found += windows.finish()
    assert {counts.start: window_of(counts) for counts in found} == windows_of(attempts_of(dissected), spec.length)
    assert (clock.mended, windows.late) == (0, 0)
