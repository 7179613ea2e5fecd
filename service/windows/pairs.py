"""The attempts of an open window, by (source, target, service)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.capture.batch import AttemptBatch
from service.windows import kernels

_SMALLEST = 1 << 10


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Distinct (source, target, service) of a window; all columns of length p, in no order."""

    source: NDArray[np.uint32]
    target: NDArray[np.uint32]
    service: NDArray[np.int32]
    tries: NDArray[np.int64]
    answered: NDArray[np.bool_]
    expired: NDArray[np.bool_]
    """The packet's time to live ran out on the way."""
    first: NDArray[np.int64]
    last: NDArray[np.int64]


class PairTable:
    """Counts exactly up to `most` pairs; attempts of more pairs are counted as shed.

    It takes at most ``64 · most`` bytes if `most` is a power of two, less than twice that if not, and 32 KiB at
    least.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"most: {most} is not positive")
        self._most = most
        self._table = np.zeros((_SMALLEST, 4), dtype=np.int64)
        self._used = 0
        self.shed = 0
        """Attempts that were not counted because the table was full."""

    def add(self, attempts: AttemptBatch) -> None:
        """Count attempts and their outcomes."""
        at = 0
        while at < len(attempts):
            at, self._used, shed, _ = kernels.count(
                at,
                attempts.time,
                attempts.source,
                attempts.target,
                attempts.service,
                attempts.outcome,
                self._table,
                self._used,
                self._most,
            )
            self.shed += shed
            if at < len(attempts):
                larger = np.zeros((2 * len(self._table), 4), dtype=np.int64)
                kernels.move(self._table, larger)
                self._table = larger

    def pairs(self) -> Pairs:
        """Return what was counted."""
        rows = self._table[(self._table[:, kernels.COUNTS] & kernels.USED) != 0]
        ends, counts = rows[:, kernels.ENDS].view(np.uint64), rows[:, kernels.COUNTS]
        return Pairs(
            source=(ends >> np.uint64(32)).astype(np.uint32),
            target=(ends & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            service=(counts >> kernels.SERVICE_SHIFT).astype(np.int32),
            tries=(counts >> kernels.TRIES_SHIFT) & kernels.TRIES_MASK,
            answered=(counts & kernels.ANSWERED) != 0,
            expired=(counts & kernels.EXPIRED) != 0,
            first=rows[:, kernels.FIRST].copy(),
            last=rows[:, kernels.LAST].copy(),
        )
