"""`service.capture.records` and the loops in `service.capture.kernels.records`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels import records as kernels
from service.capture.records import BLOCK, RecordColumns
from tests.packets import START, Blocks, Frame, pcap

HEADER = 24


def columns(room: int) -> tuple[NDArray[np.int64], ...]:
    return tuple(np.full(room, -1, dtype=np.int64) for _ in range(4))


def test_a_list_that_is_full_goes_on_where_it_ended() -> None:
    data = np.frombuffer(pcap([Frame(START + i * 1000, bytes(i)) for i in range(5)]), dtype=np.uint8)
    offset, length, time, _ = columns(3)
    first = kernels.pcap_records(data, HEADER, len(data), False, 1000, 16, 100, offset, length, time)
    assert first == (3, HEADER + 3 * 16 + 0 + 1 + 2, kernels.FULL)
    assert length.tolist() == [0, 1, 2]
    assert offset.tolist() == [HEADER + 16, HEADER + 32, HEADER + 49]
    assert time.tolist() == [START, START + 1000, START + 2000]
    second = kernels.pcap_records(data, first[1], len(data), False, 1000, 16, 100, offset, length, time)
    assert second == (2, len(data), kernels.MORE)
    assert length.tolist()[:2] == [3, 4]


def test_pcap_records_stop_before_what_is_not_there() -> None:
    data = np.frombuffer(pcap([Frame(START, bytes(10))] * 2), dtype=np.uint8)
    offset, length, time, _ = columns(5)
    for end in range(HEADER, len(data)):
        found = kernels.pcap_records(data, HEADER, end, False, 1000, 16, 100, offset, length, time)
        assert found == ((end - HEADER) // 26, HEADER + (end - HEADER) // 26 * 26, kernels.MORE)


def test_the_limit_itself_is_allowed() -> None:
    data = np.frombuffer(pcap([Frame(START, bytes(10))]), dtype=np.uint8)
    offset, length, time, _ = columns(5)
    assert kernels.pcap_records(data, HEADER, len(data), False, 1000, 16, 10, offset, length, time)[0] == 1
    found = kernels.pcap_records(data, HEADER, len(data), False, 1000, 16, 9, offset, length, time)
    assert found == (0, HEADER, kernels.CORRUPT)


def test_pcapng_packets_stop_at_a_description() -> None:
    b = Blocks()
    packet = b.enhanced(7_000_000, b"four")
    data = np.frombuffer(packet + b.simple(b"four") + b.interface(), dtype=np.uint8)
    interfaces = np.array([[147, 0, 1_000_000, 5]], dtype=np.int64)
    offset, length, time, link = columns(5)
    found = kernels.pcapng_records(data, 0, len(data), False, 1000, interfaces, 3, offset, length, time, link)
    assert found == (2, len(data) - 20, kernels.CONTROL)
    assert offset.tolist()[:2] == [28, len(packet) + 12]
    assert length.tolist()[:2] == [4, 4]
    assert time.tolist()[:2] == [7_000_000_005] * 2
    assert link.tolist()[:2] == [147, 147]


def test_a_block_shows_only_what_was_filled_in() -> None:
    room = RecordColumns.empty()
    assert len(room.offset) == len(room.link) == BLOCK
    for column in (room.offset, room.length, room.time, room.link):
        column[:] = np.arange(BLOCK)
    block = room.block(np.zeros(8, dtype=np.uint8), 3)
    assert [len(block.data)] == [8]
    for column in (block.offset, block.length, block.time, block.link):
        assert column.tolist() == [0, 1, 2]
