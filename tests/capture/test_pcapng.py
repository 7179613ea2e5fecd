from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.capture.chunks import LONGEST
from tests.capture.frames import ETHER, SYN, V4, built
from tests.capture.reading import Reading, read
from tests.packets import SECOND, START, Blocks, Frame, pcapng

RAW = 101
PACKET = built(V4 / SYN)
ORDERS = [Blocks(), Blocks(big=True)]


def read_blocks(tmp_path: Path, *blocks: bytes) -> Reading:
    return read(tmp_path / "a.pcapng", b"".join(blocks))


def undamaged(reading: Reading) -> list[int]:
    assert reading.losses.damage is None
    return reading.times


@pytest.mark.parametrize("b", ORDERS)
def test_kinds_of_packets(tmp_path: Path, b: Blocks) -> None:
    reading = read_blocks(
        tmp_path,
        b.section(b.option(4, b"yocho") + b.option(0, b"")),
        b.interface(RAW, options=b.option(2, b"eth0") + b.resolution(9) + b.option(0, b"")),
        b.simple(PACKET),
        b.enhanced(START, PACKET, options=b.option(2, struct.pack("<I", 1)) + b.option(0, b"")),
        b.block(4, b"names"),
        b.obsolete(START + 5, PACKET, drops=77),
        b.block(0x0BAD, b"custom data"),
        b.simple(PACKET),
        b.block(5, bytes(12)),
    )
    assert undamaged(reading) == [0, START, START + 5, START + 5]
    assert {packet.target_port for packet in reading.packets} == {23}


