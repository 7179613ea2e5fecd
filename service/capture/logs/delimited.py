"""Lines cut into cells."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.capture.logs.lines import Lines
    from service.capture.logs.tally import LineTally


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of some lines under a header."""

    lines: Lines
    rows: Sequence[Sequence[str]]
    """The cells of each line, at least as many as the header has."""
    header: Mapping[str, int]
    """Where the cell of each name stands."""

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """Return the cells under a name, all empty if there is none."""
        at = self.header.get(name)
        return [""] * len(self.rows) if at is None else [row[at] for row in self.rows]

    def clean(self, name: str) -> list[str]:
        """Return the cells under a name without the spaces around them."""
        return [cell.strip() for cell in self.column(name)]

    def has(self, name: str) -> bool:
        """Tell whether the header names such a column."""
        return name in self.header


def cut(line: str, separator: str) -> list[str] | None:
    """Return the cells of a line, or None if its quotes make no sense."""
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), None)
    except csv.Error:
        return None


def cut_all(lines: Lines, separator: str, header: Mapping[str, int], width: int, tally: LineTally) -> Cells:
    """Cut lines into cells; those with fewer than `width` are counted as bad.

    Lines are cut one by one: a quote that is not closed costs its own line alone.
    """
    rows = [cut(line, separator) for line in lines.texts]
    kept = [index for index, row in enumerate(rows) if row is not None and len(row) >= width]
    if len(kept) < len(rows):
        left_out = np.ones(len(rows), dtype=np.bool_)
        left_out[kept] = False
        tally.bad("too few columns, or a quote without its end", lines.numbers[left_out])
        lines = lines.pick(kept)
    return Cells(lines, [row for row in rows if row is not None and len(row) >= width], header)


def positions(names: Sequence[str]) -> dict[str, int]:
    """Return where each name of a header stands; of equal names the first counts."""
    found: dict[str, int] = {}
    for at, name in enumerate(names):
        found.setdefault(name, at)
    return found
