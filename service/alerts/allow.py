"""What may be done: it is counted and kept as everything else, and marked instead of told.

An allow-list names sources and services; beside it, a person judges patterns benign or muted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from service.alerts.judged import JudgedPatterns
from service.capture.services import Protocol, parse_service
from service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from service.alerts.alert import Alert
    from service.windows.counts import WindowCounts

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
    """Rules, any of which allows what it says, and judged patterns, any of which allows what it explains."""

    rules: tuple[AllowRule, ...] = ()
    judged: JudgedPatterns = field(default_factory=JudgedPatterns)

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

    def covering_rows(self, window: WindowCounts, mine: NDArray[np.intp]) -> str | None:
        """Return what allows some rows of a window to their sources: rules for all of them, or else a pattern."""
        return self._rules_of(window, mine) or self.judged.explaining(
            window.rows.service[mine], window.rows.targets[mine]
        )

    def both(self, before: Alert, services: Sequence[str], count: int, found: str | None) -> str | None:
        """Return what allows an alert that goes on with `count` services, or None if a part of it is not allowed.

        `services` names the first of them, and `found` is what allows them by themselves. A pattern explains a
        part of what it holds where the whole looks like it, whichever of the two came first.
        """
        mine = before.allowed_by
        if found is None and mine is not None:
            held = self.judged.holding(services, count)
            found = next((words for words in held if words in mine.split(", ")), None)
        elif mine is None and found is not None:
            held = self.judged.holding(before.services, before.evidence.services.count)
            mine = found if found in held else None
        if mine is None or found is None:
            return None
        return ", ".join(dict.fromkeys((*mine.split(", "), *found.split(", "))))

    def _rules_of(self, window: WindowCounts, mine: NDArray[np.intp]) -> str | None:
        if not self.rules:
            return None
        services: dict[int, list[int]] = {}
        for source, service in zip(
            window.rows.source[mine].tolist(), window.rows.service[mine].tolist(), strict=True
        ):
            services.setdefault(source, []).append(service)
        used: dict[str, None] = {}
        for source, theirs in services.items():
            high, low = window.sources[source].tolist()
            rules = self.covering(high, low, theirs)
            if rules is None:
                return None
            used.update(dict.fromkeys(rules.split(", ")))
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
