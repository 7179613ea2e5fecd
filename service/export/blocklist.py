"""The sources of alerts as a list for firewalls: one address a line, sorted, each once.

Sources are as the packets name them, and a packet's source can be forged: whoever blocks by this list lets a
stranger choose whom to block, so hosts that must stay reachable belong on the allow-list. What the allow-list
permits is not listed, and neither are addresses that no host has.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from service.export.document import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.alerts.alert import Alert

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_BROADCAST = ipaddress.IPv4Address(0xFFFFFFFF)


def blocklist(alerts: Iterable[Alert], now: int, version: str) -> str:
    """Return the list; `now`, ns since the epoch, and Yocho's own version are told in its header.

    Raises ValueError if a source is no address.
    """
    told = [alert for alert in alerts if alert.allowed_by is None]
    named = {source for alert in told for source in alert.sources}
    hosts = filter(_is_host, map(ipaddress.ip_address, named))
    addresses = sorted(hosts, key=lambda host: (host.version, int(host)))
    lines = [
        f"# Yocho {' '.join(version.split())}: sources of scans that nobody allowed",
        f"# {format_time(now)}",
        f"# alerts: {len(told)}, addresses: {len(addresses)}",
        *map(str, addresses),
    ]
    return "\n".join(lines) + "\n"


def _is_host(address: Address) -> bool:
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address == _BROADCAST)
