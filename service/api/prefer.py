"""What a client would like: ``Prefer: wait=10`` (RFC 7240)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

LONGEST_WAIT = 60
"""Seconds for which a request waits, at most."""

_WAIT = re.compile(r"""\s*wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?""", re.ASCII | re.IGNORECASE)


def preferred_wait(request: Request) -> int | None:
    """Return for how many seconds the client would wait for what it asked for, or None if it does not say.

    What is not understood is not preferred: a preference is never an error.
    """
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            if found := _WAIT.fullmatch(preference):
                return min(int(found[1]), LONGEST_WAIT)
    return None
