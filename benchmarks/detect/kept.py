"""What trials found so far, one test day a line, so that a run that was cut off goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.core.results import ResultError
from benchmarks.detect.trials import Outcome

if TYPE_CHECKING:
    from pathlib import Path

Found = list[tuple[int, dict[str, Outcome]]]
"""(cell, column → outcome), one for each trial."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of lines of JSON, or none."""

    path: Path | None

    def read(self, made_by: dict[str, Any]) -> dict[int, Found]:
        """Return what the test days that are done found, by their number; `made_by` tells what is run.

        Begins the file if there is none. A last line that was cut off is left out. Raises ResultError if another
        run has written the file.
        """
        if self.path is None:
            return {}
        mark = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
        if not self.path.exists():
            self.path.write_text(json.dumps({"made_by": mark}) + "\n")
            return {}
        # Without the last line: it is empty, or a run was cut off as it wrote it.
        first, *lines = self.path.read_text().split("\n")[:-1] or [""]
        if mark not in first:
            raise ResultError(
                f"{self.path}: was written by a run of something else; delete it, or name another file"
            )
        self.path.write_text("".join(f"{line}\n" for line in (first, *lines)))
        return {int(line["at"]): _outcomes(line["found"]) for line in map(json.loads, lines)}

    def add(self, at: int, found: Found) -> None:
        """Append what a test day found."""
        if self.path is None:
            return
        rows = [(number, {name: asdict(each) for name, each in by.items()}) for number, by in found]
        with self.path.open("a") as file:
            file.write(json.dumps({"at": at, "found": rows}) + "\n")


def _outcomes(rows: list[tuple[int, dict[str, dict[str, Any]]]]) -> Found:
    return [(number, {name: Outcome(**each) for name, each in by.items()}) for number, by in rows]
