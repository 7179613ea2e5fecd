from __future__ import annotations

import pytest

from service.capture.kernels import reasons
from service.capture.tally import new_tally, tally_reasons, tally_tunnels

NAMED = {
    reasons.TRUNCATED: "truncated_headers",
    reasons.MALFORMED: "malformed_ip",
    reasons.FRAGMENT: "later_fragment",
    reasons.LLC: "llc",
    reasons.ARP_OTHER: "arp_other",
    reasons.ADDRESSES: "address_table_full",
    reasons.TCP_CUT: "tcp_cut_before_flags",
    reasons.NESTED: "nested_too_deeply",
    reasons.WLAN_NO_DATA: "wlan_no_data",
    reasons.WLAN_PROTECTED: "wlan_protected",
    reasons.DAMAGED: "damaged_frame",
    reasons.PPP_PROTOCOL + 0xC021: "ppp_protocol/0xc021",
    reasons.PPP_PROTOCOL + 0xFFFF: "ppp_protocol/0xffff",
    reasons.ETHERTYPE + 0x88CC: "ethertype/0x88cc",
    reasons.ETHERTYPE: "ethertype/0x0000",
    reasons.ETHERTYPE + 0xFFFF: "ethertype/0xffff",
    reasons.PROTOCOL: "ip_protocol/0",
    reasons.PROTOCOL + 255: "ip_protocol/255",
    reasons.ICMP_TYPE + 5: "icmp_type/5",
    reasons.ICMP6_TYPE + 135: "icmp6_type/135",
    reasons.LINK_TYPE: "link_type/0",
    reasons.LINK_TYPE + 0xFFFF: "link_type/65535",
}


@pytest.mark.parametrize(("place", "name"), NAMED.items())
def test_every_section_has_a_name(place: int, name: str) -> None:
    tally = new_tally()
    tally[place] = 3
    assert tally_reasons(tally) == {name: 3}
    assert tally_tunnels(tally) == {}


def test_every_tunnel_has_a_name_and_is_no_reason() -> None:
    tally = new_tally()
    tally[reasons.TUNNEL :] = range(1, 9)
    names = ("gre", "erspan", "ip_in_ip", "6in4", "teredo", "vxlan", "geneve", "gtp")
    assert tally_tunnels(tally) == {name: count for count, name in enumerate(names, 1)}
    assert tally_reasons(tally) == {}


def test_nothing_lost_is_no_reason() -> None:
    assert tally_reasons(new_tally()) == {}
