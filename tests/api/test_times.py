from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.api.times import parse_query_time, parse_time
from service.export.document import format_time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01t00:00:00.5z", 500_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:30:00-00:30", 0),
        ("2262-04-11T23:47:14Z", 9_223_372_034_000_000_000),
    ],
)
def test_rfc_3339(text: str, time: int) -> None:
    assert parse_time(text) == time
    assert parse_query_time(text) == time


@pytest.mark.parametrize(
    ("number", "time"),
    [
        (0, 0),
        (17, 17 * 10**9),
        (Decimal("0.000000001"), 1),
        (Decimal("1.5e3"), 1500 * 10**9),
        (Decimal("2.50"), 25 * 10**8),
    ],
)
def test_seconds(number: object, time: int) -> None:
    assert parse_time(number) == time


def test_a_query_writes_seconds_as_text() -> None:
    assert parse_query_time("1700000000.5") == 1_700_000_000_500_000_000
    with pytest.raises(ValueError, match="is no time"):
        parse_time("1700000000.5")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2026-03-01",
        "2026-03-01 12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00Z",
        "2026-03-01T12:00:60Z",
        "2026-13-01T12:00:00Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00.0000000000Z",
        "2026-03-01T12:00:00+25:00",
        "2026-03-01T12:00:00Z ",
        "٢٠٢٦-03-01T12:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        -1,
        2**63,
        Decimal("1e1000000"),
        Decimal("-1e-1000000"),
        Decimal("1e-10"),
        Decimal("Infinity"),
        Decimal("NaN"),
        True,
        1.5,
        None,
        [],
        {},
    ],
)
def test_anything_else_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match=r"is no time|before 1970|9 decimals"):
        parse_time(value)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2262, 4, 10)),  # noqa: DTZ001  (the zone is drawn)
    st.integers(-14 * 60, 14 * 60),
)
@settings(derandomize=True)
def test_every_moment_comes_back(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    time = parse_time(aware.isoformat())
    assert format_time(time) == aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@given(st.text())
@settings(derandomize=True)
def test_no_text_breaks_it(text: str) -> None:
    with suppress(ValueError):
        assert 0 <= parse_time(text) < 2**63
