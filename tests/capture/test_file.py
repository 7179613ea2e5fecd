from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet6 import IPv6

from service.capture.chunks import CHUNK
from service.capture.direction import Conversations
from service.capture.file import CaptureFile
from service.capture.hosts import HostTable
from service.errors import CaptureError
from tests.capture.dissection import dissect
from tests.capture.frames import ETHER, SYN, V4, built, ethernet
from tests.capture.reading import packets_of, read, told_by
from tests.packets import SECOND, START, Frame, pcap, pcapng, squeezed, zipped
from tests.reference import Packet, attempts_of

RAW = 101
PACKET = built(V4 / SYN)
FRAMES = [Frame(START + i * SECOND, PACKET) for i in range(5)]
TIMES = [frame.time for frame in FRAMES]
PACKED: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": zipped, "zstd": squeezed}
FILES = {"pcap": pcap(FRAMES, link=RAW), "pcapng": pcapng(FRAMES, link=RAW)}


# --- formats ---


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("name", ["a.pcap", "a.txt", "a"])
@pytest.mark.parametrize("packed", PACKED)
def test_formats_are_found_by_content(tmp_path: Path, kind: str, name: str, packed: str) -> None:
    reading = read(tmp_path / name, PACKED[packed](FILES[kind]))
    assert reading.times == TIMES
    assert reading.losses.packets == 5
    assert reading.losses.damage is None


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_packed_in_several_members(tmp_path: Path, packed: str) -> None:
    data, pack = FILES["pcap"], PACKED[packed]
    reading = read(tmp_path / "a", pack(data[:100]) + pack(data[100:]))
    assert reading.times == TIMES
    assert reading.losses.damage is None


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(ethernet, max_size=12), st.booleans(), st.booleans(), st.booleans())
def test_trains_of_any_packets(tmp_path: Path, train: list[bytes], big: bool, modern: bool, zip_it: bool) -> None:
    frames = [Frame(START + i * 1000, data) for i, data in enumerate(train)]
    data = (pcapng if modern else pcap)(frames, big=big)
    reading = read(tmp_path / "a", zipped(data) if zip_it else data)
    dissected = [dissect(1, frame.time, frame.data) for frame in frames]
    assert reading.packets == [packet for packet in dissected if packet]
    assert reading.losses.packets == len(frames)
    assert sum(reading.losses.unparsed.values()) == dissected.count(None)


