from __future__ import annotations

import numpy as np
import pytest

from service.capture.services import (
    ARP_REQUEST,
    ECHO,
    Means,
    Protocol,
    format_service,
    means,
    parse_service,
    service_code,
)
from service.windows.kernels.sorting import means_of

NAMED = {
    "tcp/0": service_code(Protocol.TCP, 0),
    "tcp/65535": service_code(Protocol.TCP, 65535),
    "udp/53": service_code(Protocol.UDP, 53),
    "sctp/36412": service_code(Protocol.SCTP, 36412),
    "ip/0": service_code(Protocol.IP, 0),
    "ip/255": service_code(Protocol.IP, 255),
    "icmp/echo": service_code(Protocol.ICMP, ECHO),
    "icmp/timestamp": service_code(Protocol.ICMP, 13),
    "icmp/information": service_code(Protocol.ICMP, 15),
    "icmp/address-mask": service_code(Protocol.ICMP, 17),
    "icmp6/echo": service_code(Protocol.ICMP6, ECHO),
    "arp/request": ARP_REQUEST,
}


@pytest.mark.parametrize(("text", "code"), NAMED.items())
def test_names_and_numbers_agree(text: str, code: int) -> None:
    assert parse_service(text) == code
    assert format_service(code) == text


def test_every_port_has_a_number_of_its_own() -> None:
    codes = {service_code(protocol, port) for protocol in Protocol for port in (0, 1, 65535)}
    assert len(codes) == 3 * len(Protocol)
    assert max(codes) < 1 << 24  # what a key of a window's table has room for


@pytest.mark.parametrize(
    "text",
    ["", "tcp", "tcp/", "tcp/65536", "tcp/-1", "tcp/+1", "tcp/1.0", "tcp/²", "tcp/000080", "TCP/80", "dccp/80",
     "ip/256", "ip/47 ", "sctp/65536",
     "icmp/99", "arp/reply", "tcp/80/", " tcp/80", "tcp/0x50"],
)  # fmt: skip
def test_unknown_services_are_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown service .*write tcp/PORT, udp/PORT or sctp/PORT"):
        parse_service(text)


def test_means_join_the_protocols_that_are_judged_together() -> None:
    codes = np.array([service_code(protocol, 65535) for protocol in Protocol], dtype=np.int32)
    ports, icmp = Means.PORTS, Means.ICMP
    assert means(codes).tolist() == [ports, ports, icmp, icmp, Means.ARP, ports, ports]
    assert [means_of(int(code)) for code in codes] == means(codes).tolist()
