"""How the loops over packets are compiled.

numba's cache notices changes of the file that holds a function, not of compiled functions and constants in other
files. So a kernel file that takes some from others names, in `BUILT_ON`, a digest of what it was built on: whoever
changes the one has to change the other too, as a test demands. `service.capture.kernels.hashing` never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

from service.loaded import hold_no_modules

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

hold_no_modules()


def compiled(function: F) -> F:
    """Compile a function at its first call, once for this machine, without holding the interpreter's lock.

    Where nothing can be written, not even below ``NUMBA_CACHE_DIR``, it is compiled once for each process.
    """
    try:
        return cast("F", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba found no place for its cache
        return cast("F", numba.njit(nogil=True)(function))
