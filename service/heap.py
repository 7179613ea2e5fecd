"""How the C library hands memory to the threads of a process."""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8
"""M_ARENA_MAX, mallopt(3)."""


def share_heap() -> None:
    """Let all threads that are started from now on share one heap.

    The GNU C library gives up to eight heaps a processor to threads, and what one has given back serves its own
    threads alone: under load, the API's grow for minutes. They have no use for them, as Python runs one thread at a
    time. Other C libraries do no such thing, and nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
