"""Each hard case, the whole way from bytes to alerts, at windows of a minute, ten minutes and an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.pipeline import PipelineSpec
from service.scan import scan_captures
from service.store.memory import MemoryStore
from service.windows.assign import WindowSpec
from tests.hard_cases import clients, network, scans, services
from tests.packets import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hard_cases.scene import Truth

CASES: dict[str, Callable[[], Truth]] = {
    case.__name__: case
    for case in (
        clients.resolver,
        clients.mail_server,
        clients.p2p,
        clients.browser,
        clients.browser_without_quic,
        clients.nat_gateway,
        clients.ntp_pool,
        services.monitoring,
        services.monitoring_with_single_pings,
        services.health_checks,
        services.cdn,
        services.restart,
        services.dhcp_storm,
        services.discovery,
        services.one_sided,
        network.traceroute,
        network.backscatter,
        network.syn_flood,
        network.syn_flood_of_ports,
        network.reflection,
        network.reflection_from_us,
        network.guessing,
        network.router_of_a_scan,
        scans.decoys,
        scans.idle_scan,
        scans.ftp_bounce,
        scans.random_order,
        scans.source_ports,
        scans.udp_from_53_to_high_ports,
        scans.ipv6_sweeps,
        scans.arp_sweep,
    )
}


@pytest.fixture(scope="module", params=CASES)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    truth = CASES[request.param]()
    path = tmp_path_factory.mktemp("case") / f"{request.param}.pcap"
    path.write_bytes(truth.scene.capture())
    return path, truth


@pytest.mark.parametrize("length", [60, 600, 3600])
def test_who_scans_is_named_and_nobody_else(recorded: tuple[Path, Truth], length: int) -> None:
    path, truth = recorded
    spec = PipelineSpec(windows=WindowSpec(length=length * SECOND))
    report = scan_captures([path], "lab", spec, MemoryStore())
    named: dict[str, set[str]] = {}
    for alert in report.alerts:
        named.setdefault(alert.sources[0], set()).add(alert.kind.value)
    assert named.keys() == truth.scanners.keys(), [alert.reason for alert in report.alerts][:5]
    for source, kinds in truth.scanners.items():
        assert named[source] <= kinds, source
