"""Times in requests: RFC 3339 with a zone, or seconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_FORMS = "write RFC 3339 with a zone, such as 2026-03-01T12:00:00Z, or seconds since 1970"

# RFC 3339, section 5.6, without leap seconds: event time has no room for them.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_SECOND = (1 << 63) // 10**9 - 1


def parse_time(value: object) -> int:
    """Return ns since the epoch for a text or number out of JSON; raises ValueError for anything else."""
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _parse_seconds(Decimal(value))
    raise ValueError(f"is no time; {_FORMS}")


def parse_query_time(text: object) -> object:
    """Return ns since the epoch for a text out of a query, where a number is text too."""
    if isinstance(text, str) and _SECONDS.fullmatch(text):
        return _parse_seconds(Decimal(text))
    return parse_time(text)


def _parse_seconds(seconds: Decimal) -> int:
    exponent = seconds.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"is no time; {_FORMS}")  # noqa: TRY004  (infinite, or no number)
    # Compared before multiplied: an exponent can name a number that fills the memory.
    if not 0 <= seconds <= LATEST_SECOND:
        raise ValueError("lies before 1970 or after the year 2262")
    if exponent < -9:
        raise ValueError("has more than 9 decimals; nanoseconds are the finest time")
    return int(seconds.scaleb(9))


def _parse_text(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"is no time; {_FORMS}")
    date, time, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError as error:
        raise ValueError(f"is no time ({error}); {_FORMS}") from error
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    if not 0 <= seconds <= LATEST_SECOND:
        raise ValueError("lies before 1970 or after the year 2262")
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))
