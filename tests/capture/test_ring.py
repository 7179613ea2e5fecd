"""Packets of the loopback interface, which needs the right to listen; blocks made by hand, which don't."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from service.capture.batch import PacketBatch
from service.capture.bpf import SNAP_LENGTH, compile_filter, packed
from service.capture.hosts import HostTable
from service.capture.kernels.headers import UDP
from service.capture.kernels.ring import ring_records
from service.capture.live import Listener, LiveCapture, ScapyListener, listen
from service.capture.ring import ETHERNET, PacketRing, RingSpec
from service.errors import CaptureError


def may_listen() -> bool:
    if not hasattr(socket, "AF_PACKET"):
        return False
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        return False
    return True


privileged = pytest.mark.skipif(not may_listen(), reason="needs Linux and the right to listen (CAP_NET_RAW)")


def block_of(packets: list[tuple[int, bytes, bool]], size: int = 4096) -> np.ndarray:
    """Return a block as the kernel fills it: (ns, frame, outgoing)."""
    block = bytearray(struct.pack("<IIIIIIQ", 3, 0, 1, len(packets), 48, 0, 1).ljust(48, b"\0"))
    for time, frame, outgoing in packets:
        room = -(-(82 + len(frame)) // 16) * 16
        header = struct.pack("<6IHH", room, *divmod(time, 10**9), len(frame), len(frame), 1, 82, 96)
        address = struct.pack("<HHiHB", 17, 8, 1, 772, 4 if outgoing else 0)
        block += (header.ljust(48, b"\0") + address).ljust(82, b"\0") + frame.ljust(room - 82, b"\0")
    return np.frombuffer(bytes(block).ljust(size, b"\0"), np.uint8)


def listed(block: np.ndarray, *, skip_outgoing: bool = False, room: int = 10) -> list[tuple[int, bytes]]:
    offset, length, time = (np.empty(room, np.int64) for _ in range(3))
    count = ring_records(block, 0, len(block), skip_outgoing, offset, length, time)
    return [(int(time[i]), bytes(block[offset[i] : offset[i] + length[i]])) for i in range(count)]


def test_a_block_lists_its_packets() -> None:
    packets = [(1_700_000_000_000_000_001, b"first", False), (2, b"", False), (3, b"x" * 1500, True)]
    assert listed(block_of(packets)) == [(time, frame) for time, frame, _ in packets]
    assert len(listed(block_of(packets), skip_outgoing=True)) == 2
    assert len(listed(block_of(packets), room=1)) == 1


def test_a_block_that_claims_more_than_it_holds_ends_there() -> None:
    block = block_of([(1, b"y" * 200, False)])[:256].copy()
    assert listed(block) == []


def test_without_an_expression_every_packet_is_taken_but_not_whole() -> None:
    assert compile_filter("", ETHERNET) == [(6, 0, 0, SNAP_LENGTH)]
    assert len(packed(compile_filter("", ETHERNET))) == 8


def test_a_filter_keeps_no_more_than_headers() -> None:
    program = compile_filter("tcp port 23", ETHERNET)
    assert {k for code, _, _, k in program if code == 6} == {0, SNAP_LENGTH}


def test_a_wrong_filter_is_refused_with_the_reason() -> None:
    with pytest.raises(CaptureError, match=r"--bpf 'tcp prot 23'.*syntax error"):
        compile_filter("tcp prot 23", ETHERNET)


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"patience": 0}, {"block_size": 100}, {"block_size": 0}])
def test_a_ring_has_a_size(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RingSpec(**wrong)


@pytest.fixture(params=[PacketRing, ScapyListener])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    if not may_listen():
        pytest.skip("needs Linux and the right to listen (CAP_NET_RAW)")
    listening = request.param("lo", "udp and dst port 40404")
    yield listening
    listening.close()


def send(count: int, port: int = 40404) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(str(number).encode(), ("127.0.0.1", port))


def gathered(capture: LiveCapture, wanted: int) -> list[PacketBatch]:
    found: list[PacketBatch] = []
    timer = threading.Timer(2, capture.stop)
    timer.start()
    for batch in capture.batches():
        found.append(batch)
        if sum(map(len, found)) >= wanted:
            capture.stop()
    timer.cancel()
    return [batch for batch in found if len(batch)]


def test_packets_that_pass_the_filter_are_seen_once(listener: Listener) -> None:
    capture = LiveCapture(listener, HostTable(16))
    send(5, port=40405)
    send(50)
    batches = gathered(capture, 100)
    # scapy sees what the loopback interface sends, and receives it again.
    times = 2 if isinstance(listener, ScapyListener) else 1
    assert sum(map(len, batches)) == 50 * times
    for batch in batches:
        assert set(batch.event.tolist()) == {UDP}
        assert set(batch.target_port.tolist()) == {40404}
        assert set(batch.source.tolist()) == set(batch.target.tolist()) == {0x7F000001}
    losses = capture.losses()
    assert (losses.packets, losses.dropped) == (50 * times, 0 if times == 1 else None)


@privileged
def test_what_does_not_fit_into_the_ring_is_counted() -> None:
    ring = PacketRing("lo", "udp and dst port 40404", RingSpec(blocks=2, block_size=4096))
    send(500)
    capture = LiveCapture(ring, HostTable(16))
    seen = sum(map(len, gathered(capture, 1)))
    losses = capture.losses()
    assert losses.dropped
    # The kernel counts what the loopback interface sends too.
    assert 500 <= seen + losses.dropped <= 1000


@privileged
def test_silence_yields_empty_batches_so_that_time_goes_on() -> None:
    capture = LiveCapture(PacketRing("lo", "udp and dst port 40404"), HostTable(16))
    batches = capture.batches()
    assert len(next(batches)) == 0
    capture.stop()
    assert sum(map(len, batches)) == 0


@privileged
def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(CaptureError, match="nowhere0: can't listen there: No such device"):
        listen("nowhere0")
