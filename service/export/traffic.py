"""What an alert says of its traffic, in the terms of other formats: one source, one target, one port, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.alerts.alert import Alert

_NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "sctp": 132}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What all attempts of an alert have in common; None where they differ or where it isn't known."""

    source: str | None
    target: str | None
    protocol: str | None
    """tcp, udp, sctp, icmp, icmp6, arp, or ip: others over IP."""
    port: int | None

    @property
    def number(self) -> int | None:
        """The protocol's number of IANA; ARP has none."""
        return _NUMBERS.get(self.protocol or "")


def traffic_of(alert: Alert) -> Traffic:
    """Return what all attempts of an alert have in common."""
    targets = alert.evidence.targets
    one_target = targets.count == 1 and targets.exact and len(alert.targets_sample) == 1
    names = protocols(alert)
    port = alert.services[0].partition("/")[2] if len(alert.services) == 1 else ""
    ported = names in (["tcp"], ["udp"], ["sctp"]) and alert.evidence.services.count == 1
    return Traffic(
        source=alert.sources[0] if len(alert.sources) == 1 else None,
        target=alert.targets_sample[0] if one_target else None,
        protocol=names[0] if len(names) == 1 and _all_listed(alert) else None,
        port=int(port) if ported and port else None,
    )


def protocols(alert: Alert) -> list[str]:
    """Return the protocols of the listed services, sorted."""
    return sorted({service.partition("/")[0] for service in alert.services})


def ip_version(address: str) -> int:
    """Return 4 or 6, of an address written as `service.capture.address.format_address` does."""
    return 6 if ":" in address else 4


def _all_listed(alert: Alert) -> bool:
    # The services that are not listed may be of another protocol.
    return alert.evidence.services.count <= len(alert.services)


def scan_name(alert: Alert) -> str:
    """Name the kind of scan: ``Horizontal scan``."""
    return f"{alert.kind.value.capitalize()} scan"
