from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.capture.chunks import Chunks
from service.capture.pcap import PcapRecords
from service.capture.records import BLOCK
from tests.capture.frames import SYN, V4, built
from tests.capture.reading import Reading, read
from tests.packets import SECOND, START, Frame, pcap

RAW = 101
PACKET = built(V4 / SYN)
HEADER = 24
RECORD = 16 + len(PACKET)

times = st.integers(0, (1 << 32) - 1).map(lambda seconds: seconds * SECOND) | st.integers(0, (1 << 32) * SECOND - 1)


def read_packets(tmp_path: Path, data: bytes) -> Reading:
    return read(tmp_path / "a.pcap", data)


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(times, max_size=20), st.booleans(), st.booleans())
def test_times_of_both_byte_orders_and_resolutions(
    tmp_path: Path, moments: list[int], big: bool, fine: bool
) -> None:
    data = pcap([Frame(time, PACKET) for time in moments], link=RAW, big=big, nanoseconds=fine)
    reading = read_packets(tmp_path, data)
    assert reading.times == [time if fine else time // 1000 * 1000 for time in moments]
    assert reading.losses.damage is None


def test_a_file_without_packets(tmp_path: Path) -> None:
    reading = read_packets(tmp_path, pcap([]))
    assert reading.packets == []
    assert reading.losses.damage is None


def test_the_upper_bits_of_the_link_type_are_no_part_of_it(tmp_path: Path) -> None:
    """They tell that frames end with a checksum."""
    reading = read_packets(tmp_path, pcap([Frame(START, PACKET)], link=RAW | 0x2400_0000))
    assert len(reading.packets) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_longer_record_headers_of_old_systems(tmp_path: Path, order: str) -> None:
    """Their magic number is another one; each record tells interface, protocol and kind of packet."""
    head = struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, RAW)
    record = struct.pack(order + "IIIIIHBB", 1_700_000_000, 7, len(PACKET), len(PACKET), 3, 0x0800, 0, 0) + PACKET
    reading = read_packets(tmp_path, head + 3 * record)
    assert reading.times == [1_700_000_000 * SECOND + 7000] * 3
    assert [packet.target_port for packet in reading.packets] == [23] * 3
    cut = read_packets(tmp_path, head + record + record[:20])
    assert len(cut.packets) == 1
    assert cut.losses.damage is not None


def test_frames_cut_by_the_snap_length(tmp_path: Path) -> None:
    reading = read_packets(tmp_path, pcap([Frame(START, PACKET + bytes(100))], link=RAW, snap=len(PACKET)))
    assert reading.packets[0].target_port == 23


@pytest.mark.parametrize("cut", range(4, HEADER))
def test_a_file_that_ends_inside_its_header(tmp_path: Path, cut: int) -> None:
    damage = read_packets(tmp_path, pcap([])[:cut]).losses.damage
    assert damage is not None
    assert damage.offset == 0
    assert "header is cut short" in damage.reason


@pytest.mark.parametrize("cut", range(2 * RECORD + 1, 3 * RECORD))
def test_a_file_that_ends_inside_a_record(tmp_path: Path, cut: int) -> None:
    reading = read_packets(tmp_path, pcap([Frame(START + i, PACKET) for i in range(3)], link=RAW)[: HEADER + cut])
    assert len(reading.packets) == 2
    damage = reading.losses.damage
    assert damage is not None
    assert damage.offset == HEADER + 2 * RECORD
    assert f"{cut - 2 * RECORD} bytes after its beginning" in damage.reason


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("claimed", [262_145, 1 << 31, (1 << 32) - 1])
def test_a_record_longer_than_any_packet_ends_the_reading(tmp_path: Path, claimed: int, big: bool) -> None:
    absurd = struct.pack(">IIII" if big else "<IIII", 0, 0, claimed, claimed) + bytes(100)
    reading = read_packets(tmp_path, pcap([Frame(START, PACKET)], link=RAW, big=big) + absurd)
    assert len(reading.packets) == 1
    damage = reading.losses.damage
    assert damage is not None
    assert damage.offset == HEADER + RECORD
    assert "claims more than 262144 bytes" in damage.reason


@pytest.mark.parametrize("length", [262_144, 5_000_000, 1 << 23])
def test_long_records_are_read_where_the_snap_length_allows_them(tmp_path: Path, length: int) -> None:
    long = Frame(START, PACKET + bytes(length - len(PACKET)))
    reading = read_packets(tmp_path, pcap([long, Frame(START + 1000, PACKET)], link=RAW, snap=length))
    assert reading.times == [START, START + 1000]


def test_an_absurd_snap_length_is_not_believed(tmp_path: Path) -> None:
    head = pcap([], link=RAW, snap=(1 << 32) - 1)
    reading = read_packets(tmp_path, head + struct.pack("<IIII", 0, 0, (1 << 23) + 1, 0) + bytes(100))
    assert reading.losses.damage is not None
    assert reading.losses.damage.offset == HEADER


@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_blocks_are_bounded(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Frame(START + i * 1000, b"") for i in range(count)], link=RAW))
    with path.open("rb") as file:
        blocks = [block.time.copy() for block in PcapRecords().blocks(Chunks(file))]
    assert max(map(len, blocks)) <= BLOCK
    assert np.concatenate(blocks).tolist() == [START + i * 1000 for i in range(count)]
