"""How kernels are compiled.

numba's cache notices a change of the file that holds a function, not of files whose compiled functions it
calls. So a file that calls kernels of another names, in `BUILT_ON`, a digest of what it was built on: whoever
changes the one has to change the other too, as a test demands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` at its first call for each dtype; the machine code is cached beside the source."""
    # Multiplications and additions may fuse and the sign of zero may be lost; NaN and infinity are kept.
    return _compiled(function, {"contract", "nsz"})


def reduction(function: F) -> F:
    """Compile `function` like `compiled`, free to add up in any order, as a vectorised sum must."""
    return _compiled(function, {"contract", "nsz", "reassoc"})


def _compiled(function: F, liberties: set[str]) -> F:
    # numpy's error model: a check for division by zero would keep the loop from being vectorised.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": liberties}
    try:
        return cast("F", numba.njit(cache=True, **options)(function))
    except RuntimeError:  # numba found no place for its cache: compile once for each process
        return cast("F", numba.njit(**options)(function))
