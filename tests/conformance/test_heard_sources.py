"""What `service.capture.source` promises, held against what hears traffic: an interface, exporters of flows.

Nothing of it can be read again, so there is no mark: after a restart hearing begins anew, and windows that were
told before stay closed (`service.windows.assign.Windows`, `since`).
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from service.capture.datagrams import DatagramReceiver, ReceiveSpec, open_datagrams
from service.capture.hosts import HostTable
from service.capture.live import LiveCapture
from service.capture.netflow import Exports
from service.capture.records import RecordColumns
from service.capture.ring import PacketRing, RingSpec
from service.pipeline import PipelineSpec
from service.reading import Reading, read_live
from tests.capture.exports import v5, v5_record
from tests.capture.frames import ETHER, V4, built
from tests.capture.test_datagrams import send as send_datagram
from tests.capture.test_ring import may_listen
from tests.packets import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.capture.batch import FlowBatch, PacketBatch
    from service.capture.records import RecordBlock

SECOND = 10**9
PORT = 40406
FIRST = 41_000
"""Ports from here on tell the order in which packets or flows were sent."""


class Heard(Protocol):
    """One way to hear."""

    def send(self, count: int) -> None:
        """Have so many packets or flows come."""
        ...

    def batches(self) -> Iterator[PacketBatch | FlowBatch]:
        """Yield what comes, until `stop` is called and what came before is read."""
        ...

    def stop(self) -> None: ...

    def position(self) -> int: ...

    def counted(self) -> tuple[int, int]:
        """Return what was read and could not be followed, and what was dropped before it could be read."""
        ...

    def close(self) -> None: ...


class _Given:
    """A listener that hands over blocks of packets that were put there; of each block of ten it takes `most`."""

    def __init__(self, most: int = 10) -> None:
        self.blocks: list[list[tuple[int, bytes]]] = []
        self._most = most
        self._dropped = 0

    def next_block(self, patience: float) -> RecordBlock | None:
        del patience
        if not self.blocks:
            return None
        packets = self.blocks.pop(0)
        self._dropped += max(0, len(packets) - self._most)
        columns, data = RecordColumns.empty(), bytearray()
        for at, (time, frame) in enumerate(packets[: self._most]):
            columns.offset[at], columns.length[at], columns.time[at] = len(data), len(frame), time
            data += frame
        columns.link[:] = 1
        return columns.block(np.frombuffer(bytes(data), np.uint8), min(len(packets), self._most))

    def drops(self) -> int:
        return self._dropped

    def close(self) -> None:
        self.blocks.clear()


class HandMade:
    """An interface whose packets are made by hand: one in ten is cut short."""

    def __init__(self, *, narrow: bool) -> None:
        self._listener = _Given(4 if narrow else 10)
        self.capture = LiveCapture(self._listener, HostTable(16))
        self.batches, self.stop, self.position = self.capture.batches, self.capture.stop, self.capture.position
        self.close = self._listener.close

    def send(self, count: int) -> None:
        packets = [(START + at * SECOND, _frame(at)) for at in range(count)]
        self._listener.blocks += [packets[at : at + 10] for at in range(0, count, 10)]

    def counted(self) -> tuple[int, int]:
        losses = self.capture.losses()
        return sum(losses.unparsed.values()), losses.dropped or 0


class Loopback:
    """The loopback interface, through the kernel's ring."""

    def __init__(self, *, narrow: bool) -> None:
        spec = RingSpec(blocks=2, block_size=4096) if narrow else RingSpec()
        self._ring = PacketRing("lo", f"udp and dst port {PORT}", spec)
        self._capture = LiveCapture(self._ring, HostTable(16))
        self.batches, self.stop, self.position = self._capture.batches, self._capture.stop, self._capture.position
        self.close = self._ring.close

    def send(self, count: int) -> None:
        for at in range(count):
            with open_datagrams("127.0.0.1", FIRST + at, ReceiveSpec(1, 1)) as sender:
                sender.sendto(b"x", ("127.0.0.1", PORT))

    def counted(self) -> tuple[int, int]:
        losses = self._capture.losses()
        return sum(losses.unparsed.values()), losses.dropped or 0


