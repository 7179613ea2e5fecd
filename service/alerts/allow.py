"""Sources that may scan: what they do is counted and kept as everybody's, and marked instead of told."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from service.capture.services import Protocol, parse_service
from service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

_V4 = 0xFFFF << 32


@dataclass(frozen=True, slots=True)
class AllowRule:
    """A network, some services, or some services of a network."""

    text: str
    """As it was written."""
    network: tuple[int, int] | None
    """First and last address as numbers of 128 bits, IPv4 mapped as in RFC 4291; None: all sources."""
    services: tuple[int, int] | None
    """First and last number of its services; None: all."""

    def holds(self, source: int) -> bool:
        """Tell whether it is about a source, an address as a number of 128 bits."""
        return self.network is None or self.network[0] <= source <= self.network[1]

    def allows(self, service: int) -> bool:
        """Tell whether it allows a service to its sources."""
        return self.services is None or self.services[0] <= service <= self.services[1]


@dataclass(frozen=True, slots=True)
class AllowList:
    """Rules, any of which allows what it says."""

    rules: tuple[AllowRule, ...] = ()

    def covering(self, high: int, low: int, services: Iterable[int]) -> str | None:
        """Return the rules that together allow a source all of these services, or None if they don't.

        The source is given as the two words of its address.
        """
        mine = [rule for rule in self.rules if rule.holds(high << 64 | low)]
        if not mine:
            return None
        used: dict[str, None] = {}
        for service in services:
            rule = next((rule for rule in mine if rule.allows(service)), None)
            if rule is None:
                return None
            used[rule.text] = None
        return ", ".join(used) or None


def read_allow_list(lines: Iterable[str], name: str) -> AllowList:
    """Return the list of a file called `name`, a rule a line; what follows a # is a comment.

    A rule is an address or network, a service, or both: ``192.0.2.7``, ``10.0.0.0/8 tcp/443``,
    ``2001:db8::/32 tcp/9000-9100``, ``udp/161``. Raises SettingsError naming the line.
    """
    rules = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            try:
                rules.append(_rule(words))
            except ValueError as error:
                raise SettingsError(
                    f"{name}: line {number}: {error}; write a network, a service, or both, such as "
                    "10.0.0.0/8 tcp/443 or 192.0.2.7"
                ) from None
    return AllowList(tuple(rules))


def _rule(words: list[str]) -> AllowRule:
    network = services = None
    for word in words:
        if word.partition("/")[0] in {protocol.name.lower() for protocol in Protocol}:
            if services is not None:
                raise ValueError("has two services")
            services = _services(word)
        elif network is not None:
            raise ValueError("has two networks")
        else:
            network = _span(ip_network(word, strict=False))
    return AllowRule(" ".join(words), network, services)


def _span(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    first, last = int(network.network_address), int(network.broadcast_address)
    return (_V4 | first, _V4 | last) if network.version == 4 else (first, last)


def _services(word: str) -> tuple[int, int]:
    first, dash, last = word.partition("-")
    code = parse_service(first)
    end = parse_service(f"{first.partition('/')[0]}/{last}") if dash else code
    if end < code:
        raise ValueError(f"{word!r} ends before it begins")
    return code, end
