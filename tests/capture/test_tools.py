"""Marks of scanners in packets, built by scapy and recorded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN

from service.capture.direction import Conversations
from service.capture.file import CaptureFile
from service.capture.kernels import conversations, headers
from service.capture.kernels.headers import MARKS
from service.capture.tools import Marks
from service.windows.kernels import table
from tests.packets import SECOND, START, Frame, pcap

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
SCANNER, TARGET = "192.0.2.7", "198.51.100.9"
ONE_SEGMENT = [("MSS", 1460)]


def number_of(address: str) -> int:
    return int.from_bytes(bytes(map(int, address.split("."))), "big")


def probe(target: str = TARGET, dport: int = 23, **details: Any) -> Any:
    tcp: dict[str, Any] = {"flags": "S", "sport": 40000, "seq": 0x01020304, "window": 65535}
    return IP(src=SCANNER, dst=target, id=1) / TCP(dport=dport, **(tcp | details))


def zmap(target: str = TARGET) -> Any:
    packet = probe(target)
    packet.id = 54321
    return packet


def masscan(target: str = TARGET, dport: int = 443, seq: int = 0xDEADBEEF) -> Any:
    packet = probe(target, dport, seq=seq, window=1024)
    packet.id = (number_of(target) ^ dport ^ seq) & 0xFFFF
    return packet


def mirai(target: str = TARGET) -> Any:
    return probe(target, seq=number_of(target))


def nmap(target: str = TARGET, dport: int = 80, tries: int = 0, mask: int = 0x3A5C_19E7, **tcp: Any) -> Any:
    tcp = {"seq": (tries << 16 | tries) ^ mask, "window": 1024, "options": ONE_SEGMENT} | tcp
    return probe(target, dport, **tcp)


def unicornscan(target: str, dport: int, key: int = 0x5EED_CAFE) -> Any:
    little = int.from_bytes(bytes(map(int, target.split("."))), "little")
    return probe(target, dport, seq=key ^ little ^ (dport << 16 | 40000))


def flags_of(folder: Path, packets: list[Any], cut: int = 65535) -> list[int]:
    frames = [Frame(START + i * SECOND, bytes(ETHER / packet)[:cut]) for i, packet in enumerate(packets)]
    path = folder / "a.pcap"
    path.write_bytes(pcap(frames))
    return [int(flags) for batch in CaptureFile(path).batches() for flags in batch.flags]


def marks(folder: Path, *packets: Any, cut: int = 65535) -> list[Marks]:
    return [Marks(flags >> MARKS & 31) for flags in flags_of(folder, list(packets), cut)]


@pytest.mark.parametrize(
    ("packet", "mark"),
    [
        (zmap(), Marks.ZMAP),
        (IP(src=SCANNER, dst=TARGET, id=54321) / UDP(dport=53), Marks.ZMAP),
        (IP(src=SCANNER, dst=TARGET, id=54321) / ICMP(), Marks.ZMAP),
        (masscan(), Marks.MASSCAN),
        (mirai(), Marks.MIRAI),
        (probe(), Marks(0)),
        (IP(src=SCANNER, dst=TARGET, id=54320) / UDP(dport=53), Marks(0)),
        (ARP(psrc=SCANNER, pdst=TARGET), Marks(0)),
    ],
    ids=["zmap", "zmap-udp", "zmap-echo", "masscan", "mirai", "syn", "udp", "arp"],
)
def test_one_packet_shows_it(tmp_path: Path, packet: Any, mark: Marks) -> None:
    assert marks(tmp_path, packet) == [mark]


@pytest.mark.parametrize("bit", range(16))
def test_every_bit_of_the_identification_counts(tmp_path: Path, bit: int) -> None:
    for packet in (zmap(), masscan()):
        packet.id ^= 1 << bit
        assert marks(tmp_path, packet) == [Marks(0)]


@pytest.mark.parametrize("bit", range(32))
def test_every_bit_of_the_sequence_number_counts(tmp_path: Path, bit: int) -> None:
    packets = [mirai(), unicornscan("10.0.0.1", 80), unicornscan("10.0.0.2", 81)]
    for packet in packets[::2]:
        packet[TCP].seq ^= 1 << bit
    assert marks(tmp_path, *packets) == [Marks(0)] * 3


@pytest.mark.parametrize("flags", ["SA", "R", "RA", "PA", "FA"])
def test_who_answers_shows_nothing(tmp_path: Path, flags: str) -> None:
    packets = [zmap(), masscan(), mirai(), nmap(), nmap(dport=81)]
    for packet in packets:
        packet[TCP].flags = flags
    assert marks(tmp_path, *packets) == [Marks(0)] * 5


@pytest.mark.parametrize("window", [1024, 2048, 3072, 4096])
def test_nmap_shows_in_its_second_probe(tmp_path: Path, window: int) -> None:
    probes = [nmap(dport=port, window=window) for port in (80, 81, 82)]
    assert marks(tmp_path, *probes) == [Marks(0), Marks.NMAP, Marks.NMAP]


@pytest.mark.parametrize("tries", [1, 7, 255])
def test_the_number_of_the_try_changes_both_halves_of_the_mask(tmp_path: Path, tries: int) -> None:
    assert marks(tmp_path, nmap(), nmap(tries=tries)) == [Marks(0), Marks.NMAP]


@pytest.mark.parametrize("flags", ["F", "", "FPU"])
def test_nmap_shows_in_probes_of_other_flags(tmp_path: Path, flags: str) -> None:
    probes = [nmap(dport=port, flags=flags, options=[]) for port in (80, 81)]
    assert marks(tmp_path, *probes) == [Marks(0), Marks.NMAP]


def test_the_mask_of_a_bare_ack_lies_in_its_acknowledgement(tmp_path: Path) -> None:
    probes = [nmap(dport=port, flags="A", options=[], seq=0, ack=0x3A5C_19E7) for port in (80, 81)]
    assert marks(tmp_path, *probes) == [Marks(0), Marks.NMAP]
    probes[1][TCP].ack += 1
    assert marks(tmp_path, *probes) == [Marks(0), Marks(0)]
    assert marks(tmp_path, probes[0], probes[0] / b"data") == [Marks(0), Marks(0)]


@pytest.mark.parametrize(
    "detail",
    [
        {"window": 1025},
        {"window": 5120},
        {"window": 0},
        {"options": []},
        {"options": [("MSS", 1380)]},
        {"options": [("MSS", 1460), ("SAckOK", b"")]},
        {"seq": 0x3A5C_19E6},
        {"flags": "SU"},
    ],
    ids=str,
)
def test_other_stacks_are_not_nmap(tmp_path: Path, detail: dict[str, Any]) -> None:
    """Some scanners copy nmap's window and option, and count their sequence numbers up."""
    assert marks(tmp_path, nmap(), nmap(dport=81, **detail)) == [Marks(0), Marks(0)]


