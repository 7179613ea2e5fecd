from __future__ import annotations

import ipaddress

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.capture.address import format_address, format_addresses, pack_addresses, parse_address


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.ip_addresses(v=4))
def test_ipv4_is_kept_as_a_mapped_address(address: ipaddress.IPv4Address) -> None:
    high, low = parse_address(str(address))
    assert (high << 64 | low) == int(ipaddress.IPv6Address(f"::ffff:{address}"))
    assert format_address(high, low) == str(address)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.ip_addresses(v=6))
def test_ipv6_survives_the_round_trip(address: ipaddress.IPv6Address) -> None:
    assume(address.ipv4_mapped is None)
    high, low = parse_address(str(address))
    assert (high << 64 | low) == int(address)
    assert format_address(high, low) == str(address)


def test_a_mapped_address_is_the_ipv4_address() -> None:
    assert parse_address("::ffff:192.0.2.1") == parse_address("192.0.2.1")


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.256", "192.0.2.01", "2001:db8::/32", "host", " ::1"])
def test_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_address(text)


def test_zone_ids_are_refused_with_advice() -> None:
    with pytest.raises(ValueError, match="leave out everything from the %"):
        parse_address("fe80::1%eth0")


def test_packing_keeps_the_order() -> None:
    texts = ["203.0.113.9", "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0", "::"]
    packed = pack_addresses(texts)
    assert packed.dtype == np.uint64
    assert packed.shape == (5, 2)
    assert format_addresses(packed) == texts


def test_packing_nothing_gives_no_rows() -> None:
    assert pack_addresses([]).shape == (0, 2)
