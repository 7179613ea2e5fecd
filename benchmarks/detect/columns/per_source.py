"""One source at a time: the counts that Zeek's users have, and threshold random walk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.windows.counts import WindowCounts

    Floats = NDArray[np.float64]

ZEEK_HOSTS, ZEEK_SERVICES = 25.0, 15.0
"""Unanswered targets of one service, and services of one target: the defaults of Zeek's scan policy."""

_SUCCESS_HONEST, _SUCCESS_SCANNER = 0.8, 0.2
"""Chances of a first contact to be answered: Jung et al. 2004, section 5."""


def zeek(window: WindowCounts) -> Floats:
    """Return for each source how far it is on the way to a threshold; 1 is there."""
    rows, totals = window.rows, window.totals
    hosts = np.zeros(len(window.sources))
    np.maximum.at(hosts, rows.source, rows.targets - rows.answered)
    return np.maximum(hosts / ZEEK_HOSTS, totals.most_unanswered / ZEEK_SERVICES)


def random_walk(window: WindowCounts) -> Floats:
    """Return for each source log₁₀ of the likelihood ratio of its first contacts (Jung et al. 2004, eq. 3).

    Each target counts once, as answered if one of its services did.
    """
    rows = window.rows
    n = len(window.sources)
    answered = np.minimum(np.bincount(rows.source, rows.answered, minlength=n), window.totals.targets)
    missed = window.totals.targets - answered
    up = math.log10((1 - _SUCCESS_SCANNER) / (1 - _SUCCESS_HONEST))
    down = math.log10(_SUCCESS_SCANNER / _SUCCESS_HONEST)
    return np.asarray(missed * up + answered * down)
