from __future__ import annotations

import pytest

from service.alerts.ranges import format_services
from service.capture.services import parse_service


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ([], ""),
        (["tcp/80"], "tcp/80"),
        (["tcp/443", "tcp/80", "tcp/444", "tcp/445", "tcp/80"], "tcp/80,443-445"),
        (["sctp/10", "ip/47", "ip/48", "sctp/11"], "sctp/10-11 ip/47-48"),
        (["udp/53", "tcp/22", "icmp/echo", "arp/request"], "tcp/22 udp/53 icmp/echo arp/request"),
        (["tcp/65535", "udp/0", "udp/1"], "tcp/65535 udp/0-1"),
        ([f"tcp/{port}" for port in range(1, 1001)], "tcp/1-1000"),
    ],
)
def test_runs_of_ports_are_drawn_together(services: list[str], words: str) -> None:
    assert format_services([parse_service(service) for service in services]) == words
