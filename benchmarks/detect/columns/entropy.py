"""The entropy of services in a window, beside that of windows before it: an alarm that names nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.windows.counts import WindowCounts


def entropy(window: WindowCounts) -> float:
    """Return the entropy of the services that sources try, bits; every source counts once for each of them."""
    _, counts = np.unique(window.rows.service, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def unusual(value: float, before: Sequence[float]) -> float:
    """Return by how many standard deviations a value differs from those before it; 0 while there are few."""
    if len(before) < 10:
        return 0.0
    return abs(value - float(np.mean(before))) / max(float(np.std(before)), 1e-9)
