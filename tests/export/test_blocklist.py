from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.alerts.alert import Alert
from service.export.blocklist import blocklist
from tests.builders import START, an_alert
from tests.export.strategies import alerts, some


def listed(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


@some
@given(st.lists(alerts(), max_size=3))
def test_lines_are_addresses_sorted_and_each_once(given: list[Alert]) -> None:
    text = blocklist(given, START, "1.2.3")
    addresses = [ipaddress.ip_address(line) for line in listed(text)]
    assert sorted(set(addresses), key=lambda each: (each.version, int(each))) == addresses
    told = {source for alert in given if alert.allowed_by is None for source in alert.sources}
    assert set(listed(text)) <= told
    for source in told - set(listed(text)):
        address = ipaddress.ip_address(source)
        assert address.is_unspecified or address.is_loopback or address.is_multicast or source == "255.255.255.255"


def test_a_list_of_sources() -> None:
    given = [
        an_alert(sources=("198.51.100.7",)),
        an_alert(sources=("2001:db8::1", "192.0.2.10", "192.0.2.9")),
        an_alert(sources=("192.0.2.9",)),
        an_alert(sources=("203.0.113.1",), allowed_by="203.0.113.0/24"),
    ]
    assert blocklist(given, START, "1.2.3") == (
        "# Yocho 1.2.3: sources of scans that nobody allowed\n"
        "# 2023-11-14T22:13:20.000000Z\n"
        "# alerts: 3, addresses: 4\n"
        "192.0.2.9\n192.0.2.10\n198.51.100.7\n2001:db8::1\n"
    )


@pytest.mark.parametrize("source", ["0.0.0.0", "::", "127.0.0.1", "::1", "224.0.0.1", "ff02::1", "255.255.255.255"])
def test_what_is_no_host_is_not_listed(source: str) -> None:
    assert listed(blocklist([an_alert(sources=(source,))], START, "1.2.3")) == []


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        blocklist([an_alert(sources=("0.0.0.0/0",))], START, "1.2.3")