def test_nmap_over_ipv6(tmp_path: Path) -> None:
    probes = [IPv6(src="2001:db8::7", dst="2001:db8::9") / nmap(dport=port)[TCP] for port in (80, 81)]
    assert marks(tmp_path, *probes) == [Marks(0), Marks.NMAP]


def test_unicornscan_shows_in_its_second_probe(tmp_path: Path) -> None:
    probes = [unicornscan("10.0.0.1", 80), unicornscan("10.77.3.2", 443), unicornscan("172.16.9.200", 65535)]
    assert marks(tmp_path, *probes) == [Marks(0), Marks.UNICORNSCAN, Marks.UNICORNSCAN]
    other_key = unicornscan("10.0.0.2", 80, key=0x5EED_CAFF)
    assert marks(tmp_path, probes[0], other_key) == [Marks(0), Marks(0)]


def test_a_retry_is_not_unicornscan(tmp_path: Path) -> None:
    assert marks(tmp_path, probe(), probe(), probe()) == [Marks(0)] * 3


def test_sources_do_not_show_each_others_masks(tmp_path: Path) -> None:
    """All of them meet in the table of the latest probes somewhere."""
    packets = []
    for low in range(2048):
        packet = nmap() if low % 2 else unicornscan(TARGET, 80)
        packet.src = f"10.0.{low >> 8}.{low & 255}"
        packets.append(packet)
    assert set(marks(tmp_path, *packets, *reversed(packets))) == {Marks(0), Marks.NMAP}
    # The last of the first half is the first of the second: a retry, which of nmap shows the mask.


def test_inside_of_a_tunnel(tmp_path: Path) -> None:
    outer = IP(src="203.0.113.1", dst="203.0.113.2") / UDP(sport=50000, dport=4789) / VXLAN(vni=5, flags=8)
    assert marks(tmp_path, outer / ETHER / masscan(), outer / ETHER / zmap()) == [Marks.MASSCAN, Marks.ZMAP]


def test_what_is_cut_off_is_not_guessed(tmp_path: Path) -> None:
    """nmap's option ends after 24 bytes of TCP's header, its flags after 14."""
    probes = nmap(), nmap(dport=81)
    for length in range(14, 25):
        shown = marks(tmp_path, *probes, cut=14 + 20 + length)
        assert shown == [Marks(0), Marks.NMAP if length == 24 else Marks(0)]
        assert marks(tmp_path, masscan(), zmap(), cut=14 + 20 + length) == [Marks.MASSCAN, Marks.ZMAP]


@given(st.integers(0x01000000, 0xDFFFFFFF), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(0, 65535))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_marks_are_what_their_words_say(target: int, dport: int, seq: int, number: int) -> None:
    address = ".".join(map(str, target.to_bytes(4, "big")))
    packet = probe(address, dport, seq=seq)
    packet.id = number
    expected = Marks(0)
    expected |= Marks.ZMAP if number == 54321 else Marks(0)
    expected |= Marks.MASSCAN if number == (target ^ dport ^ seq) % 65536 else Marks(0)
    expected |= Marks.MIRAI if seq == target else Marks(0)
    with tempfile.TemporaryDirectory() as folder:
        assert marks(Path(folder), packet) == [expected]


