from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from service.alerts.alert import Alert, Distinct, Kind
from service.export.traffic import Traffic, ip_version, scan_name, traffic_of
from tests.builders import AN_ALERT, an_alert
from tests.export.strategies import alerts, some


def of(services: tuple[str, ...], count: int = 0) -> Traffic:
    evidence = replace(AN_ALERT.evidence, services=Distinct(count or len(services), exact=True, sample=()))
    return traffic_of(an_alert(services=services, evidence=evidence))


@pytest.mark.parametrize(
    ("services", "protocol", "number", "port"),
    [
        (("tcp/23",), "tcp", 6, 23),
        (("udp/0",), "udp", 17, 0),
        (("tcp/22", "tcp/23"), "tcp", 6, None),
        (("tcp/53", "udp/53"), None, None, None),
        (("sctp/36412",), "sctp", 132, 36412),
        (("ip/47",), "ip", None, None),
        (("icmp/echo",), "icmp", 1, None),
        (("icmp6/echo",), "icmp6", 58, None),
        (("icmp/37",), "icmp", 1, None),
        (("arp/request",), "arp", None, None),
    ],
)
def test_what_services_have_in_common(
    services: tuple[str, ...], protocol: str | None, number: int | None, port: int | None
) -> None:
    traffic = of(services)
    assert (traffic.protocol, traffic.number, traffic.port) == (protocol, number, port)


def test_services_that_are_not_listed_may_be_others() -> None:
    assert (of(("tcp/23",), count=2).protocol, of(("tcp/23",), count=2).port) == (None, None)


def test_a_target_is_the_only_one_where_it_is_counted_exactly() -> None:
    def target(count: int, exact: bool, sample: tuple[str, ...]) -> str | None:
        evidence = replace(AN_ALERT.evidence, targets=Distinct(count, exact=exact, sample=()))
        return traffic_of(an_alert(targets_sample=sample, evidence=evidence)).target

    assert target(1, True, ("198.51.100.1",)) == "198.51.100.1"
    assert target(1, False, ("198.51.100.1",)) is None
    assert target(2, True, ("198.51.100.1",)) is None
    assert target(1, True, ()) is None


def test_a_group_has_no_only_source() -> None:
    assert traffic_of(an_alert()).source == "192.0.2.1"
    assert traffic_of(an_alert(sources=("192.0.2.1", "192.0.2.2"))).source is None


@some
@given(alerts())
def test_a_port_never_comes_without_its_protocol(alert: Alert) -> None:
    traffic = traffic_of(alert)
    assert traffic.port is None or alert.services == (f"{traffic.protocol}/{traffic.port}",)


def test_names_and_versions() -> None:
    assert scan_name(an_alert(kind=Kind.VERTICAL)) == "Vertical scan"
    assert (ip_version("192.0.2.1"), ip_version("2001:db8::1")) == (4, 6)
