"""A pattern: services that are tried together, and the sources that do so."""

from __future__ import annotations

from dataclasses import dataclass

LISTED_SERVICES = 256
LISTED_MEMBERS = 256


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row of C with an id that lives across the windows of one sensor.

    Raises ValueError if weights are not positive or not in descending order.
    """

    id: str
    sensor: str
    name: str
    """The pattern in words, such as ``tcp/23 + tcp/2323``."""
    services: tuple[tuple[str, float], ...]
    """The heaviest services and their share of its weight, heaviest first; at most `LISTED_SERVICES`."""
    service_count: int
    members: tuple[tuple[str, float], ...]
    """Sources that followed it in its latest window and the share of each source's row that it explains,
    largest first; at most `LISTED_MEMBERS`."""
    member_count: int
    first_seen: int
    """Start of the first window in which it was found, ns since the epoch."""
    last_seen: int
    """End of the latest window in which it was found, ns since the epoch."""
    windows: int
    """Number of windows in which it was found."""

    def __post_init__(self) -> None:
        for field, rows in (("services", self.services), ("members", self.members)):
            weights = [weight for _, weight in rows]
            if any(not weight > 0 for weight in weights):
                raise ValueError(f"{field}: weights must be positive")
            if weights != sorted(weights, reverse=True):
                raise ValueError(f"{field}: must be sorted by descending weight")
        if not self.services:
            raise ValueError("services: a pattern has at least one")
