"""scapy reads what we write."""

from __future__ import annotations

import io

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.utils import PcapReader

from service.selfcheck.frames import FIN, SYN, Ends, arp, capture, ping, tcp, udp

V4 = Ends("198.18.0.1", "198.18.0.2", 1000, 80)
V6 = Ends("2001:db8::1", "2001:db8::2", 1000, 80)


@pytest.mark.parametrize(("ends", "layer"), [(V4, IP), (V6, IPv6)])
def test_segments_and_datagrams(ends: Ends, layer: type) -> None:
    for frame, kind in ((tcp(5, ends, SYN | FIN), TCP), (udp(5, ends, 3), UDP)):
        packet = Ether(frame.data)
        assert (packet[layer].src, packet[layer].dst) == (ends.source, ends.target)
        assert (packet[kind].sport, packet[kind].dport) == (1000, 80)
    assert Ether(tcp(5, ends, SYN | FIN).data)[TCP].flags == "FS"
    assert bytes(Ether(udp(5, ends, 3).data)[UDP].payload)[:3] == bytes(3)


def test_pings_and_arp() -> None:
    assert Ether(ping(5, V4).data)[ICMP].type == 8
    assert Ether(ping(5, V4, reply=True).data)[ICMP].type == 0
    assert Ether(ping(5, V6).data).haslayer(ICMPv6EchoRequest)
    asked = Ether(arp(5, V4).data)[ARP]
    assert (asked.op, asked.psrc, asked.pdst) == (1, V4.source, V4.target)


def test_a_capture_is_in_the_order_of_time() -> None:
    frames = [tcp(2_000_000_007, V4, SYN), tcp(1_999_999_999, V4.back, SYN)]
    packets = list(PcapReader(io.BytesIO(capture(frames))))  # type: ignore[arg-type]  # it reads open files, too
    assert [str(packet.time) for packet in packets] == ["1.999999999", "2.000000007"]
    assert [packet[IP].src for packet in packets] == [V4.target, V4.source]
