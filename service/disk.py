"""Disks that are full."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from service.errors import FullError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room on the disk, for this user, or for a file of this size."""


def is_full(error: OSError) -> bool:
    """Return whether something could not be written because there was no room for it."""
    return error.errno in _FULL


def unwritten(what: str, error: OSError) -> FullError:
    """Return what is raised where there is no room: `what` is the place."""
    return FullError(f"{what} has no room left ({error.strerror}); make room, and it goes on by itself")


def temporary_folder() -> tuple[Path, ...]:
    """Return the folder for temporary files, or none if there is none that may be written."""
    try:
        return (Path(tempfile.gettempdir()),)
    except OSError:
        return ()
