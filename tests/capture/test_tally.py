from __future__ import annotations

import pytest

from service.capture.kernels import headers
from service.capture.tally import new_tally, tally_reasons

NAMED = {
    headers.TRUNCATED: "truncated_headers",
    headers.MALFORMED: "malformed_ip",
    headers.FRAGMENT: "later_fragment",
    headers.LLC: "llc",
    headers.ARP_OTHER: "arp_other",
    headers.ADDRESSES: "address_table_full",
    headers.ETHERTYPE + 0x88CC: "ethertype/0x88cc",
    headers.ETHERTYPE: "ethertype/0x0000",
    headers.ETHERTYPE + 0xFFFF: "ethertype/0xffff",
    headers.PROTOCOL: "ip_protocol/0",
    headers.PROTOCOL + 255: "ip_protocol/255",
    headers.ICMP_TYPE + 5: "icmp_type/5",
    headers.ICMP6_TYPE + 135: "icmp6_type/135",
    headers.LINK_TYPE: "link_type/0",
    headers.LINK_TYPE + 0xFFFF: "link_type/65535",
}


@pytest.mark.parametrize(("place", "name"), NAMED.items())
def test_every_section_has_a_name(place: int, name: str) -> None:
    tally = new_tally()
    tally[place] = 3
    assert tally_reasons(tally) == {name: 3}


def test_nothing_lost_is_no_reason() -> None:
    assert tally_reasons(new_tally()) == {}
