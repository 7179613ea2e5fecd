"""What an exporter sent and we did not get, told from its sequence numbers."""

from __future__ import annotations

_ALL = 1 << 32
_REORDERED = 1 << 12
"""A message so many units behind is late or doubled, not from before a restart."""
_LARGEST_GAP = 1 << 24
"""A larger step ahead is a restart with another number, not a loss."""


class Sequence:
    """Follows the sequence numbers of one observation domain, modulo 2^32.

    Units are flows in v5, datagrams in v9 and data records in IPFIX. RFC 7011 (3.1) has a message tell how many
    records came before it, those of options data too. Some exporters count those of the message itself in, or
    leave options data out: no loss is told where any of these ways to count explains the step.
    """

    def __init__(self) -> None:
        self.missing = 0
        """Units that never came, net of those that came late."""
        self.restarts = 0
        self._latest: int | None = None
        self._units = self._options = 0

    def forget(self) -> None:
        """Take the next number as it is: how many units came is not known."""
        self._latest = None

    def restart(self) -> None:
        """Note that the exporter began anew."""
        self.restarts += 1
        self._latest = None

    def take(self, number: int, units: int, options: int | None = None) -> None:
        """Note a message of so many units, `options` of them options data; None if they are no records."""
        if self._latest is not None:
            step = (number - self._latest) % _ALL
            ahead = (step - self._units) % _ALL
            own_ways = () if options is None else (self._units - self._options, units, units - options)
            if step in own_ways:
                ahead = 0
            if ahead >= _ALL - _REORDERED and number:
                self.missing = max(self.missing - units, 0)
                return
            if ahead > _LARGEST_GAP:
                self.restarts += 1
            else:
                self.missing += ahead
        self._latest, self._units, self._options = number, units, options or 0
