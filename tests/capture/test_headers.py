"""`service.capture.kernels.headers`, held against scapy."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3
from scapy.packet import Padding, Raw

from service.capture.hosts import HostTable
from tests.capture import dissection
from tests.capture.frames import ETHER, SYN, V4, V6, built, link_frames, tagged
from tests.capture.reading import Reading, read
from tests.packets import START, Frame, pcap, pcapng
from tests.reference import ACK, FIN, RST
from tests.reference import SYN as SYN_SET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reference import Packet


def seen(path: Path, data: bytes, link: int = dissection.ETHERNET) -> Reading:
    return read(path, pcap([Frame(START, data)], link=link))


def only(reading: Reading) -> Packet:
    assert len(reading.packets) == 1
    return reading.packets[0]


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(link_frames, st.booleans(), st.booleans())
def test_scapy_sees_the_same(tmp_path: Path, linked: tuple[int, bytes], big: bool, modern: bool) -> None:
    link, data = linked
    frames = [Frame(START, data)]
    file = pcapng(frames, link=link, big=big) if modern else pcap(frames, link=link, big=big)
    reading = read(tmp_path / "a.pcap", file)
    expected = dissection.dissect(link, START, data)
    assert reading.packets == ([expected] if expected else [])
    assert reading.losses.packets == 1
    assert sum(reading.losses.unparsed.values()) == (0 if expected else 1)
    assert reading.losses.damage is None


# --- snap lengths ---

CUT = {
    # link type, frame, bytes that are needed
    "ethernet-tcp": (dissection.ETHERNET, ETHER / V4 / SYN, 14 + 20 + 14),
    "two-tags-tcp": (dissection.ETHERNET, tagged([Dot1AD(vlan=1), Dot1Q(vlan=2)], V4 / SYN), 14 + 8 + 20 + 14),
    "options-udp": (
        dissection.ETHERNET, ETHER / IP(dst="192.0.2.8", options=[IPOption_NOP()] * 4) / UDP(), 14 + 24 + 4,
    ),
    "ethernet-echo": (dissection.ETHERNET, ETHER / V4 / ICMP(), 14 + 20 + 2),
    "quote": (dissection.ETHERNET, ETHER / V4 / ICMP(type=3) / V4 / UDP(), 14 + 20 + 8 + 20 + 4),
    "quote6": (dissection.RAW6, V6 / ICMPv6DestUnreach() / V6 / UDP(), 40 + 8 + 40 + 4),
    "arp": (dissection.ETHERNET, ETHER / ARP(psrc="192.0.2.1", pdst="192.0.2.2"), 14 + 28),
    "cooked-tcp": (dissection.COOKED, CookedLinux(pkttype=0) / V4 / SYN, 16 + 20 + 14),
    "cooked2-tcp": (dissection.COOKED2, CookedLinuxV2(pkttype=0) / V4 / SYN, 20 + 20 + 14),
    "extensions": (dissection.RAW, V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(m=1) / SYN, 40 + 8 + 8 + 14),
    "loop": (dissection.LOOP, Raw(b"\0\0\0\2") / V4 / SYN, 4 + 20 + 14),
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_frames_cut_before_the_ports_or_flags_are_counted_as_such(tmp_path: Path, name: str) -> None:
    link, packet, needed = CUT[name]
    whole = built(packet)
    full = only(seen(tmp_path / "whole.pcap", whole, link))
    assert full == dissection.dissect(link, START, whole)
    frames = [Frame(START, whole[:length]) for length in range(len(whole) + 1)]
    reading = read(tmp_path / "cut.pcap", pcap(frames, link=link))
    assert reading.packets == [full] * (len(whole) + 1 - needed)
    ports_alone = 10 if TCP in packet else 0
    reasons = {"truncated_headers": needed - ports_alone, "tcp_cut_before_flags": ports_alone}
    assert reading.losses.unparsed == {reason: count for reason, count in reasons.items() if count}


def test_a_cut_payload_still_counts_as_payload(tmp_path: Path) -> None:
    data = built(ETHER / V4 / TCP(flags="PA") / Raw(bytes(100)))[: 14 + 20 + 20]
    assert only(seen(tmp_path / "a.pcap", data)).payload


@pytest.mark.parametrize(
    "head",
    [IP(src="192.0.2.1", dst="192.0.2.2", flags="MF", proto=6), V6 / IPv6ExtHdrFragment(nh=6, m=1)],
    ids=["IPv4", "IPv6"],
)
def test_a_fragment_that_ends_before_the_flags_is_a_hidden_syn(tmp_path: Path, head: Any) -> None:
    probe = only(seen(tmp_path / "a.pcap", built(head / Raw(built(TCP(sport=4000, dport=23))[:8])), dissection.RAW))
    assert (probe.source_port, probe.target_port, probe.event, probe.flags) == (4000, 23, "tcp", 2)


@pytest.mark.parametrize(
    ("chunk", "flags", "payload"),
    [
        (1, SYN_SET, False),
        (2, SYN_SET | ACK, False),
        (6, RST, False),
        (7, FIN | ACK, False),
        (10, FIN, False),
        (0, ACK, True),
        (3, ACK, True),
        (4, ACK, True),
        (11, ACK, True),
        (14, ACK, True),
        (255, ACK, True),
    ],
)
@pytest.mark.parametrize(
    "head",
    [IP(src="192.0.2.1", dst="192.0.2.2", proto=132), IPv6(src="2001:db8::1", dst="2001:db8::2", nh=132)],
    ids=["IPv4", "IPv6"],
)
def test_the_first_chunk_of_sctp_is_told_in_terms_of_tcp(
    tmp_path: Path, head: Any, chunk: int, flags: int, payload: bool
) -> None:
    body = struct.pack(">HHIIBBH", 4000, 36412, 7, 0, chunk, 0, 4)
    found = only(seen(tmp_path / "a.pcap", built(head / Raw(body)), dissection.RAW))
    assert (found.protocol, found.source_port, found.target_port) == ("sctp", 4000, 36412)
    assert (found.event, found.flags, found.payload, found.bare) == ("tcp", flags, payload, False)
    short = seen(tmp_path / "b.pcap", built(head / Raw(body[:12])), dissection.RAW)
    assert short.losses.unparsed == {"truncated_headers": 1}


def test_an_error_about_sctp(tmp_path: Path) -> None:
    quoted = IP(src="192.0.2.1", dst="192.0.2.2", proto=132) / Raw(struct.pack(">HHI", 5, 6, 0))
    found = only(seen(tmp_path / "a.pcap", built(ETHER / V4 / ICMP(type=3, code=2) / quoted)))
    assert (found.source, found.target, found.protocol) == ("192.0.2.1", "192.0.2.2", "sctp")
    assert (found.source_port, found.target_port, found.event) == (5, 6, "unreachable")


@pytest.mark.parametrize("number", [2, 4, 41, 47, 50, 89, 254])
def test_a_packet_that_holds_nothing_asks_for_its_protocol(tmp_path: Path, number: int) -> None:
    probe = IP(src="192.0.2.1", dst="192.0.2.2", proto=number)
    error = IP(src="192.0.2.2", dst="192.0.2.1") / ICMP(type=3, code=2) / built(probe)
    asked = only(seen(tmp_path / "a.pcap", built(ETHER / probe / Padding(bytes(26)))))
    refused = only(seen(tmp_path / "b.pcap", built(ETHER / error)))
    for found, event in ((asked, "request"), (refused, "unreachable")):
        assert (found.source, found.target, found.protocol) == ("192.0.2.1", "192.0.2.2", "ip")
        assert (found.source_port, found.target_port, found.event) == (0, number, event)


@pytest.mark.parametrize(
    "packet",
    [
        IP(proto=50, src="192.0.2.1", dst="192.0.2.2") / Raw(b"x"),
        IPv6(src="2001:db8::1", dst="2001:db8::2", nh=59),
        IP(proto=50, src="192.0.2.1", dst="192.0.2.2", flags="MF"),
    ],
    ids=["held", "bubble", "fragment"],
)
def test_other_packets_of_other_protocols_ask_nothing(tmp_path: Path, packet: Any) -> None:
    assert seen(tmp_path / "a.pcap", built(packet), dissection.RAW).packets == []


@pytest.mark.parametrize(
    ("options", "bare"),
    [
        ([], True),
        ([("MSS", 1460)], True),
        ([("MSS", 1460), ("SAckOK", b"")], False),
        ([("NOP", None), ("Timestamp", (1, 2))], False),
    ],
)
@pytest.mark.parametrize("network", [V4, V6])
def test_a_syn_that_offers_nothing(tmp_path: Path, network: Any, options: Any, bare: bool) -> None:
    syn = seen(tmp_path / "a.pcap", built(network / TCP(flags="S", options=options)), dissection.RAW)
    assert only(syn).bare == bare
    data = seen(tmp_path / "b.pcap", built(network / TCP(flags="SA", options=options)), dissection.RAW)
    assert not only(data).bare


def test_a_capture_that_ends_there_hides_nothing(tmp_path: Path) -> None:
    whole = built(IP(src="192.0.2.1", dst="192.0.2.2", flags="MF") / TCP() / Raw(bytes(64)))
    assert seen(tmp_path / "a.pcap", whole[: 20 + 8], dissection.RAW).packets == []


# --- what scapy can't say, or reads otherwise ---


def test_ethernet_padding_is_no_payload(tmp_path: Path) -> None:
    data = built(ETHER / V4 / TCP(flags="A") / Padding(bytes(6)))
    assert not only(seen(tmp_path / "a.pcap", data)).payload


@pytest.mark.parametrize("body", [b"", b"data"])
@pytest.mark.parametrize(("network", "field"), [(V4, "len"), (V6, "plen")])
def test_length_zero_means_that_the_card_cuts_the_packet_later(
    tmp_path: Path, network: Any, field: str, body: bytes
) -> None:
    packet = network.copy()
    setattr(packet, field, 0)
    found = only(seen(tmp_path / "a.pcap", built(ETHER / packet / TCP(flags="A") / Raw(body))))
    assert found.event == "tcp"
    assert found.payload == bool(body)


def test_snap_is_followed(tmp_path: Path) -> None:
    data = built(Dot3(src="02:00:00:00:00:01") / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x800) / V4 / SYN)
    assert only(seen(tmp_path / "a.pcap", data)).target_port == 23


def test_ah_is_skipped(tmp_path: Path) -> None:
    head = bytes([6, 4, 0, 0]) + bytes(20)  # next header TCP, (4 + 2) words long
    data = built(IPv6(src="2001:db8::7", dst="2001:db8::9", nh=51) / Raw(head + built(SYN)))
    assert only(seen(tmp_path / "a.pcap", data, dissection.RAW)).target_port == 23


def test_a_tag_inside_linux_cooked(tmp_path: Path) -> None:
    data = built(CookedLinux(proto=0x8100) / Raw(b"\x00\x05\x08\x00" + built(V4 / SYN)))
    assert only(seen(tmp_path / "a.pcap", data, dissection.COOKED)).target_port == 23


def test_a_mapped_address_on_the_wire_is_the_ipv4_host(tmp_path: Path) -> None:
    hosts = HostTable(4)
    mapped = built(IPv6(src="::ffff:192.0.2.7", dst="::ffff:198.51.100.9") / SYN)
    frames = [Frame(START, mapped), Frame(START, built(V4 / SYN))]
    path = tmp_path / "a.pcap"
    reading = read(path, pcap(frames, link=dissection.RAW), hosts)
    assert reading.packets[0] == reading.packets[1]
    assert hosts.words[0, 0] == 0  # nobody was given a second number


def test_announcements_and_probes_of_arp_ask_nobody(tmp_path: Path) -> None:
    announcement = ETHER / ARP(op=1, psrc="192.0.2.1", pdst="192.0.2.1")
    probe = ETHER / ARP(op=1, psrc="0.0.0.0", pdst="192.0.2.1")
    assert only(seen(tmp_path / "a.pcap", built(announcement))).group
    assert only(seen(tmp_path / "b.pcap", built(probe))).group


def test_a_reply_of_arp_to_oneself_is_a_reply(tmp_path: Path) -> None:
    found = only(seen(tmp_path / "a.pcap", built(ETHER / ARP(op=2, psrc="192.0.2.1", pdst="192.0.2.1"))))
    assert (found.event, found.group) == ("reply", False)


def test_an_error_about_a_packet_with_options(tmp_path: Path) -> None:
    quoted = IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_NOP()] * 8) / UDP(sport=5, dport=6)
    found = only(seen(tmp_path / "a.pcap", built(ETHER / V4 / ICMP(type=11) / quoted)))
    assert (found.source, found.target, found.source_port, found.target_port) == ("192.0.2.1", "192.0.2.2", 5, 6)
    assert found.event == "expired"


REASONS = {
    "ethertype/0x88cc": (dissection.ETHERNET, ETHER.copy() / Raw(b"lldp"), 0x88CC),
    "llc": (dissection.ETHERNET, Dot3(src="02:00:00:00:00:01") / LLC(dsap=0x42, ssap=0x42) / Raw(b"stp"), None),
    "ip_protocol/47": (dissection.RAW, V4 / GRE(proto=0x2000), None),
    "ip_protocol/1": (dissection.RAW, IPv6(nh=1) / ICMP(), None),
    "icmp_type/5": (dissection.RAW, V4 / ICMP(type=5) / V4, None),
    "icmp_type/3": (dissection.RAW, V4 / ICMP(type=3) / V4 / GRE(), None),
    "icmp6_type/135": (dissection.RAW, V6 / ICMPv6ND_NS(), None),
    "icmp6_type/1": (dissection.RAW, V6 / ICMPv6DestUnreach() / V6 / IPv6ExtHdrHopByHop() / SYN, None),
    "later_fragment": (dissection.RAW, IP(frag=5) / Raw(bytes(40)), None),
    "malformed_ip": (dissection.RAW, Raw(b"\x30" + bytes(40)), None),
    "arp_other": (dissection.ETHERNET, ETHER / ARP(op=3), None),
    "link_type/0": (dissection.NULL, Raw(b"\x07\0\0\0") / V4, None),
    "link_type/147": (147, V4, None),
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_is_not_followed_is_counted_by_reason(tmp_path: Path, reason: str) -> None:
    link, packet, ether = REASONS[reason]
    if ether:
        packet.type = ether
    reading = seen(tmp_path / "a.pcap", built(packet), link)
    assert reading.packets == []
    assert reading.losses.unparsed == {reason: 1}


@pytest.mark.parametrize(
    "data",
    [
        b"\x44" + built(V4 / SYN)[1:],  # a header of 16 bytes
        b"\x4f\x00\x00\x28" + built(V4 / SYN)[4:],  # a header of 60 bytes in a packet of 40
        b"\x45\x00\x00\x13" + built(V4 / SYN)[4:],  # a packet shorter than its header
        b"\x55" + built(V6 / SYN)[1:],
        built(IPv6(nh=0) / Raw(bytes(8 * 9) + built(SYN))),  # nine extensions in a row
    ],
)
def test_malformed_headers(tmp_path: Path, data: bytes) -> None:
    reading = seen(tmp_path / "a.pcap", data, dissection.RAW)
    assert reading.packets == []
    assert reading.losses.unparsed == {"malformed_ip": 1}


def test_hosts_beyond_the_table_are_counted(tmp_path: Path) -> None:
    frames = [Frame(START, built(IPv6(src="2001:db8::1", dst=f"2001:db8::{i}") / SYN)) for i in range(2, 12)]
    path = tmp_path / "a.pcap"
    reading = read(path, pcap(frames, link=dissection.RAW6), HostTable(4))
    assert [packet.target for packet in reading.packets] == [f"2001:db8::{i}" for i in range(2, 5)]
    assert reading.losses.unparsed == {"address_table_full": 7}


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 5]),
    st.lists(st.binary(max_size=120), min_size=1, max_size=5),
)
def test_rubbish_is_followed_or_counted_but_never_lost(tmp_path: Path, link: int, rubbish: list[bytes]) -> None:
    reading = read(tmp_path / "a.pcap", pcap([Frame(START, data) for data in rubbish], link=link))
    assert len(reading.packets) + sum(reading.losses.unparsed.values()) == len(rubbish)