@pytest.mark.parametrize("b", ORDERS)
@pytest.mark.parametrize("kind", ["enhanced", "obsolete"])
def test_packets_belong_to_their_interface(tmp_path: Path, b: Blocks, kind: str) -> None:
    """Each with its own link type, resolution and offset."""
    write = b.enhanced if kind == "enhanced" else b.obsolete
    reading = read_blocks(
        tmp_path,
        b.section(),
        b.interface(RAW),
        b.interface(1, options=b.resolution(3)),
        write(START // 1000, PACKET, interface=0),
        write(START // 1_000_000, built(ETHER / V4 / SYN), interface=1),
        b.interface(RAW, options=b.resolution(0) + b.time_offset(3600)),
        write(START // SECOND, PACKET, interface=2),
    )
    assert undamaged(reading) == [START, START, START + 3600 * SECOND]


@pytest.mark.parametrize("first", ORDERS)
@pytest.mark.parametrize("second", ORDERS)
def test_a_new_section_forgets_order_and_interfaces(tmp_path: Path, first: Blocks, second: Blocks) -> None:
    whole = [first.section(), first.interface(RAW), first.enhanced(1_000_000, PACKET), second.section()]
    reading = read_blocks(tmp_path, *whole, second.interface(RAW), second.enhanced(2_000_000, PACKET))
    assert undamaged(reading) == [SECOND, 2 * SECOND]
    reading = read_blocks(tmp_path, *whole, second.enhanced(2_000_000, PACKET))
    assert reading.times == [SECOND]
    assert reading.losses.damage is not None
    assert reading.losses.damage.offset == sum(map(len, whole))
    assert "unknown interface" in reading.losses.damage.reason


exact = st.tuples(st.just(10), st.integers(0, 9)) | st.tuples(st.just(2), st.integers(0, 29))
fine = st.tuples(st.just(10), st.integers(10, 18)) | st.tuples(st.just(2), st.integers(30, 62))


def time_read(tmp_path: Path, ticks: int, base: int, power: int, offset: int, b: Blocks) -> int:
    options = b.resolution(power | (0x80 if base == 2 else 0)) + b.time_offset(offset)
    return undamaged(
        read_blocks(tmp_path, b.section(), b.interface(RAW, options=options), b.enhanced(ticks, PACKET))
    )[0]


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    exact, st.integers(0, 4 * 10**9), st.integers(0, 10**9), st.integers(-(10**6), 10**6), st.sampled_from(ORDERS)
)
def test_resolutions_down_to_nanoseconds_are_exact(
    tmp_path: Path, rate: tuple[int, int], seconds: int, part: int, offset: int, b: Blocks
) -> None:
    base, power = rate
    ticks = seconds * base**power + part % base**power
    assert time_read(tmp_path, ticks, base, power, offset, b) == ticks * SECOND // base**power + offset * SECOND


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(fine, st.integers(0, (1 << 63) - 1), st.sampled_from(ORDERS))
def test_finer_resolutions_lose_less_than_two_nanoseconds(
    tmp_path: Path, rate: tuple[int, int], ticks: int, b: Blocks
) -> None:
    base, power = rate
    found = time_read(tmp_path, ticks, base, power, 0, b)
    assert abs(found - ticks * SECOND // base**power) <= 1


def test_simple_packets_are_cut_by_the_first_interface(tmp_path: Path) -> None:
    b = Blocks()
    long = PACKET + bytes(200)
    reading = read_blocks(
        tmp_path,
        b.section(),
        b.interface(RAW, snap=len(PACKET)),
        b.simple(PACKET, original=len(long)),
        b.simple(PACKET[:30]),
    )
    assert len(undamaged(reading)) == 1
    assert reading.losses.unparsed == {"tcp_cut_before_flags": 1}


def test_options_that_run_over_their_block_are_left(tmp_path: Path) -> None:
    b = Blocks()
    options = b.pack("HH", 9, 400) + b"\x09\0\0\0"
    reading = read_blocks(
        tmp_path, b.section(), b.interface(RAW, options=options), b.enhanced(START // 1000, PACKET)
    )
    assert undamaged(reading) == [START]


def test_options_of_wrong_size_or_meaning_are_left(tmp_path: Path) -> None:
    b = Blocks()
    options = b.option(9, b"\x03\x03") + b.option(14, b"1234") + b.time_offset(1 << 40)
    reading = read_blocks(
        tmp_path, b.section(), b.interface(RAW, options=options), b.enhanced(START // 1000, PACKET)
    )
    assert undamaged(reading) == [START]


@pytest.mark.parametrize("b", ORDERS)
@pytest.mark.parametrize("kind", [6, 0x0BAD, 1, 0x0A0D0D0A])
@pytest.mark.parametrize("size", [0, 4, 8, 11, 13, 30, LONGEST + 4, 0xFFFFFFFC, 0xFFFFFFFF])
def test_blocks_of_impossible_length(tmp_path: Path, b: Blocks, kind: int, size: int) -> None:
    whole = b.section() + b.interface(RAW) + b.enhanced(1_000_000, PACKET)
    reading = read_blocks(tmp_path, whole, b.pack("III", kind, size, 0x1A2B3C4D) + bytes(100))
    assert reading.times == [SECOND]
    assert reading.losses.damage is not None
    assert reading.losses.damage.offset == len(whole)


@pytest.mark.parametrize("b", ORDERS)
@pytest.mark.parametrize("kind", ["section", "interface", "enhanced", "simple", "obsolete", "unknown"])
@pytest.mark.parametrize("wrong", [0, 12, 1 << 31])
def test_a_length_that_is_told_twice_has_to_be_the_same(tmp_path: Path, b: Blocks, kind: str, wrong: int) -> None:
    whole = b.section() + b.interface(RAW) + b.enhanced(1_000_000, PACKET)
    block = {
        "section": b.section(),
        "interface": b.interface(RAW),
        "enhanced": b.enhanced(2_000_000, PACKET),
        "simple": b.simple(PACKET),
        "obsolete": b.obsolete(2_000_000, PACKET),
        "unknown": b.block(0x0BAD, b"data"),
    }[kind]
    reading = read_blocks(tmp_path, whole, block[:-4] + b.pack("I", wrong), b.enhanced(3_000_000, PACKET))
    assert reading.times == [SECOND]
    assert reading.losses.damage is not None
    assert reading.losses.damage.offset == len(whole)


def test_packets_that_claim_more_than_their_block(tmp_path: Path) -> None:
    b = Blocks()
    whole = b.section() + b.interface(RAW)
    lying = b.block(6, b.pack("IIIII", 0, 0, 0, len(PACKET) + 4, 0) + PACKET)
    reading = read_blocks(tmp_path, whole, lying)
    assert reading.packets == []
    assert reading.losses.damage is not None
    assert reading.losses.damage.offset == len(whole)


@pytest.mark.parametrize(
    "packet", [Blocks().simple(PACKET), Blocks().enhanced(1, PACKET), Blocks().obsolete(1, PACKET)]
)
def test_packets_without_an_interface(tmp_path: Path, packet: bytes) -> None:
    whole = Blocks().section()
    reading = read_blocks(tmp_path, whole, packet)
    assert reading.packets == []
    assert reading.losses.damage is not None
    assert reading.losses.damage.offset == len(whole)


@pytest.mark.parametrize("kind", [2, 3, 6])
def test_packet_blocks_too_short_for_their_header(tmp_path: Path, kind: int) -> None:
    b = Blocks()
    reading = read_blocks(tmp_path, b.section(), b.interface(RAW), b.block(kind, b""), b.enhanced(1, PACKET))
    assert reading.packets == []
    assert reading.losses.damage is not None


def test_a_section_without_a_byte_order(tmp_path: Path) -> None:
    b = Blocks()
    reading = read_blocks(tmp_path, b.block(0x0A0D0D0A, bytes(16)))
    assert reading.losses.damage is not None
    assert "byte order" in reading.losses.damage.reason


@pytest.mark.parametrize("big", [False, True])
def test_files_cut_anywhere_keep_what_is_whole(tmp_path: Path, big: bool) -> None:
    data = pcapng([Frame(START + i, PACKET) for i in range(3)], link=RAW, big=big)
    head = len(pcapng([], link=RAW, big=big))
    size = (len(data) - head) // 3
    section = len(Blocks(big).section())
    for cut in range(4, len(data)):
        reading = read_blocks(tmp_path, data[:cut])
        packets = max(0, (cut - head) // size)
        assert reading.times == [START + i for i in range(packets)]
        ends = [section, head, head + size, head + 2 * size]
        if cut in ends:
            assert reading.losses.damage is None
        else:
            assert reading.losses.damage is not None
            assert reading.losses.damage.offset == max(end for end in [0, *ends] if end < cut)


@pytest.mark.parametrize("kind", [0x0BAD, 6])
def test_the_longest_block_is_read(tmp_path: Path, kind: int) -> None:
    b = Blocks()
    body = bytes(LONGEST - 12)
    if kind == 6:
        data = PACKET + bytes(LONGEST - 32 - len(PACKET))
        body = b.pack("IIIII", 0, 0, 1_000_000, len(data), len(data)) + data
    reading = read_blocks(
        tmp_path,
        b.section(),
        b.interface(RAW),
        b.enhanced(1_000_000, PACKET),
        b.block(kind, body),
        b.enhanced(2_000_000, PACKET),
    )
    assert undamaged(reading) == [SECOND] * (2 if kind == 6 else 1) + [2 * SECOND]


@pytest.mark.parametrize("which", ["section", "interface"])
def test_long_descriptions_are_read(tmp_path: Path, which: str) -> None:
    b = Blocks()
    comment = b.option(1, bytes(60_000)) * 80  # more than a chunk
    reading = read_blocks(
        tmp_path,
        b.section(comment if which == "section" else b""),
        b.interface(RAW, options=comment + b.resolution(9) if which == "interface" else b.resolution(9)),
        b.enhanced(START, PACKET),
    )
    assert undamaged(reading) == [START]


def test_many_interfaces(tmp_path: Path) -> None:
    b = Blocks()
    reading = read_blocks(
        tmp_path, b.section(), b.interface(1) * 999, b.interface(RAW), b.enhanced(1_000_000, PACKET, interface=999)
    )
    assert undamaged(reading) == [SECOND]
