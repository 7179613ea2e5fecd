"""What packets travel in: frames of every link type, and tunnels, mostly written by scapy."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from scapy.contrib.chdlc import CHDLC
from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, Dot11FCS, Dot11QoS, RadioTap
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import GRE, GRE_PPTP, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from tests.capture.frames import ETHER, built, tagged

if TYPE_CHECKING:
    from collections.abc import Callable

OUTER4 = IP(src="203.0.113.1", dst="203.0.113.2")
OUTER6 = IPv6(src="2001:db8:f::1", dst="2001:db8:f::2")
MAC = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b")
ENDS: dict[str, Any] = {"addr1": "02:00:00:00:00:01", "addr2": "02:00:00:00:00:02", "addr3": "02:00:00:00:00:03"}
SUBFRAME = bytes(12)
"""Both addresses at the head of a packet in an A-MSDU; its length follows."""
VXLAN_HEADER = VXLAN(flags=8, NextProtocol=0, vni=7)
"""scapy makes it VXLAN-GPE if it may."""
OPTION = GeneveOptions(length=2, data=bytes(8))


def version(packet: Any) -> int:
    return 6 if isinstance(packet, IPv6) else 4


def ethertype(packet: Any) -> int:
    return 0x86DD if isinstance(packet, IPv6) else 0x0800


def snap(packet: Any) -> Any:
    return LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=ethertype(packet)) / packet


def data_frame(packet: Any, kind: Any = Dot11, **fields: Any) -> Any:
    return kind(type=2, **{**ENDS, **fields}) / snap(packet)


def quality(packet: Any, **fields: Any) -> Any:
    return Dot11(type=2, subtype=8, **{**ENDS, **fields}) / Dot11QoS() / snap(packet)


def aggregate(packet: Any) -> bytes:
    """Write an A-MSDU of two packets, of which only the first is followed."""
    inner = built(snap(packet))
    head = built(Dot11(type=2, subtype=8, **ENDS)) + b"\x80\x00"
    return (head + SUBFRAME + struct.pack("!H", len(inner)) + inner).ljust(400, b"\0") + SUBFRAME + b"\x00\x00"


def ppp_number(packet: Any) -> bytes:
    return b"\x57" if version(packet) == 6 else b"\x21"


def nflog(packet: Any, order: str = "<") -> bytes:
    payload = built(packet)
    head = struct.pack(order + "HH", 8, 1) + b"\x08\x00\x00\x00"
    prefix = struct.pack(order + "HH", 7, 10) + b"fw\0\0"
    body = struct.pack(order + "HH", 4 + len(payload), 9) + payload
    return bytes([2 if version(packet) == 4 else 10, 0, 0, 1]) + head + prefix + body


def vntag(packet: Any) -> bytes:
    head = built(Ether(src=MAC.src, dst=MAC.dst, type=0x8926))
    return head + b"\x00\x01\x00\x02" + b"\x81\x00\x00\x05" + struct.pack("!H", ethertype(packet)) + built(packet)


def etag(packet: Any) -> bytes:
    head = built(Ether(src=MAC.src, dst=MAC.dst, type=0x893F))
    return head + bytes(6) + struct.pack("!H", ethertype(packet)) + built(packet)


def cooked_tag(packet: Any, link: Any) -> bytes:
    return built(link / Raw(b"\x00\x05" + struct.pack("!H", ethertype(packet)) + built(packet)))


def prism(packet: Any, order: str = "<") -> bytes:
    return struct.pack(order + "II16s", 0x44, 144, b"wlan0") + bytes(120) + built(data_frame(packet))


def avs(packet: Any) -> bytes:
    return struct.pack(">II", 0x80211001, 64) + bytes(56) + built(data_frame(packet))


def ppi(packet: Any, link: int, frame: bytes) -> bytes:
    return struct.pack("<BBHI", 0, 0, 8 + 24, link) + bytes(24) + frame


def ethernet_below_labels(packet: Any, control: bytes) -> bytes:
    return built(MAC / MPLS(label=20, s=1)) + control + built(MAC / packet)


LINKS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "ethernet": (1, lambda p: ETHER / p),
    "ethernet-snap": (1, lambda p: Dot3(src=MAC.src, dst=MAC.dst) / snap(p)),
    "vlan": (1, lambda p: tagged([Dot1Q(vlan=5)], p)),
    "vlan-snap": (1, lambda p: ETHER / Dot1Q(type=len(snap(p))) / snap(p)),
    "qinq": (1, lambda p: tagged([Dot1AD(vlan=5), Dot1Q(vlan=6)], p)),
    "six-tags": (1, lambda p: tagged([Dot1Q(vlan=5)] * 6, p)),
    "vntag": (1, vntag),
    "etag": (1, etag),
    "pppoe": (1, lambda p: ETHER / PPPoE() / PPP() / p),
    "pppoe-qinq": (1, lambda p: tagged([Dot1AD(vlan=5), Dot1Q(vlan=6)], PPPoE() / PPP() / p)),
    "mpls": (1, lambda p: ETHER / MPLS(s=0) / MPLS(s=0) / MPLS(s=1) / p),
    "mpls-vlan": (1, lambda p: tagged([Dot1Q(vlan=5)], MPLS(s=1) / p)),
    "mpls-multicast": (1, lambda p: Ether(src=MAC.src, dst=MAC.dst, type=0x8848) / MPLS(s=1) / p),
    "mpls-ethernet": (1, lambda p: ethernet_below_labels(p, b"")),
    "mpls-control-word": (1, lambda p: ethernet_below_labels(p, bytes(4))),
    "cooked": (113, lambda p: CookedLinux(pkttype=4) / p),
    "cooked-vlan": (113, lambda p: cooked_tag(p, CookedLinux(proto=0x8100))),
    "cooked-2": (276, lambda p: CookedLinuxV2(pkttype=4) / p),
    "cooked-2-vlan": (276, lambda p: cooked_tag(p, CookedLinuxV2(proto=0x8100))),
    "raw-12": (12, lambda p: p),
    "raw-14": (14, lambda p: p),
    "raw": (101, lambda p: p),
    "null": (0, lambda p: struct.pack("<I", 2 if version(p) == 4 else 30) + built(p)),
    "loop": (108, lambda p: struct.pack(">I", 2 if version(p) == 4 else 24) + built(p)),
    "ppp": (9, lambda p: PPP() / p),
    "ppp-compressed": (9, lambda p: ppp_number(p) + built(p)),
    "ppp-control": (9, lambda p: HDLC() / PPP() / p),
    "ppp-mpls": (9, lambda p: b"\x02\x81" + built(MPLS(s=1) / p)),
    "ppp-mpls-multicast": (9, lambda p: b"\x02\x83" + built(MPLS(s=1) / p)),
    "ppp-serial": (50, lambda p: HDLC() / PPP() / p),
    "ppp-serial-compressed": (50, lambda p: b"\xff\x03" + ppp_number(p) + built(p)),
    "ppp-serial-cisco": (50, lambda p: CHDLC() / p),
    "ppp-ether": (51, lambda p: PPPoE() / PPP() / p),
    "ppp-direction": (204, lambda p: b"\x01" + built(PPP() / p)),
    "cisco": (104, lambda p: CHDLC() / p),
    "cisco-mpls": (104, lambda p: b"\x0f\x00\x88\x47" + built(MPLS(s=1) / p)),
    "atm": (100, snap),
    "nflog": (239, nflog),
    "nflog-big": (239, lambda p: nflog(p, ">")),
    "wlan": (105, data_frame),
    "wlan-to": (105, lambda p: data_frame(p, FCfield=0x09)),
    "wlan-four": (105, lambda p: data_frame(p, FCfield=0x03, addr4="02:00:00:00:00:04")),
    "wlan-qos": (105, lambda p: quality(p, FCfield=0x02)),
    "wlan-ht": (105, lambda p: built(Dot11(type=2, subtype=8, FCfield=0x81, **ENDS)) + bytes(6) + built(snap(p))),
    "wlan-aggregate": (105, aggregate),
    "wlan-bridge": (105, lambda p: built(data_frame(p)).replace(b"\xaa\xaa\x03\0\0\0", b"\xaa\xaa\x03\0\0\xf8", 1)),
    "wlan-fcs": (105, lambda p: data_frame(p, Dot11FCS)),
    "radiotap": (127, lambda p: RadioTap() / data_frame(p)),
    "radiotap-fcs": (
        127,
        lambda p: RadioTap(present="TSFT+Flags", mac_timestamp=7, Flags="FCS") / data_frame(p, Dot11FCS),
    ),
    "radiotap-qos": (127, lambda p: RadioTap(present="Flags+Rate", Flags="CFP", Rate=2) / quality(p)),
    "radiotap-two-words": (
        127, lambda p: struct.pack("<BBHII", 0, 0, 13, 0x80000002, 0) + b"\x00" + built(data_frame(p)),
    ),
    "radiotap-padded": (
        127,
        lambda p: struct.pack("<BBHI", 0, 0, 9, 2) + b"\x20" + built(quality(p))[:26] + bytes(2) + built(snap(p)),
    ),
    "prism": (119, prism),
    "prism-big": (119, lambda p: prism(p, ">")),
    "prism-avs": (119, avs),
    "avs": (163, avs),
    "ppi-wlan": (192, lambda p: ppi(p, 105, built(data_frame(p)))),
    "ppi-ethernet": (192, lambda p: ppi(p, 1, built(ETHER / p))),
}  # fmt: skip

TUNNELS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "gre": ("gre", lambda p: OUTER4 / GRE() / p),
    "gre-6": ("gre", lambda p: OUTER6 / GRE() / p),
    "gre-fields": ("gre", lambda p: OUTER4 / GRE(chksum_present=1, key_present=1, seqnum_present=1) / p),
    "gre-key-extension": ("gre", lambda p: OUTER6 / IPv6ExtHdrDestOpt() / GRE(key_present=1) / p),
    "gre-ethernet": ("gre", lambda p: OUTER4 / GRE(key_present=1, proto=0x6558) / tagged([Dot1Q(vlan=5)], p)),
    "gre-mpls": ("gre", lambda p: OUTER4 / GRE() / MPLS(s=1) / p),
    "gre-aruba": ("gre", lambda p: OUTER4 / GRE(proto=0x8200) / Raw(built(quality(p, FCfield=0x01)))),
    "pptp": ("gre", lambda p: OUTER4 / GRE_PPTP(seqnum_present=1, acknum_present=1) / PPP() / p),
    "pptp-compressed": ("gre", lambda p: OUTER4 / GRE_PPTP() / Raw(b"\xff\x03" + ppp_number(p) + built(p))),
    "erspan-1": ("erspan", lambda p: OUTER4 / GRE(proto=0x88BE) / MAC / p),
    "erspan-1-scapy": ("erspan", lambda p: OUTER4 / GRE() / ERSPAN_I() / MAC / p),
    "erspan-2": ("erspan", lambda p: OUTER4 / GRE(seqnum_present=1) / ERSPAN_II() / MAC / p),
    "erspan-3": ("erspan", lambda p: OUTER4 / GRE(seqnum_present=1) / ERSPAN_III() / MAC / p),
    "erspan-3-platform": (
        "erspan", lambda p: OUTER4 / GRE(seqnum_present=1) / ERSPAN_III(o=1) / ERSPAN_PlatformSpecific() / MAC / p,
    ),
    "erspan-3-ip": ("erspan", lambda p: OUTER4 / GRE(seqnum_present=1) / ERSPAN_III(ft=2) / Raw(built(p))),
    "ip": ("", lambda p: OUTER4 / p),
    "ip-6": ("", lambda p: OUTER6 / p),
    "vxlan": ("vxlan", lambda p: OUTER4 / UDP(sport=50000, dport=4789) / VXLAN_HEADER / MAC / p),
    "vxlan-linux": ("vxlan", lambda p: OUTER6 / UDP(sport=50000, dport=8472) / VXLAN_HEADER / MAC / p),
    "vxlan-policy": (
        "vxlan",
        lambda p: OUTER4 / UDP(sport=50000, dport=4789) / Raw(b"\x88\x48\x12\x34\0\0\7\0" + built(MAC / p)),
    ),
    "geneve": ("geneve", lambda p: OUTER4 / UDP(sport=50000, dport=6081) / GENEVE(vni=7) / MAC / p),
    "geneve-options": (
        "geneve",
        lambda p: OUTER4 / UDP(sport=50000, dport=6081) / GENEVE(vni=7, options=[OPTION]) / MAC / p,
    ),
    "geneve-ip": ("geneve", lambda p: OUTER4 / UDP(sport=50000, dport=6081) / GENEVE(proto=ethertype(p)) / p),
    "gtp": ("gtp", lambda p: OUTER4 / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=7) / p),
    "gtp-numbered": ("gtp", lambda p: OUTER6 / UDP(sport=50000, dport=2152) / GTP_U_Header(teid=7, S=1, seq=3) / p),
    "gtp-5g": (
        "gtp",
        lambda p: OUTER4 / UDP(sport=50000, dport=2152) / GTP_U_Header(E=1) / GTPPDUSessionContainer(QFI=9) / p,
    ),
}  # fmt: skip


def kind_of(tunnel: str, inner: Any) -> str:
    """Return the name under which a tunnel is counted."""
    return TUNNELS[tunnel][0] or ("ip_in_ip" if version(inner) == 4 else "6in4")


TEREDO = IPv6(src="2001:0:cb00:7101:0:1234:34ff:8efe", dst="2001:db8::9")
AUTHENTICATION = b"\x00\x01\x02\x03" + b"id" + b"key" + bytes(8) + b"\x00"
ORIGIN = b"\x00\x00\x12\x34" + bytes(4)


def teredo(inner: Any, before: bytes = b"", **ports: Any) -> Any:
    return OUTER4 / UDP(**(ports or {"sport": 50000, "dport": 3544})) / Raw(before + built(inner))
