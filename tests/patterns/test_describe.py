from __future__ import annotations

import pytest

from service.capture.services import parse_service
from service.patterns.describe import pattern_name
from service.patterns.words import LOGINS, WORDS


@pytest.mark.parametrize(
    ("services", "count", "name"),
    [
        ((("tcp/23", 1.0),), 1, "telnet tcp/23"),
        ((("tcp/6666", 1.0),), 1, "tcp/6666"),
        ((("tcp/23", 0.81), ("tcp/2323", 0.19)), 2, "telnet pair 23/2323"),
        ((("tcp/23", 0.5), ("tcp/2323", 0.31), *((f"tcp/{p}", 0.03) for p in range(9000, 9006))), 8,
         "telnet pair 23/2323, 82% of weight"),
        ((("tcp/80", 0.4), ("tcp/443", 0.3), ("tcp/8080", 0.3)), 3, "web 80/443/8080"),
        ((("tcp/53", 0.5), ("udp/53", 0.5)), 2, "DNS pair tcp/53 udp/53"),
        ((("tcp/1433", 0.6), ("tcp/3306", 0.4)), 2, "SQL Server tcp/1433 60% + MySQL tcp/3306 40%"),
        ((("tcp/7001", 0.6), ("tcp/7002", 0.4)), 2, "tcp/7001 60% + tcp/7002 40%"),
        (tuple((f"tcp/{p}", 0.01) for p in range(1, 101)), 100, "100 tcp services between 1 and 100"),
        (tuple((f"tcp/{p}", 0.01) for p in range(1, 101)), 1000, "1000 tcp services"),
    ],
)  # fmt: skip
def test_a_name_says_what_it_is(services: tuple[tuple[str, float], ...], count: int, name: str) -> None:
    assert pattern_name(services, count) == name


def test_every_word_stands_for_services_that_exist() -> None:
    assert [service for service in WORDS if parse_service(service) < 0] == []
    assert set(WORDS) >= LOGINS
    assert {"tcp/22", "tcp/23", "tcp/3389"} <= LOGINS
