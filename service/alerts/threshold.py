"""From which evidence on a source is named."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Counts of distinct targets and services in a window that honest traffic was not seen to reach.

    Raises ValueError if one is not positive.
    """

    services: int = 10
    """Unanswered services on one target, for a source that few answer, ..."""
    services_answered: int = 15
    """... and for one that more than `answered_share` of its pairs answer."""
    answered_share: float = 0.2
    targets: int = 10
    """Unanswered targets of one TCP or UDP service, if each was tried about once or the window is long, ..."""
    targets_retried: int = 20
    """... and if not: a device that has lost its servers tries each a few times before it says so."""
    targets_lost: int = 100
    """Unanswered targets of one service however often they were tried, if hardly any other answered: whoever lost
    its servers has not lost so many."""
    lost_share: float = 0.9
    """The least share of a service's targets that must be unanswered for that."""
    tries: float = 1.5
    """Attempts a target of a service up to which its targets were tried about once each."""
    long: int = 600 * 1_000_000_000
    """The length of a window, ns, in which whoever retries was seen to do so."""
    target_share: float = 0.5
    """The least share of a service's targets that must be unanswered for that."""
    known_share: float = 0.2
    """The share of a service's targets that answer from which on a source knew whom it tried, if they lie in
    networks all over the Internet: who guesses there finds next to nobody."""
    networks: float = 0.5
    """The least share of a source's targets that lie in networks of their own for that."""
    concentration: float = 0.5
    """The least share of a source's unanswered pairs that swept services must hold: peers of a P2P network fail
    on many services, a few each."""
    grid_services: int = 10
    """Services that each fail on `grid_targets`, if as many fail on one of them, however many others answer."""
    grid_targets: int = 5
    grid_fill: float = 0.5
    """The least share of these services' grid that must be unanswered: behind an address that many share a few
    services fail often, and others now and then."""
    dark: int = 5
    """Dark targets of one service."""
    pinged: int = 10
    """Targets of an ICMP request, answered or not: known by few tries each, not by failure."""
    monitored: float = 0.9
    """The share of pinged targets that answer from which on it takes a long window to tell a sweep from
    monitoring, which asks the same targets again."""
    asked: int = 10
    """Unanswered targets of ARP requests in a minute."""
    block: int = 10
    """Services and targets from which on a scan of both is a block."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} is not positive")
