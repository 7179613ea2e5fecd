"""What a log's lines came to: good, bad by reason, or of no interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.source import BadLines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_MOST = 64
"""Most reasons that are told apart: some are words of the log itself."""
_LONGEST = 40


class LineTally:
    """Counts the lines of a log; nothing is lost silently."""

    def __init__(self) -> None:
        self.good = 0
        """Lines that are records, followed or not."""
        self.skipped: dict[str, int] = {}
        """Good lines that are not followed, by reason."""
        self._bad: dict[str, list[int]] = {}

    def bad(self, reason: str, numbers: NDArray[np.int64]) -> None:
        """Count lines, shape (n,), that make no sense."""
        if len(numbers):
            found = self._bad.setdefault(reason, [0, int(numbers.min())])
            found[0] += len(numbers)
            found[1] = min(found[1], int(numbers.min()))

    def skip(self, reasons: Iterable[str]) -> None:
        """Count good lines that are not followed, by the reason of each."""
        for reason in reasons:
            name = "".join(sign if sign.isprintable() else "?" for sign in reason[:_LONGEST])
            if name not in self.skipped and len(self.skipped) >= _MOST:
                name = "other"
            self.skipped[name] = self.skipped.get(name, 0) + 1

    def bad_lines(self, file: str) -> tuple[BadLines, ...]:
        """Return the lines that make no sense, the first ones first."""
        found = [BadLines(file, reason, count, first) for reason, (count, first) in self._bad.items()]
        return tuple(sorted(found, key=lambda lines: lines.first))
