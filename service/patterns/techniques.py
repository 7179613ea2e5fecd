"""MITRE ATT&CK techniques that the counts of a window give evidence for.

What is tried alone proves little, so each id asks for more than the names of services:

- T1046 Network Service Discovery and T1595.001 Active Scanning: Scanning IP Blocks tell the shapes apart, as
  `service.alerts.alert` does: many services for each target, or few services on several targets. Neither is
  named where most targets answered: that is use, not search.
- T1110 Brute Force: many tries of a login service for each target that answered. A scanner tries once or twice.
- T1595.002 Active Scanning: Vulnerability Scanning is never named. The technique is to check a host's software
  and configuration for known weaknesses, and counts of ports can't tell that from a look whether anybody answers.

Definitions: https://attack.mitre.org/techniques/T1046/, T1595/001/, T1595/002/ and T1110/.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.patterns.words import LOGINS

DISCOVERY = "T1046"
SWEEP = "T1595.001"
GUESSING = "T1110"

_MANY_SERVICES = 10
"""As a vertical scan has at least."""
_SEVERAL_TARGETS = 3.0
_MOSTLY = 0.5
_GUESSES = 10.0
"""Tries of each target that answered; a client that tries anew makes about 8 (`service.windows.counts`)."""
_LOGIN_WEIGHT = 0.8


@dataclass(frozen=True, slots=True)
class Traces:
    """What members of a pattern did with its services in one window; averages over members."""

    attempts: float
    targets: float
    """Distinct targets of a service."""
    services: float
    """Distinct services of a member."""
    answered: float
    """The share of the targets that took part."""
    tries_of_answering: float
    """Attempts for each target, of the member's services of which most targets answered; 0 if there are none."""


def techniques(services: tuple[tuple[str, float], ...], traces: Traces) -> tuple[str, ...]:
    """Return the ids, sorted, of a pattern with these services and shares whose members left these traces."""
    found = []
    logins = sum(share for service, share in services if service in LOGINS)
    if logins >= _LOGIN_WEIGHT and traces.tries_of_answering >= _GUESSES:
        found.append(GUESSING)
    if traces.answered < _MOSTLY:
        if traces.services >= _MANY_SERVICES:
            found.append(DISCOVERY)
        if traces.targets >= _SEVERAL_TARGETS:
            found.append(SWEEP)
    return tuple(sorted(found))
