"""Threads within one factorisation: parts of a step side by side, with the same result.

A large X is worked on in a number of parts that depends on its size alone, and what the parts add up is summed in
their order. So it does not matter how many threads take them, and one takes them all by default.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

SPARSE = ((1 << 20, 2), (1 << 22, 4))
"""Rows and entries of a sparse X, and the parts from there on: each keeps C and sums of its own."""
DENSE = ((1 << 20, 4),)
"""Entries of a dense X, and the parts from there on: sums are small beside X."""


def parts_of(size: int, *, sparse: bool) -> int:
    """Return the number of parts: of a sparse X `size` is the rows and entries, of a dense one the entries."""
    parts = 1
    for least, more in SPARSE if sparse else DENSE:
        if size < least:
            break
        parts = more
    return parts


class Workers:
    """Threads that share the parts of a step, which has to let others run meanwhile, as compiled code does."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def share(self, step: Callable[..., None], parts: int, *arguments: Any) -> None:
        """Call step(*arguments, part) for each part, and wait until all are done."""
        for done in [self._pool.submit(step, *arguments, part) for part in range(parts)]:
            done.result()


def run_loop(loop: Callable[..., tuple[int, int]], arguments: tuple[Any, ...], threads: int) -> tuple[int, int]:
    """Call a compiled loop, whose last argument is its workers; with them it runs in Python, its steps compiled."""
    if threads == 1:
        return loop(*arguments, None)
    with ThreadPoolExecutor(threads) as pool, np.errstate(all="ignore"):
        plain: Callable[..., tuple[int, int]] = cast("Any", loop).py_func
        return plain(*arguments, Workers(pool))
