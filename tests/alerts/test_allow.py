from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.alerts.allow import AllowList, read_allow_list
from service.capture.address import parse_address
from service.capture.services import parse_service
from service.errors import SettingsError

TEXT = """
# who may
192.0.2.7
10.0.0.0/8 tcp/443
10.1.0.0/16 tcp/9000-9100   # printers
2001:db8::/32
udp/161
"""


def covering(allowed: AllowList, source: str, *services: str) -> str | None:
    return allowed.covering(*parse_address(source), map(parse_service, services))


@pytest.mark.parametrize(
    ("source", "services", "rules"),
    [
        ("192.0.2.7", ["tcp/1", "udp/2", "icmp/echo"], "192.0.2.7"),
        ("192.0.2.8", ["tcp/1"], None),
        ("10.9.9.9", ["tcp/443"], "10.0.0.0/8 tcp/443"),
        ("10.9.9.9", ["tcp/443", "tcp/80"], None),
        ("10.9.9.9", ["tcp/9000"], None),
        ("10.1.9.9", ["tcp/443", "tcp/9000", "tcp/9100"], "10.0.0.0/8 tcp/443, 10.1.0.0/16 tcp/9000-9100"),
        ("10.1.9.9", ["tcp/9101"], None),
        ("2001:db8:1::1", ["tcp/22"], "2001:db8::/32"),
        ("2001:db9::1", ["tcp/22"], None),
        ("198.51.100.1", ["udp/161"], "udp/161"),
    ],
)
def test_rules_allow_sources_and_services(source: str, services: list[str], rules: str | None) -> None:
    assert covering(read_allow_list(TEXT.splitlines(), "allow"), source, *services) == rules


def test_an_empty_list_allows_nothing() -> None:
    assert covering(AllowList(), "192.0.2.7", "tcp/1") is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("nobody", "nobody"),
        ("10.0.0.1 10.0.0.2", "two networks"),
        ("tcp/1 tcp/2", "two services"),
        ("tcp/9-3", "ends before"),
        ("tcp/70000", "tcp/70000"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named_by_its_line(line: str, said: str) -> None:
    with pytest.raises(SettingsError, match=rf"allow\.txt: line 2: .*{said}.*such as"):
        read_allow_list(["# fine", line], "allow.txt")


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_a_network_holds_the_addresses_with_its_prefix(base: int, length: int, source: int) -> None:
    text = ".".join(str(base >> shift & 255) for shift in (24, 16, 8, 0))
    (rule,) = read_allow_list([f"{text}/{length}"], "allow").rules
    assert rule.holds(0xFFFF << 32 | source) == (base >> (32 - length) == source >> (32 - length))
