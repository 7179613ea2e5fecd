"""A posted window read column by column: the usual way, several times faster than model by model.

What is unusual in any way, right or wrong, is left to the models of `service.api.schemas`: they say what is wrong.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from service.api.schemas import MAX_ADDRESS_LENGTH, MAX_SERVICE_LENGTH, TotalsIn
from service.api.strict_json import parse_decimal, refuse_constant
from service.api.times import parse_time
from service.errors import InputError
from service.windows.posted import MAX_SENSOR_LENGTH, window_of_columns
from service.windows.posted_rows import PostedColumns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.windows.counts import WindowCounts

_COLUMNS = ("source", "service", "attempts", "targets", "answered")

Pairs = tuple[tuple[str, Any], ...]
"""An object: tuples of its pairs, so that a key that comes twice is seen. Arrays are lists."""


def read_usual_window(body: bytes, max_rows: int) -> WindowCounts | None:
    """Return the window of a JSON text, or None if it takes a closer look.

    Raises HTTPException 400 for numbers that `parse_json` would refuse.
    """
    try:
        document = json.loads(
            body.decode(),
            parse_float=parse_decimal,
            parse_constant=refuse_constant,
            object_pairs_hook=tuple,
        )
        given = _object(document, {"sensor", "start", "end", "rows"}, {"sources"})
        if given is None or not isinstance(given["sensor"], str) or len(given["sensor"]) > MAX_SENSOR_LENGTH:
            return None
        rows, sources = _columns(given["rows"], max_rows), given.get("sources", [])
        if rows is None or not isinstance(sources, list) or len(sources) > max_rows:
            return None
        totals = [TotalsIn.model_validate(_all_of(total)).posted() for total in sources]
        return window_of_columns(
            given["sensor"], parse_time(given["start"]), parse_time(given["end"]), rows, totals
        )
    except (ValueError, InputError, RecursionError):
        return None


def _object(value: object, needed: set[str], allowed: set[str]) -> dict[str, Any] | None:
    """Return an object that has the needed keys and no others than are allowed, each once; else None."""
    if not isinstance(value, tuple):
        return None
    found = dict(value)
    right = len(found) == len(value) and needed <= found.keys() <= needed | allowed
    return found if right else None


def _all_of(value: object) -> dict[str, Any]:
    """Return an object without objects in it; raises ValueError for anything else, or a key that comes twice."""
    found = dict(value) if isinstance(value, tuple) else {}
    if not isinstance(value, tuple) or len(found) != len(value):
        raise ValueError("no object, or a key that comes twice")
    return found


def _columns(rows: object, most: int) -> PostedColumns | None:
    """Return rows whose keys are the usual ones, all in one order, as columns; else None."""
    if not isinstance(rows, list) or len(rows) > most:
        return None
    if not rows:
        return PostedColumns((), (), (), (), ())
    if not _are(rows, tuple) or set(map(len, rows)) != {len(_COLUMNS)}:
        return None
    names, values = zip(*chain.from_iterable(rows), strict=True)
    first = names[: len(_COLUMNS)]
    if set(first) != set(_COLUMNS) or names != first * len(rows):
        return None
    columns = {name: values[place :: len(_COLUMNS)] for place, name in enumerate(first)}
    found = PostedColumns(*(columns[name] for name in _COLUMNS))
    return found if _typed(found) else None


def _typed(rows: PostedColumns) -> bool:
    texts, numbers = (rows.source, rows.service), (rows.attempts, rows.targets, rows.answered)
    if not all(_are(column, str) for column in texts) or not all(_are(column, int) for column in numbers):
        return False
    return max(map(len, rows.source)) <= MAX_ADDRESS_LENGTH and max(map(len, rows.service)) <= MAX_SERVICE_LENGTH


def _are(values: Sequence[Any], kind: type) -> bool:
    return set(map(type, values)) == {kind}
