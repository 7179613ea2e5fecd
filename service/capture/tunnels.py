"""What counts of a packet that travels inside of another one."""

from __future__ import annotations

from enum import StrEnum


class Tunnels(StrEnum):
    """Which packet of a tunnel is followed."""

    INNER = "inner"
    """The packet inside."""
    OUTER = "outer"
    """The packet that carries it."""