# --- files that can't be opened ---


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter than 4 bytes"),
        (b"\xd4\xc3\xb2", "shorter than 4 bytes"),
        (b"GIF89a" + bytes(100), "begins with 47 49 46 38; give a pcap or pcapng file"),
        (bytes(100), "begins with 00 00 00 00"),
        (b"\x1f\x8b", "gzip data is damaged"),
        (b"\x1f\x8b" + b"\xff" * 50, "gzip data is damaged"),
        (zipped(b""), "shorter than 4 bytes"),
        (zipped(b"text, not packets"), "begins with 74 65 78 74"),
        (zipped(zipped(FILES["pcap"])), "begins with 1f 8b"),
        (b"\x28\xb5\x2f\xfd", "zstd data is damaged"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "zstd data is damaged"),
        (squeezed(b"text, not packets"), "begins with 74 65 78 74"),
    ],
)
def test_what_is_no_capture_is_refused_with_the_reason(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match="not a capture file") as caught:
        CaptureFile(path)
    assert why in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file or directory; check the path"):
        CaptureFile(tmp_path / "missing.pcap")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="Is a directory; check the path"):
        CaptureFile(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(FILES["pcap"])
    path.chmod(0)
    with pytest.raises(CaptureError, match="Permission denied; check the path and its permissions"):
        CaptureFile(path)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("kind", FILES)
def test_a_pipe_is_read_once(tmp_path: Path, kind: str, packed: str) -> None:
    """Nothing is sought in it, also where its first packet's time is asked for before."""
    reader, writer = os.pipe()
    try:
        os.write(writer, PACKED[packed](FILES[kind]))
        os.close(writer)
        capture = CaptureFile(Path(f"/dev/fd/{reader}"))
        assert capture.first_time() == START
        packets = [packet for batch in capture.batches() for packet in packets_of(batch, capture.hosts)]
    finally:
        os.close(reader)
    assert [packet.time for packet in packets] == TIMES
    assert capture.losses().damage is None


def test_a_pipe_that_is_cut_in_its_first_record(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, FILES["pcap"][:30])
        os.close(writer)
        capture = CaptureFile(Path(f"/dev/fd/{reader}"))
        assert capture.first_time() == 0
        assert list(capture.batches()) == []
    finally:
        os.close(reader)
    damage = capture.losses().damage
    assert damage is not None
    assert "ends inside a record" in damage.reason


# --- damage ---


def damaged(data: bytes, cut: int | None, flips: list[tuple[int, int]]) -> bytes:
    hurt = bytearray(data[:cut])
    for at, bit in flips:
        if hurt:
            hurt[at % len(hurt)] ^= 1 << bit
    return bytes(hurt)


def survive(path: Path, data: bytes) -> CaptureFile | None:
    """Read a file to its end; whatever is wrong with it may only show as CaptureError or as damage."""
    path.write_bytes(data)
    try:
        capture = CaptureFile(path, HostTable(64))
    except CaptureError:
        return None
    conversations = Conversations()
    for batch in capture.batches():
        conversations.follow(batch)
    conversations.finish()
    return capture


flips = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 7)), max_size=4)
cuts = st.none() | st.integers(0, 400)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(FILES)), st.booleans(), cuts, flips)
def test_no_damage_is_an_error(
    tmp_path: Path, kind: str, zip_it: bool, cut: int | None, flips: list[tuple[int, int]]
) -> None:
    data = zipped(FILES[kind]) if zip_it else FILES[kind]
    capture = survive(tmp_path / "a", damaged(data, cut, flips))
    if capture is not None:
        losses = capture.losses()
        assert 0 <= sum(losses.unparsed.values()) <= losses.packets <= 20
        if losses.damage is not None:
            assert losses.damage.file == str(tmp_path / "a")
            assert 0 <= losses.damage.offset <= len(FILES[kind])
            assert losses.damage.reason


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(FILES)), st.binary(max_size=400))
def test_rubbish_behind_a_whole_file_costs_no_packet(tmp_path: Path, kind: str, rubbish: bytes) -> None:
    reading = read(tmp_path / "a", FILES[kind] + rubbish)
    assert reading.times[:5] == TIMES
    if reading.losses.damage is not None:
        assert reading.losses.damage.offset >= len(FILES[kind])


def noise(size: int) -> bytes:
    """Return bytes that don't shrink."""
    return Random(1).randbytes(size)


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
@pytest.mark.parametrize("keep", [0.9, 0.9999])
def test_packed_data_cut_short_gives_what_it_holds(tmp_path: Path, packed: str, keep: float) -> None:
    body = noise(60)
    data = pcap([Frame(START + i * 1000, PACKET + body[i % 50 :]) for i in range(2000)], link=RAW)
    whole = PACKED[packed](data)
    reading = read(tmp_path / "a", whole[: int(len(whole) * keep)])
    assert reading.losses.damage is not None
    assert "end-of-stream" in reading.losses.damage.reason
    assert reading.losses.packets == len(reading.packets)
    lost_at_once = 8192 / 30 if packed == "gzip" else (1 << 17) / 70  # zstd's blocks are whole or nothing
    assert len(reading.packets) > 2000 * keep - 100 - lost_at_once
    assert reading.times == [START + i * 1000 for i in range(len(reading.packets))]
    assert reading.losses.damage.offset <= len(data)


def test_a_wrong_checksum_is_damage_behind_everything(tmp_path: Path) -> None:
    whole = bytearray(zipped(FILES["pcap"]))
    whole[-8] ^= 1
    reading = read(tmp_path / "a.gz", bytes(whole))
    assert reading.times == TIMES
    assert reading.losses.damage is not None
    assert "CRC" in reading.losses.damage.reason
    assert reading.losses.damage.offset == len(FILES["pcap"])


