"""Packets in rare frames and in tunnels: `service.capture.kernels.links`, `tunnels` and `packets`."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, RadioTap
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.layers.l2 import GRE, Dot1Q
from scapy.layers.ppp import PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from service.capture.file import CaptureFile
from service.capture.hosts import HostTable
from service.capture.tunnels import Tunnels
from tests.capture.dissection import ETHERNET, RAW, dissect
from tests.capture.frames import ETHER, SYN, V4, V6, built, tagged, v4_packets, v6_packets
from tests.capture.reading import packets_of, read
from tests.capture.wrapping import (
    AUTHENTICATION,
    ENDS,
    LINKS,
    MAC,
    ORIGIN,
    OUTER4,
    OUTER6,
    TEREDO,
    TUNNELS,
    data_frame,
    kind_of,
    nflog,
    teredo,
)
from tests.packets import START, Blocks, Frame, pcap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.reading import Reading
    from tests.reference import Packet

INNER = {"ipv4": V4 / SYN, "ipv6": V6 / SYN}


def seen(tmp_path: Path, packet: Any, link: int = RAW) -> Reading:
    return read(tmp_path / "a.pcap", pcap([Frame(START, built(packet))], link=link))


def expected(inner: Any) -> list[Packet]:
    packet = dissect(RAW, START, built(inner))
    return [packet] if packet else []


# --- link types ---


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("name", LINKS)
def test_frames_of_every_link_type(tmp_path: Path, name: str, inner: str) -> None:
    link, write = LINKS[name]
    reading = seen(tmp_path, write(INNER[inner]), link)
    assert reading.losses.unparsed == {}
    assert reading.packets == expected(INNER[inner])
    assert reading.losses.tunnelled == {}


UNOPENED: dict[str, tuple[Any, ...]] = {
    "llc": (105, Dot11(type=2, **ENDS) / Raw(b"\x42\x42\x03" + bytes(20))),
    "ppp_protocol/0xc021": (9, Raw(b"\xc0\x21\x01\x00\x00\x04")),
    "ppp_protocol/0x00fd": (50, Raw(b"\xff\x03\xfd\x01\x00\x00\x04")),
    "ethertype/0x8863": (ETHERNET, ETHER.copy() / Raw(b"\x11\x09\x00\x00\x00\x00"), 0x8863),
    "ethertype/0x8864": (ETHERNET, ETHER / PPPoE(code=7) / Raw(bytes(20))),
    "ethertype/0x8847": (ETHERNET, ETHER / MPLS(s=1) / Raw(b"\x10" + bytes(40))),
    "ethertype/0x2000": (104, Raw(b"\x8f\x00\x20\x00" + bytes(20))),
    "wlan_no_data": (105, Dot11(type=0, subtype=8, **ENDS)),
    "wlan_protected": (105, data_frame(V4 / SYN, FCfield=0x41)),
    "later_fragment": (105, data_frame(V4 / SYN, SC=3)),
    "damaged_frame": (127, RadioTap(present="TSFT+Flags", Flags="badFCS") / data_frame(V4 / SYN)),
    "link_type/239": (239, Raw(bytes([3, 0, 0, 1, 5, 0, 9, 0, 0x10]))),
    "nested_too_deeply": (ETHERNET, tagged([Dot1Q(vlan=1)] * 40, V4 / SYN)),
}


@pytest.mark.parametrize("reason", UNOPENED)
def test_what_can_not_be_opened_is_counted_by_reason(tmp_path: Path, reason: str) -> None:
    link, packet, *ether = UNOPENED[reason]
    if ether:
        packet.type = ether[0]
    reading = seen(tmp_path, packet, link)
    assert reading.packets == []
    assert reading.losses.unparsed == {reason: 1}


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (105, Dot11(type=2, subtype=4, **ENDS)),  # null function
        (105, Dot11(type=1, subtype=13, addr1=ENDS["addr1"])),  # acknowledgement
    ],
)
def test_frames_without_data(tmp_path: Path, link: int, frame: Any) -> None:
    assert seen(tmp_path, frame, link).losses.unparsed == {"wlan_no_data": 1}


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (105, b"\x09" + built(data_frame(V4 / SYN))[1:]),  # version 1
        (127, b"\x01" + built(RadioTap() / data_frame(V4 / SYN))[1:]),
        (127, b"\x00\x00\x07\x00" + bytes(100)),  # a header of 7 bytes
        (192, b"\x00\x00\x07\x00" + bytes(100)),
        (239, nflog(V4 / SYN)[:4] + b"\x03\x00\x01\x00" + bytes(80)),  # an attribute of 3 bytes
    ],
)
def test_frames_that_contradict_themselves(tmp_path: Path, link: int, frame: bytes) -> None:
    assert seen(tmp_path, Raw(frame), link).losses.unparsed == {"damaged_frame": 1}


# --- tunnels ---


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("name", TUNNELS)
def test_tunnels_are_read_through(tmp_path: Path, name: str, inner: str) -> None:
    reading = seen(tmp_path, TUNNELS[name][1](INNER[inner]))
    assert reading.packets == expected(INNER[inner])
    assert reading.losses.unparsed == {}
    assert reading.losses.tunnelled == {kind_of(name, INNER[inner]): 1}


@pytest.mark.parametrize("before", [b"", AUTHENTICATION, ORIGIN, AUTHENTICATION + ORIGIN])
@pytest.mark.parametrize("ports", [{"sport": 3544, "dport": 50000}, {"sport": 50000, "dport": 3544}])
def test_teredo(tmp_path: Path, before: bytes, ports: dict[str, int]) -> None:
    reading = seen(tmp_path, teredo(TEREDO / SYN, before, **ports))
    assert reading.packets == expected(TEREDO / SYN)
    assert reading.losses.tunnelled == {"teredo": 1}


layers = st.lists(st.sampled_from(sorted(TUNNELS)), max_size=3)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(LINKS)), layers, st.one_of(v4_packets, v6_packets))
def test_tunnels_in_tunnels_in_frames(tmp_path: Path, link: str, tunnels: list[str], inner: Any) -> None:
    packet, kind = inner, None
    for tunnel in tunnels:
        kind, packet = kind_of(tunnel, packet), TUNNELS[tunnel][1](packet)
    number, write = LINKS[link]
    reading = seen(tmp_path, write(packet), number)
    wanted = expected(inner)
    assert reading.packets == wanted
    assert sum(reading.losses.unparsed.values()) == 1 - len(wanted)
    if kind:  # it is the outermost one
        assert reading.losses.tunnelled == {kind: 1}


def nested(depth: int) -> Any:
    packet = V4 / SYN
    for _ in range(depth):
        packet = OUTER4 / GRE() / packet
    return packet


@pytest.mark.parametrize("depth", range(8))
def test_four_tunnels_are_entered(tmp_path: Path, depth: int) -> None:
    reading = seen(tmp_path, nested(depth))
    assert len(reading.packets) == (depth <= 4)
    assert reading.losses.unparsed == ({} if depth <= 4 else {"ip_protocol/47": 1})
    assert reading.losses.tunnelled == ({"gre": 1} if depth else {})


def test_an_error_inside_a_tunnel_is_told_of_the_conversation_that_it_quotes(tmp_path: Path) -> None:
    quoted = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=5, dport=6)
    (packet,) = seen(tmp_path, TUNNELS["vxlan"][1](V4 / ICMP(type=3, code=3) / quoted)).packets
    assert (packet.source, packet.target, packet.target_port) == ("192.0.2.1", "192.0.2.2", 6)
    assert packet.event == "unreachable"


@pytest.mark.parametrize("name", TUNNELS)
def test_the_outer_packet_counts_where_that_is_wished(tmp_path: Path, name: str) -> None:
    packet = TUNNELS[name][1](V4 / SYN)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Frame(START, built(packet))], link=RAW))
    capture = CaptureFile(path, tunnels=Tunnels.OUTER)
    packets = [found for batch in capture.batches() for found in packets_of(batch, capture.hosts)]
    losses = capture.losses()
    assert losses.tunnelled == {}
    if UDP in packet:
        (found,) = packets
        assert (found.source, found.target) == (packet.src, packet.dst)
        assert (found.protocol, found.target_port) == ("udp", packet[UDP].dport)
    else:
        assert losses.unparsed == {f"ip_protocol/{4 if kind_of(name, V4) == 'ip_in_ip' else 47}": 1}


def test_rows_keep_the_order_of_the_capture(tmp_path: Path) -> None:
    """Wrapped and plain packets are decoded by different functions."""
    packets = []
    for i in range(60):
        packet = V4 / TCP(sport=i, dport=23, flags="S")
        wrap = [lambda p: ETHER / p, LINKS["mpls"][1], lambda p: ETHER / TUNNELS["gtp"][1](p), LINKS["pppoe"][1]]
        packets.append(Frame(START + i * 1000, built(wrap[i * 7 % 11 % 4](packet))))
    reading = read(tmp_path / "a.pcap", pcap(packets))
    assert [packet.source_port for packet in reading.packets] == list(range(60))
    assert reading.times == [frame.time for frame in packets]


# --- a port or a protocol number alone is no tunnel ---

NO_TUNNELS = {
    "vxlan-gpe": UDP(dport=4789) / VXLAN(flags=12, NextProtocol=3, vni=7) / MAC / V4 / SYN,
    "vxlan-flags": UDP(dport=4789) / Raw(b"\x00" + bytes(7) + built(MAC / V4 / SYN)),
    "vxlan-reserved": UDP(dport=4789) / Raw(b"\x08\0\0\1\0\0\7\0" + built(MAC / V4 / SYN)),
    "vxlan-last": UDP(dport=4789) / Raw(b"\x08\0\0\0\0\0\7\1" + built(MAC / V4 / SYN)),
    "vxlan-short": UDP(dport=4789) / Raw(b"\x08\0\0\0\0\0\7\0" + bytes(13)),
    "vxlan-back": UDP(sport=4789, dport=9) / Raw(b"\x08\0\0\0\0\0\7\0" + built(MAC / V4 / SYN)),
    "gtp-echo": UDP(dport=2152) / Raw(b"\x32\x01\x00\x04" + bytes(8)),
    "gtp-length": UDP(dport=2152) / Raw(b"\x30\xff\x00\x29" + bytes(4) + built(V4 / SYN)),
    "gtp-version": UDP(dport=2152) / Raw(b"\x50\xff\x00\x28" + bytes(4) + built(V4 / SYN)),
    "gtp-no-ip": UDP(dport=2152) / Raw(b"\x30\xff\x00\x28" + bytes(4) + b"\x10" + bytes(39)),
    "gtp-extension-of-no-size": UDP(dport=2152) / Raw(b"\x34\xff\x00\x2c" + bytes(7) + b"\x85" + bytes(40)),
    "geneve-version": UDP(dport=6081) / Raw(b"\x40\x00\x65\x58" + bytes(4) + built(MAC / V4 / SYN)),
    "geneve-reserved": UDP(dport=6081) / Raw(b"\x00\x01\x65\x58" + bytes(4) + built(MAC / V4 / SYN)),
    "geneve-last": UDP(dport=6081) / Raw(b"\x00\x00\x65\x58\0\0\7\1" + built(MAC / V4 / SYN)),
    "geneve-protocol": UDP(dport=6081) / Raw(b"\x00\x00\x88\xcc" + bytes(4) + built(MAC / V4 / SYN)),
    "geneve-options": UDP(dport=6081) / Raw(b"\x3f\x00\x65\x58" + bytes(4) + built(MAC / V4 / SYN)),
    "teredo-strangers": UDP(dport=3544) / Raw(built(V6 / SYN)),
    "teredo-longer": UDP(dport=3544) / Raw(built(TEREDO / SYN) + b"\0"),
    "teredo-bubble-v4": UDP(dport=3544) / Raw(built(V4 / SYN) + bytes(40)),
    "empty-vxlan": UDP(dport=4789),
    "empty-gtp": UDP(dport=2152),
    "empty-geneve": UDP(dport=6081),
    "empty-teredo": UDP(dport=3544),
}


@pytest.mark.parametrize("name", NO_TUNNELS)
@pytest.mark.parametrize("outer", [OUTER4, OUTER6])
def test_what_only_looks_like_a_tunnel_is_a_datagram(tmp_path: Path, outer: Any, name: str) -> None:
    reading = seen(tmp_path, outer / NO_TUNNELS[name])
    (packet,) = reading.packets
    assert (packet.source, packet.protocol) == (outer.src, "udp")
    assert reading.losses.tunnelled == {}


@pytest.mark.parametrize(
    "head",
    [
        b"\x40\x00\x08\x00",  # routing
        b"\x01\x00\x08\x00",  # recursion
        b"\x00\x02\x08\x00",  # version 2
        b"\x00\x80\x08\x00",  # an acknowledgement in version 0
        b"\x00\x01\x88\x0b",  # version 1 without a key
        b"\x20\x01\x08\x00",  # version 1 of another protocol
        b"\x00\x00\x86\xdd",  # something else inside than it says
        b"\x00\x00\x00\x00",  # keep-alive
        b"\x10\x00\x88\xbe\0\0\0\0",  # ERSPAN of an unknown version
        b"\x10\x00\x22\xeb\0\0\0\0",
    ],
)
def test_gre_that_is_none(tmp_path: Path, head: bytes) -> None:
    reading = seen(tmp_path, IP(src="203.0.113.1", dst="203.0.113.2", proto=47) / Raw(head + built(V4 / SYN)))
    assert reading.losses.unparsed == {"ip_protocol/47": 1}
    assert reading.losses.tunnelled == {}


@pytest.mark.parametrize("protocol", [4, 41])
def test_a_protocol_number_without_a_packet(tmp_path: Path, protocol: int) -> None:
    reading = seen(tmp_path, IP(dst="203.0.113.2", proto=protocol) / Raw(b"\x00" * 40))
    assert reading.losses.unparsed == {f"ip_protocol/{protocol}": 1}


def test_only_the_first_fragment_of_a_tunnel_is_opened(tmp_path: Path) -> None:
    whole = TUNNELS["gre"][1](V4 / TCP(dport=23, flags="S") / Raw(bytes(100)))
    first, later = whole.copy(), whole.copy()
    first.flags, later.frag = "MF", 9
    reading = read(tmp_path / "a.pcap", pcap([Frame(START, built(p)) for p in (first, later)], link=RAW))
    assert [packet.target_port for packet in reading.packets] == [23]
    assert reading.losses.unparsed == {"later_fragment": 1}
    assert reading.losses.tunnelled == {"gre": 1}


def test_atomic_fragments_are_packets(tmp_path: Path) -> None:
    """Fragments that are whole (RFC 6946)."""
    (packet,) = seen(tmp_path, V6 / IPv6ExtHdrFragment(m=0, offset=0, id=5) / SYN).packets
    assert packet.target_port == 23


# --- nothing is lost ---

EVERYTHING = {
    **{name: (link, built(write(V4 / SYN))) for name, (link, write) in LINKS.items()},
    **{name: (RAW, built(write(V6 / SYN))) for name, (_, write) in TUNNELS.items()},
    "teredo": (RAW, built(teredo(TEREDO / SYN, AUTHENTICATION + ORIGIN))),
}


@pytest.mark.parametrize("name", EVERYTHING)
def test_frames_cut_anywhere_are_followed_or_counted(tmp_path: Path, name: str) -> None:
    link, whole = EVERYTHING[name]
    frames = [Frame(START, whole[:length]) for length in range(len(whole) + 1)]
    reading = read(tmp_path / "a.pcap", pcap(frames, link=link))
    assert reading.losses.packets == len(frames)
    assert len(reading.packets) + sum(reading.losses.unparsed.values()) == len(frames)
    assert reading.packets[-1].target_port == 23


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(EVERYTHING)),
    st.lists(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=5), min_size=1, max_size=8),
)
def test_changed_bytes_are_followed_or_counted(
    tmp_path: Path, name: str, changes: list[list[tuple[int, int]]]
) -> None:
    link, whole = EVERYTHING[name]
    frames = []
    for change in changes:
        data = bytearray(whole)
        for at, value in change:
            data[at % len(data)] = value
        frames.append(Frame(START, bytes(data)))
    reading = read(tmp_path / "a.pcap", pcap(frames, link=link), HostTable(64))
    assert len(reading.packets) + sum(reading.losses.unparsed.values()) == len(frames)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted({link for link, _ in EVERYTHING.values()})), st.lists(st.binary(max_size=90), max_size=6)
)
def test_rubbish_of_any_link_type(tmp_path: Path, link: int, rubbish: list[bytes]) -> None:
    reading = read(tmp_path / "a.pcap", pcap([Frame(START, data) for data in rubbish], link=link), HostTable(64))
    assert len(reading.packets) + sum(reading.losses.unparsed.values()) == len(rubbish)


# --- what tshark makes of it ---

TSHARK = shutil.which("tshark")
GUESSED_OTHERWISE = {"mpls-ethernet", "mpls-control-word"}  # nothing in the frame tells which is which
UNKNOWN_TO_TSHARK = {"etag", "erspan-3-ip", "nflog-big", "prism", "prism-big", "prism-avs", *GUESSED_OTHERWISE}


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_sees_the_same(tmp_path: Path) -> None:
    b = Blocks()
    names = [name for name in EVERYTHING if name not in UNKNOWN_TO_TSHARK]
    interfaces = b"".join(b.interface(EVERYTHING[name][0]) for name in names)
    packets = b"".join(b.enhanced(START // 1000, EVERYTHING[name][1], interface=i) for i, name in enumerate(names))
    path = tmp_path / "a.pcapng"
    reading = read(path, b.section() + interfaces + packets)
    command = [str(TSHARK), "-n", "-r", str(path), "-d", "udp.port==8472,vxlan", "-T", "fields"]
    command += ["-E", "occurrence=l", "-E", "separator=,"]
    for field in ("ip.src", "ipv6.src", "tcp.srcport", "tcp.dstport"):
        command += ["-e", field]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert len(reading.packets) == len(names)
    differing = Counter[str]()
    for name, row, packet in zip(names, csv.reader(told.splitlines()), reading.packets, strict=True):
        source = row[1] if ":" in packet.source else row[0]
        if (source, *row[2:]) != (packet.source, str(packet.source_port), str(packet.target_port)):
            differing[f"{name}: {row}"] += 1
    assert sorted(differing) == []
