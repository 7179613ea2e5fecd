"""Numbers and times written as text, whole columns at a time, exactly: nothing goes through a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WIDEST = 40
"""Characters of a number or time; longer ones are none."""
_LARGEST = (1 << 63) - 1
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_DECIMAL = re.compile(r"(\d{1,30}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_CLOCK = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?", re.ASCII
)
_PER_SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column of n numbers."""

    values: NDArray[np.int64]
    """Shape (n,); 0 where nothing is known."""
    known: NDArray[np.bool_]
    """Whether the text is such a number."""
    unset: NDArray[np.bool_]
    """Whether the text says that there is none: it is empty or ``-``."""


def decimals(texts: Sequence[str], places: int) -> Column:
    """Read decimals that are not negative, times ``10 ** places``; what is finer is cut off.

    With 0 places they have to be whole.
    """
    n = len(texts)
    if not n:
        none = np.zeros(0, dtype=np.bool_)
        return Column(np.zeros(0, dtype=np.int64), none, none)
    length = np.fromiter(map(len, texts), np.int64, n)
    if length.max() > _WIDEST:
        texts = [text[:_WIDEST] for text in texts]
    codes = np.array(texts, dtype=np.str_)
    table = codes.view(np.uint32).reshape(n, -1)
    values, known = _plain(table, length, places)
    unset = (length == 0) | ((length == 1) & (table[:, 0] == ord("-")))
    for row in np.flatnonzero(~known & ~unset & (length <= _WIDEST)).tolist():
        value = _unusual(texts[row], places)
        if value is not None:
            values[row], known[row] = value, True
    values[~known] = 0
    return Column(values, known, unset)


def times(texts: Sequence[str]) -> Column:
    """Read times as ns since the epoch.

    Accepted are seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by their size, and
    dates with a time of day (``2026-03-01T12:00:00.5Z``, ``2026/03/01 12:00:00``), without a zone in UTC; from 1970
    to 2262.
    """
    if texts and any(sign in texts[0] for sign in "-/:") and len(texts[0]) > 1:
        values = np.zeros(len(texts), dtype=np.int64)
        unset = np.array([text in ("", "-") for text in texts], dtype=np.bool_)
        column = Column(values, np.zeros(len(texts), dtype=np.bool_), unset)
    else:
        column = decimals(texts, 9)
    for row in np.flatnonzero(~column.known & ~column.unset).tolist():
        value = _time(texts[row])
        if value is None:
            value = _unusual(texts[row], 9)
        if value is not None:
            column.values[row], column.known[row] = value, True
    return column


def _plain(
    table: NDArray[np.uint32], length: NDArray[np.int64], places: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read digits with at most one point; each row holds the characters of a text."""
    n = len(table)
    whole, fraction, wholes, fractions = (np.zeros(n, dtype=np.int64) for _ in range(4))
    known, behind = length > 0, np.zeros(n, dtype=np.bool_)
    for place in range(table.shape[1]):
        inside = place < length
        digit = table[:, place].astype(np.int64) - ord("0")
        is_digit = inside & (digit >= 0) & (digit <= 9)
        is_point = inside & (digit == ord(".") - ord("0"))
        known &= ~inside | is_digit | (is_point & ~behind)
        before = is_digit & ~behind
        after = is_digit & behind & (fractions < places)
        whole = np.where(before, whole * 10 + digit, whole)
        fraction = np.where(after, fraction * 10 + digit, fraction)
        wholes += before
        fractions += after
        behind |= is_point
    known &= (wholes > 0) & (wholes <= 18) & (whole < _LARGEST // 10**places)
    if not places:
        known &= ~behind
    return whole * 10**places + fraction * _POWERS[places - fractions], known


def _unusual(text: str, places: int) -> int | None:
    """Read a number with an exponent, or a whole one that is written with a point."""
    if len(text) > _WIDEST or not _DECIMAL.fullmatch(text):
        return None
    value = Decimal(text).scaleb(places)
    if value > _LARGEST or (not places and value != value.to_integral_value()):
        return None
    return int(value)


def _time(text: str) -> int | None:
    digits = len(text)
    if text.isascii() and text.isdigit() and 12 <= digits <= 19:  # 12 digits of seconds would be the year 5138
        value = int(text) * 10 ** (6 if digits < 15 else 3 if digits < 18 else 0)
        return value if value <= _LARGEST else None
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    fraction, zone = match[7] or "", match[8] or "Z"
    seconds = _seconds(*(int(match[group]) for group in range(1, 7)))
    if seconds is None:
        return None
    value = (seconds - _offset(zone)) * _PER_SECOND + int(fraction[:9].ljust(9, "0"))
    return value if 0 <= value <= _LARGEST else None


@lru_cache(maxsize=1 << 12)
def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    try:
        date = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    if second > 60:  # 60 is a leap second
        return None
    return (date - _EPOCH) // timedelta(seconds=1) + (second == 60)


@lru_cache(maxsize=64)
def _offset(zone: str) -> int:
    if zone in ("Z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds
