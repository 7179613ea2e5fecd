"""Which tool a source scans with, where its packets show it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.windows.counts import WindowCounts

LEAST_PAIRS = 5
LEAST_SHARE = 0.1
"""Of what might carry a mark, at least so much has to. Together these leave less than 10⁻¹⁷ to chance for a source
of a window, however many pairs it has (`Tool.chance`). The rest may be other software on the same host, or other
hosts behind the same address."""


class ToolName(StrEnum):
    """Tools that leave marks; see `service.capture.kernels.tools`."""

    ZMAP = "zmap"
    MASSCAN = "masscan"
    MIRAI = "mirai"
    NMAP = "nmap"
    UNICORNSCAN = "unicornscan"


_SIGNS = {
    ToolName.ZMAP: "carry zmap's IP identification 54321",
    ToolName.MASSCAN: "carry the IP identification that masscan makes of target, port and sequence number",
    ToolName.MIRAI: "have the target's address as sequence number, as Mirai's probes do",
    ToolName.NMAP: "have the window and options of nmap's raw probes, and one mask in their sequence numbers",
    ToolName.UNICORNSCAN: "have the sequence number that unicornscan makes of one key, target and ports",
}
_BITS = {
    # How many bits of a header agree: one in 2 to that power of other packets has them by chance.
    ToolName.ZMAP: 16,
    ToolName.MASSCAN: 16,
    ToolName.MIRAI: 32,
    ToolName.NMAP: 16,
    ToolName.UNICORNSCAN: 32,
}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, and what speaks for it.

    Raises ValueError unless 0 < `pairs` ≤ `of`.
    """

    name: ToolName
    pairs: int
    """Pairs of target and service all attempts at which carry its mark."""
    of: int
    """Pairs that might carry it: those of TCP, and for zmap of UDP and ICMP too."""

    def __post_init__(self) -> None:
        if not 0 < self.pairs <= self.of:
            raise ValueError(f"pairs: {self.pairs} does not lie between 1 and {self.of}")

    @property
    def share(self) -> float:
        """The share of the pairs that carry the mark."""
        return self.pairs / self.of

    @property
    def chance(self) -> float:
        """The probability, at most, that as many of the pairs carry the mark if headers are random.

        By the union bound: n over k, times p to the power of k.
        """
        n, k = self.of, self.pairs
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        return math.exp(min(0.0, ways - k * _BITS[self.name] * math.log(2)))

    @property
    def evidence(self) -> str:
        """The same in words."""
        return (
            f"{self.pairs} of {self.of} pairs of target and service {_SIGNS[self.name]}; "
            f"by chance one in {1 << _BITS[self.name]} does."
        )


def tool_of(window: WindowCounts, source: int) -> Tool | None:
    """Return the tool that most packets of a source (its index in the window) show, or None if they show none."""
    counts = window.tools
    tcp, others = int(counts.tcp[source]), int(counts.others[source])
    found = [
        Tool(name, pairs, tcp + others * (name is ToolName.ZMAP))
        for name in ToolName
        if (pairs := int(getattr(counts, name.value)[source])) >= LEAST_PAIRS
    ]
    return max((tool for tool in found if tool.share >= LEAST_SHARE), key=lambda tool: tool.pairs, default=None)


def joined(before: Tool | None, after: Tool | None) -> Tool | None:
    """Return what two windows without common attempts show of a scan's tool; where they differ, the larger part."""
    if before is None or after is None:
        return before or after
    if before.name is after.name:
        return Tool(before.name, before.pairs + after.pairs, before.of + after.of)
    return max(before, after, key=lambda tool: tool.pairs)