class NetFlow:
    """An exporter of NetFlow v5: its flows one by one, one datagram in ten is rubbish."""

    def __init__(self, *, narrow: bool) -> None:
        self._open = ExitStack()
        self._listener = self._open.enter_context(open_datagrams("127.0.0.1", 0, ReceiveSpec()))
        self._receiver = DatagramReceiver(self._listener, ReceiveSpec(queue_bytes=1 if narrow else 1 << 20))
        self._open.enter_context(self._receiver)
        self._exports = Exports(HostTable(16))
        self._stopped = threading.Event()

    def send(self, count: int) -> None:
        for at in range(count):
            record = v5_record("192.0.2.1", "198.51.100.1", sport=FIRST + at)
            send_datagram(
                self._listener, b"rubbish" if at % 10 == 7 else v5([record], sequence=at - (at + 2) // 10)
            )

    def batches(self) -> Iterator[FlowBatch]:
        while not self._stopped.is_set():
            yield self._read(0.1)
        self._receiver.stop()
        yield self._read(0)
        yield self._exports.finish()

    def _read(self, patience: float) -> FlowBatch:
        return self._exports.read([data for _, data in self._receiver.take(patience)])

    def stop(self) -> None:
        self._stopped.set()

    def position(self) -> int:
        return self._receiver.received

    def counted(self) -> tuple[int, int]:
        return sum(self._exports.losses().values()), self._receiver.queue_drops + self._receiver.kernel_drops

    def close(self) -> None:
        self._open.close()


def _frame(at: int) -> bytes:
    from scapy.layers.inet import TCP  # noqa: PLC0415  (slow to import)

    return built(ETHER / V4 / TCP(sport=FIRST + at, dport=80, flags="S"))[: 20 if at % 10 == 7 else None]


WAYS: dict[str, type[HandMade | Loopback | NetFlow]] = {
    "packets made by hand": HandMade,
    "loopback": Loopback,
    "netflow": NetFlow,
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> type[HandMade | Loopback | NetFlow]:
    if request.param == "loopback" and not may_listen():
        pytest.skip("needs Linux and the right to listen (CAP_NET_RAW)")
    return WAYS[request.param]


def heard(source: Heard, wanted: int) -> tuple[list[int], list[int]]:
    """Return the ports of what comes until so many came or were counted, and the position after each batch."""
    ports: list[int] = []
    positions: list[int] = []
    timer = threading.Timer(20, source.stop)
    timer.start()
    for batch in source.batches():
        ports += batch.source_port.tolist()
        positions.append(source.position())
        if len(ports) + sum(source.counted()) >= wanted:
            source.stop()
    timer.cancel()
    return ports, positions


def test_all_that_comes_is_followed_or_counted_in_its_order(way: type[HandMade | Loopback | NetFlow]) -> None:
    source = way(narrow=False)
    source.send(40)
    ports, _ = heard(source, 40)
    unparsed, dropped = source.counted()
    assert dropped == 0
    assert len(ports) + unparsed == 40
    assert ports == sorted(ports)
    assert set(ports) == {FIRST + at for at in range(40) if at % 10 != 7 or way is Loopback}
    source.close()


def test_the_position_only_goes_on(way: type[HandMade | Loopback | NetFlow]) -> None:
    source = way(narrow=False)
    source.send(40)
    _, positions = heard(source, 40)
    assert positions == sorted(positions)
    assert positions[-1] > 0
    assert source.position() == positions[-1]
    source.close()


def test_what_there_is_no_room_for_is_counted(way: type[HandMade | Loopback | NetFlow]) -> None:
    source = way(narrow=True)
    source.send(200)
    ports, _ = heard(source, 200)
    unparsed, dropped = source.counted()
    assert dropped > 0
    # The kernel counts what the loopback interface sends too.
    assert 200 <= len(ports) + unparsed + dropped <= (400 if way is Loopback else 200)
    source.close()


def test_what_came_before_the_end_is_read(way: type[HandMade | Loopback | NetFlow]) -> None:
    source = way(narrow=False)
    source.send(20)
    if way is NetFlow:
        while source.position() < 20:
            pass
    source.stop()
    ports = [port for batch in source.batches() for port in batch.source_port.tolist()]
    assert len(ports) + source.counted()[0] == 20
    source.close()


def test_it_can_be_closed_twice_and_heard_again_by_another(way: type[HandMade | Loopback | NetFlow]) -> None:
    for _ in range(2):
        source = way(narrow=False)
        source.send(20)
        assert len(heard(source, 20)[0]) >= 18
        source.close()
        source.close()


def test_windows_that_were_told_before_a_restart_are_not_told_again() -> None:
    """The only sense in which what is heard goes on."""

    def told(since: int) -> list[tuple[int, str]]:
        source = HandMade(narrow=False)
        source.send(200)
        source.stop()
        found = read_live(source.capture, "edge", PipelineSpec(), Reading(), lambda: START, since)
        return [(counts.start, counts.digest()) for counts in found if counts.whole]

    whole = told(0)
    assert len(whole) > 2
    since = whole[1][0] + 60 * SECOND
    assert [start for start, _ in told(since)] == [start for start, _ in whole[2:]]
    assert told(since)[1:] == whole[3:]  # what came late counts in the first that is open
