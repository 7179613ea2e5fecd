"""Each hard case, the whole way from bytes to alerts, in windows of a minute, of ten, of an hour, and all of those.

- Decoys do what the scanner does, packet by packet: all of them are named, and nothing could tell who is real.
- Of an idle scan the zombie is named, and of an FTP bounce the server: theirs are the addresses that probe.
- Of a flood from forged sources nobody is named.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import TYPE_CHECKING

import pytest

from service.pipeline import PipelineSpec
from service.scan import scan_captures
from service.store.memory import MemoryStore
from service.windows.assign import WindowSpec
from service.windows.scales import usual_scales
from tests.hard_cases import clients, network, scans, services
from tests.packets import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from tests.hard_cases.scene import Truth

CASES: dict[str, Callable[[], Truth]] = {
    case.__name__: case
    for case in (
        clients.resolver,
        clients.mail_server,
        clients.p2p,
        clients.coins,
        clients.browser,
        clients.browser_without_quic,
        clients.nat_gateway,
        clients.ntp_pool,
        clients.lost_directory,
        clients.two_families,
        clients.unused_connections,
        clients.broken_ipv6,
        clients.bubbles,
        services.monitoring,
        services.monitoring_with_single_pings,
        services.monitoring_that_only_connects,
        services.configuration,
        services.calls_seen_from_one_side,
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
        scans.empty_udp_from_53_to_high_ports,
        scans.tiny_fragments,
        scans.grid_of_few,
        scans.everything_answers,
        scans.web_servers_that_all_answer,
        scans.connections_that_all_succeed,
        scans.sctp_scans,
        scans.protocol_scan,
        scans.guesses_all_over_the_internet,
        scans.ipv6_sweeps,
        scans.arp_sweep,
    )
}


MODES = {
    "minute": WindowSpec(60 * SECOND),
    "ten minutes": WindowSpec(600 * SECOND),
    "hour": WindowSpec(3600 * SECOND),
    "all": WindowSpec(60 * SECOND, scales=usual_scales(60 * SECOND)),
}
"""Windows of one length alone, and those that are usual, together."""

UNSOLVED = {
    "connections_that_all_succeed": (
        "a monitor does the same, but comes again: that has to be waited for",
        {"minute", "ten minutes", "hour"},
    ),
    "router_of_a_scan": ("nothing in the counts says for whom a router asks", set(MODES)),
    "udp_from_53_to_high_ports": (
        "a datagram from a service to a client's port is taken for an answer, if it holds anything",
        set(MODES),
    ),
}
"""What goes wrong, why, and where: each of these tests fails, and complains when it no longer does."""


def cells() -> Iterator[ParameterSet]:
    for case in CASES:
        why, where = UNSOLVED.get(case, ("", set()))
        for mode in MODES:
            marks = [pytest.mark.xfail(strict=True, reason=why)] if mode in where else []
            yield pytest.param(case, mode, id=f"{case}-{mode}", marks=marks)


@cache
def recorded(case: str) -> tuple[bytes, dict[str, frozenset[str]]]:
    """Return the capture of a case, and who scans in it."""
    truth = CASES[case]()
    return zlib.compress(truth.scene.capture(), 1), truth.scanners


@pytest.mark.parametrize(("case", "mode"), list(cells()))
def test_who_scans_is_named_and_nobody_else(case: str, mode: str, tmp_path: Path) -> None:
    packed, scanners = recorded(case)
    path = tmp_path / f"{case}.pcap"
    path.write_bytes(zlib.decompress(packed))
    report = scan_captures([path], "lab", PipelineSpec(windows=MODES[mode]), MemoryStore())
    known = {"icmp6_type/135", "later_fragment"}
    known |= {f"ip_protocol/{number}" for number in (50, 51, 59, 89, 103, 112, 115)}
    assert report.summary.unparsed.keys() <= known
    named: dict[str, set[str]] = {}
    for alert in report.alerts:
        named.setdefault(alert.sources[0], set()).add(alert.kind.value)
    assert named.keys() == scanners.keys(), [alert.reason for alert in report.alerts][:5]
    for source, kinds in scanners.items():
        assert named[source] <= kinds, source


def test_what_is_unsolved_is_a_case() -> None:
    assert UNSOLVED.keys() <= CASES.keys()