@pytest.mark.parametrize("mark", [mark for mark in Marks if mark < Marks.SHOWN], ids=str)
def test_the_loop_and_its_readers_agree_on_the_bits(mark: Marks) -> None:
    assert getattr(headers, str(mark.name)) == mark << headers.MARKS


def test_what_connections_add_are_the_same_bits() -> None:
    assert (conversations._SHOWN, conversations._ALONE, table._ALONE) == (Marks.SHOWN, Marks.ALONE, Marks.ALONE)
    assert max(Marks) << 1 == table.TOOLS_MASK + 1


# --- from packets to attempts ---


def told(folder: Path, packets: list[Any], pause: int = SECOND) -> list[tuple[int, Marks]]:
    """Return outcome and marks of what the packets tell."""
    path = folder / "a.pcap"
    path.write_bytes(pcap([Frame(START + i * pause, bytes(ETHER / packet)) for i, packet in enumerate(packets)]))
    conversations = Conversations()
    found = [conversations.follow(batch) for batch in CaptureFile(path).batches()]
    found.append(conversations.finish())
    return [
        (int(outcome), Marks(int(tools)))
        for batch in found
        for outcome, tools in zip(batch.outcome, batch.tools, strict=True)
    ]


def back(packet: Any, flags: str) -> Any:
    tcp = packet[TCP]
    return IP(src=packet.dst, dst=packet.src) / TCP(sport=tcp.dport, dport=tcp.sport, flags=flags)


def test_an_attempt_has_the_marks_of_its_packet_and_its_outcome_none(tmp_path: Path) -> None:
    packets = [zmap(), back(zmap(), "SA"), probe(dport=24), back(probe(dport=24), "RA")]
    assert told(tmp_path, packets) == [
        (0, Marks.ZMAP | Marks.SHOWN),
        (1, Marks(0)),
        (0, Marks.SHOWN),
        (2, Marks(0)),
    ]


@pytest.mark.parametrize("refused", [True, False])
def test_a_bare_ack_keeps_its_marks_until_it_is_decided(tmp_path: Path, refused: bool) -> None:
    probes = [nmap(dport=port, flags="A", options=[], seq=0, ack=0x3A5C_19E7) for port in (80, 81)]
    packets = [probes[0], probes[1], back(probes[1], "R") if refused else probe(dport=99)]
    found = [tools for outcome, tools in told(tmp_path, packets) if outcome == 0]
    expected = [Marks.SHOWN, Marks.SHOWN | Marks.NMAP] + ([] if refused else [Marks.SHOWN])
    assert sorted(found) == sorted(expected)


# --- what chance makes ---


def test_random_headers_are_marked_as_often_as_chance_says(tmp_path: Path) -> None:
    """Half a million SYNs with random numbers: 8 times 54321 on average, and 8 times masscan's relation."""
    rng = np.random.default_rng(5)
    n = 1 << 19
    rows = np.zeros((n, 16 + 54), np.uint8)
    rows[:, 8:16] = np.frombuffer(np.array([54, 54], "<u4").tobytes(), np.uint8)
    rows[:, :4] = np.frombuffer(np.array([START // SECOND], "<u4").tobytes(), np.uint8)
    rows[:, 16:] = np.frombuffer(bytes(ETHER / probe(window=1024)), np.uint8)
    for at in (18, 26, 30):  # identification and fragment, source, target
        rows[:, 30 + at - 14 : 34 + at - 14] = rng.integers(0, 256, (n, 4), np.uint8)
    rows[:, 36:38] = 0
    rows[:, 42] = 10
    rows[:, 46] = rng.integers(1, 224, n)
    rows[:, 50:58] = rng.integers(0, 256, (n, 8), np.uint8)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([]) + rows.tobytes())
    found = np.concatenate([batch.flags for batch in CaptureFile(path).batches()])
    assert len(found) == n
    counts = {mark: int(np.count_nonzero(found >> MARKS & mark)) for mark in Marks}
    assert 1 <= counts[Marks.ZMAP] <= 20
    assert 1 <= counts[Marks.MASSCAN] <= 20
    assert counts[Marks.MIRAI] == counts[Marks.UNICORNSCAN] == counts[Marks.NMAP] == 0


def test_a_client_that_repeats_shows_no_tool(tmp_path: Path) -> None:
    """Honest clients of a small stack with nmap's window and option: random sequence numbers, and retries."""
    random = Random(3)
    packets = [nmap(dport=port, seq=random.randrange(2**32)) for port in range(1000, 1200)]
    assert sum(mark is Marks.NMAP for mark in marks(tmp_path, *packets)) == 0
