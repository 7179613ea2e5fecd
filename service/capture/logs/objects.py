"""Lines that are JSON objects; every number stays the text that it was written as."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.capture.logs.lines import Lines
    from service.capture.logs.tally import LineTally


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


# Faster parsers exist, but they turn decimals into floats, which have no room for the nanoseconds of today.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_number)


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects of some lines."""

    lines: Lines
    rows: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """Return the values under a name as text: empty where there is none, or it is neither text nor number."""
        return [_text(row.get(name)) for row in self.rows]

    def inner(self, outer: str) -> Objects:
        """Return the objects under a name, empty ones where there are none."""
        found = (row.get(outer) for row in self.rows)
        return Objects(self.lines, [value if isinstance(value, dict) else {} for value in found])

    def pick(self, which: Sequence[int]) -> Objects:
        """Return some of the objects."""
        return Objects(self.lines.pick(which), [self.rows[index] for index in which])


def read_objects(lines: Lines, tally: LineTally) -> Objects:
    """Parse lines; those that are no JSON object are counted as bad."""
    rows = [_parse(text) for text in lines.texts]
    kept = [index for index, row in enumerate(rows) if row is not None]
    if len(kept) < len(rows):
        wrong = np.ones(len(rows), dtype=np.bool_)
        wrong[kept] = False
        tally.bad("no JSON object", lines.numbers[wrong])
        lines = lines.pick(kept)
    return Objects(lines, [row for row in rows if row is not None])


def _parse(text: str) -> dict[str, Any] | None:
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError):  # the latter: thousands of brackets
        return None
    return found if isinstance(found, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
