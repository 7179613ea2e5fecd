"""The hash that all tables share. Never change it: see `service.compiled`."""

from __future__ import annotations

import numpy as np

from service.compiled import compiled


@compiled
def mix64(value: int) -> np.uint64:
    """Scramble 64 bits (the finaliser of SplitMix64: Steele, Lea and Flood, 2014)."""
    x = np.uint64(value)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
