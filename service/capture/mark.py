"""Where a file can be read on after a restart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from service.errors import CaptureError


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two batches of a file, and what its reader has to know there.

    It belongs to one file, and outlives the process: both fields can be written down. Raises ValueError if `offset`
    is negative.
    """

    offset: int = 0
    """Of the first byte that is not read yet, in the unpacked file."""
    state: str = "{}"
    """What the reader learnt before, such as the interfaces of a pcapng section or the header of a log; JSON."""

    def __post_init__(self) -> None:
        if self.offset < 0:
            raise ValueError(f"offset: {self.offset} is negative")

    def known(self) -> dict[str, Any]:
        """Return the state; raises CaptureError if it is none."""
        try:
            found = json.loads(self.state)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise CaptureError("mark: its state is no JSON object; give one that a reader returned")
        return found


BEGINNING = Mark()
