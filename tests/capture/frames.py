"""Frames of every kind at random, built by scapy."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Timestamp
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, GRE, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from tests.capture import dissection

V4 = IP(src="192.0.2.7", dst="198.51.100.9")
V6 = IPv6(src="2001:db8::7", dst="2001:db8:1::9")
SYN = TCP(sport=40000, dport=23, flags="S", seq=7)
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def built(packet: Any) -> bytes:
    return bytes(packet)


flag_bits = st.integers(0, 255)
ports = st.integers(0, 65535)
bodies = st.binary(max_size=40)
v4_addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.sampled_from(["10.0.0.1", "127.0.0.1", "224.0.0.251", "255.255.255.255", "0.0.0.0", "240.0.0.1"]),
)
v6_addresses = st.one_of(
    st.ip_addresses(v=6).map(str).filter(lambda text: not text.startswith("::ffff:")),
    st.sampled_from(["::1", "::", "ff02::1", "fe80::1", "2001:db8::1"]),
)
tcp = st.builds(
    lambda sport, dport, flags, body, options: TCP(sport=sport, dport=dport, flags=flags, options=options) / body,
    ports, ports, flag_bits, bodies,
    st.sampled_from([[], [("MSS", 1460)], [("NOP", None), ("Timestamp", (1, 2))]]),
)  # fmt: skip
udp = st.builds(lambda sport, dport, body: UDP(sport=sport, dport=dport) / body, ports, ports, bodies)
quoted4 = st.builds(
    lambda source, target, upper, cut: Raw(built(IP(src=source, dst=target) / upper)[: 20 + cut]),
    v4_addresses, v4_addresses,
    st.one_of(tcp, udp, st.just(ICMP(type=8)), st.just(ICMP(type=0))), st.integers(8, 28),
)  # fmt: skip
icmp = st.one_of(
    st.builds(
        lambda kind, body: ICMP(type=kind) / body, st.sampled_from([0, *range(8, 10), *range(13, 19)]), bodies
    ),
    st.builds(lambda kind, quote: ICMP(type=kind, code=0) / quote, st.sampled_from([3, 11]), quoted4),
)
quoted6 = st.builds(
    lambda source, target, upper: Raw(built(IPv6(src=source, dst=target) / upper)),
    v6_addresses, v6_addresses, st.one_of(tcp, udp, st.just(ICMPv6EchoRequest()), st.just(ICMPv6EchoReply())),
)  # fmt: skip
icmp6 = st.one_of(
    st.sampled_from([ICMPv6EchoRequest(data=b"x"), ICMPv6EchoReply(data=b"x"), ICMPv6ND_NS()]),
    quoted6.map(lambda quote: ICMPv6DestUnreach() / quote),
    quoted6.map(lambda quote: ICMPv6TimeExceeded() / quote),
)
v4_packets = st.builds(
    lambda source, target, options, fragment, upper: (
        IP(src=source, dst=target, options=options, flags=fragment[0], frag=fragment[1]) / upper
    ),
    v4_addresses, v4_addresses,
    st.sampled_from([[], [IPOption_NOP()] * 4, [IPOption_Timestamp(), IPOption_NOP()] * 2]),
    st.sampled_from([(0, 0), (0, 0), (0, 0), ("DF", 0), ("MF", 0), ("MF", 185), (0, 8191)]),
    st.one_of(tcp, udp, icmp, st.just(GRE() / IP() / UDP())),
)  # fmt: skip
extensions = st.lists(
    st.sampled_from(
        [
            IPv6ExtHdrHopByHop(),
            IPv6ExtHdrDestOpt(),
            IPv6ExtHdrRouting(addresses=["2001:db8::5"]),
            IPv6ExtHdrFragment(m=1, offset=0, id=5),
            IPv6ExtHdrFragment(m=0, offset=64, id=5),
        ]
    ),
    max_size=4,
)


def over_ipv6(source: str, target: str, headers: list[Any], upper: Any) -> Any:
    packet = IPv6(src=source, dst=target)
    for header in headers:
        packet = packet / header
    return packet / upper


v6_packets = st.builds(over_ipv6, v6_addresses, v6_addresses, extensions, st.one_of(tcp, udp, icmp6))
arp = st.builds(
    lambda op, source, target, hardware: ARP(
        op=op, psrc=source, pdst=target, hwtype=hardware, hwsrc="02:00:00:00:00:01", hwdst="02:00:00:00:00:02"
    ),
    st.sampled_from([1, 1, 2, 3]), v4_addresses, v4_addresses, st.sampled_from([1, 1, 1, 6]),
)  # fmt: skip


def tagged(tags: list[Any], packet: Any) -> Any:
    frame = ETHER
    for tag in tags:
        frame = frame / tag
    return frame / packet


ethernet = st.builds(
    lambda tags, packet, padding: built(tagged(tags, packet)) + padding,
    st.sampled_from([[], [Dot1Q(vlan=5)], [Dot1AD(vlan=7), Dot1Q(vlan=5)], [Dot1Q(vlan=1), Dot1Q(vlan=2)]]),
    st.one_of(v4_packets, v6_packets, arp), st.sampled_from([b"", bytes(18), b"\xff" * 6]),
)  # fmt: skip
cooked = st.builds(
    lambda packet, padding: built(CookedLinux(pkttype=4) / packet) + padding,
    st.one_of(v4_packets, v6_packets), st.sampled_from([b"", bytes(9)]),
)  # fmt: skip
cooked2 = st.builds(lambda packet: built(CookedLinuxV2(pkttype=4) / packet), st.one_of(v4_packets, v6_packets))
raw = st.one_of(v4_packets, v6_packets).map(built)
byte_orders = st.sampled_from(["big", "little"])
families = st.sampled_from([24, 28, 30])
loop = st.one_of(v4_packets.map(lambda packet: (2, built(packet))), st.tuples(families, v6_packets.map(built)))
link_frames = st.one_of(
    st.tuples(st.just(dissection.ETHERNET), ethernet),
    st.tuples(st.just(dissection.COOKED), cooked),
    st.tuples(st.just(dissection.COOKED2), cooked2),
    st.tuples(st.sampled_from(dissection.RAWS), raw),
    st.tuples(st.just(dissection.RAW4), v4_packets.map(built)),
    st.tuples(st.just(dissection.RAW6), v6_packets.map(built)),
    st.tuples(
        st.sampled_from([dissection.NULL, dissection.LOOP]),
        st.builds(lambda told, order: told[0].to_bytes(4, order) + told[1], loop, byte_orders),
    ),
)  # fmt: skip
