"""Event time that can be trusted: single packets with absurd times don't move the clock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.windows.kernels import clock as kernels

SECOND = 1_000_000_000
JUMP = 600 * SECOND
"""Packets further ahead than this must be followed by others there."""
LOG_JUMP = 86_400 * SECOND
"""The same for flows: logs are written as flows end, so that beginnings go back and forth by hours."""
WITNESSES = 8
"""How many packets after a jump are asked."""
END = 1 << 62
"""The largest time that is taken seriously, in the year 2116; beyond it lies rubbish."""


class SteadyClock:
    """Mends the times of the packets of one sensor, in capture order.

    A packet more than `jump` ns ahead of all before it, when one of the next `WITNESSES` packets is back where the
    clock was, gets the time of the packet before it: otherwise one packet dated years ahead would make all
    others late. A jump that the packets after it confirm is a gap in the traffic, and stands; so does one that
    more than `WITNESSES` packets in a row make.
    """

    def __init__(self, jump: int = JUMP) -> None:
        self._jump = jump
        self.mended = 0
        """Packets that were given another time."""
        self._latest = -END

    def steady(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the times, ns since the epoch, shape (n,), with the absurd ones replaced."""
        times = np.empty_like(time)
        self._latest, mended = kernels.steady(time, self._latest, self._jump, WITNESSES, END, times)
        self.mended += mended
        return times