def test_damage_inside_gzip_keeps_what_is_before_it(tmp_path: Path) -> None:
    data = pcap([Frame(START + i * 1000, PACKET + noise(100)[i % 90 :]) for i in range(3000)], link=RAW)
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=0, mtime=0) as file:
        file.write(data)
    whole = bytearray(stream.getvalue())
    at = len(whole) // 2
    whole[at : at + 20_000] = bytes(20_000)
    reading = read(tmp_path / "a.gz", bytes(whole))
    assert reading.losses.damage is not None
    assert 1000 < len(reading.packets) < 3000


# --- a source of traffic ---


@pytest.mark.parametrize("packed", PACKED)
def test_the_position_is_that_in_the_file_on_disk(tmp_path: Path, packed: str) -> None:
    path = tmp_path / "a.pcap"
    data = PACKED[packed](FILES["pcap"])
    path.write_bytes(data)
    capture = CaptureFile(path)
    seen = [capture.position() for _ in capture.batches()]
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= len(data)
    assert capture.position() == len(data)


@pytest.mark.parametrize("kind", FILES)
def test_the_first_time(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(FILES[kind])
    capture = CaptureFile(path)
    assert capture.first_time() == START
    assert [int(time) for batch in capture.batches() for time in batch.time] == TIMES
    assert capture.losses().packets == 5


@pytest.mark.parametrize("data", [pcap([]), pcap([])[:10], FILES["pcap"][:30], pcapng([]), pcapng([])[:20]])
def test_a_capture_without_packets_has_no_first_time(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert CaptureFile(path).first_time() == 0


def test_a_file_may_be_closed_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(FILES["pcap"])
    capture = CaptureFile(path)
    capture.close()
    capture.close()


def test_files_share_a_host_table(tmp_path: Path) -> None:
    hosts = HostTable(8)
    for name in ("a", "b"):
        frames = [Frame(START, built(IPv6(src="2001:db8::1", dst=f"2001:db8::{name}") / SYN))]
        read(tmp_path / name, pcap(frames, link=RAW), hosts)
    assert hosts.words[0, 0] == 3  # the source was known in the second file


# --- files larger than a chunk ---


def many_frames(count: int) -> tuple[list[Frame], list[Packet]]:
    """Return SYNs of which every third is answered, of changing sizes, and what they are."""
    random = Random(5)
    parts = [built(ETHER / V4 / SYN), built(ETHER / V4 / SYN)]
    frames, packets = [], []
    for i in range(count):
        sport = 1024 + i // 3
        answers = i % 3 == 1
        head = bytearray(parts[0])
        ends = [head[26:30], head[30:34]]
        ports = [sport.to_bytes(2, "big"), (23).to_bytes(2, "big")]
        if i % 3 == 2:
            ports[1] = (24).to_bytes(2, "big")
        if answers:
            ends.reverse()
            ports.reverse()
            head[47] = 0x12
        head[26:34] = ends[0] + ends[1]
        head[34:38] = ports[0] + ports[1]
        data = bytes(head) + bytes(random.randrange(250))  # padding: the IP header tells the length
        frame = Frame(START + i * 1000, data)
        frames.append(frame)
        addresses = ("198.51.100.9", "192.0.2.7") if answers else ("192.0.2.7", "198.51.100.9")
        numbers = [int.from_bytes(port, "big") for port in ports]
        flags = 18 if answers else 2
        packets.append(
            Packet(frame.time, *addresses, "tcp", numbers[0], numbers[1], "tcp", flags, bare=not answers)
        )
    return frames, packets


@pytest.mark.parametrize("modern", [False, True])
def test_records_that_straddle_chunks_are_whole(tmp_path: Path, modern: bool) -> None:
    frames, packets = many_frames(45_000)
    data = (pcapng if modern else pcap)(frames)
    assert len(data) > 2 * CHUNK
    path = tmp_path / "a"
    path.write_bytes(data)
    capture = CaptureFile(path)
    conversations = Conversations()
    seen: list[Packet] = []
    told = []
    for batch in capture.batches():
        seen += packets_of(batch, capture.hosts)
        told += told_by(conversations.follow(batch), capture.hosts)
    told += told_by(conversations.finish(), capture.hosts)
    assert seen == packets
    assert capture.losses().damage is None
    assert sorted(told) == sorted(attempts_of(packets))
