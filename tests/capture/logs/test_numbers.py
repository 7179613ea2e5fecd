from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.logs.numbers import decimals, times

SECOND = 10**9


def read(texts: list[str], places: int) -> list[int | None]:
    column = decimals(texts, places)
    return [int(value) if known else None for value, known in zip(column.values, column.known, strict=True)]


def read_times(*texts: str) -> list[int | None]:
    column = times(texts)
    return [int(value) if known else None for value, known in zip(column.values, column.known, strict=True)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 9 * 10**9), st.text("0123456789", max_size=12)), max_size=20))
def test_decimals_are_exact(parts: list[tuple[int, str]]) -> None:
    texts = [f"{whole}.{fraction}" if fraction else str(whole) for whole, fraction in parts]
    assert read(texts, 9) == [int(Decimal(text) * SECOND) for text in texts]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 10_000),
        ("1.0013580322265625e-05", 10_013),
        ("2E3", 2000 * SECOND),
        (".5", SECOND // 2),
        ("7.", 7 * SECOND),
        ("0", 0),
        ("9223372036.854775807", (1 << 63) - 1),
    ],
)
def test_unusual_decimals(text: str, value: int) -> None:
    assert read([text, "1.5"], 9) == [value, 3 * SECOND // 2]


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "+1",
        "1_000",
        "1.2.3",
        ".",
        "nan",
        "inf",
        "0x10",
        "١",
        "1 ",
        " 1",
        "1e999",
        "1" * 41,
        "9" * 19,
        "9223372037",
    ],
)
def test_what_is_no_decimal(text: str) -> None:
    assert read([text, "1.5"], 9) == [None, 3 * SECOND // 2]


def test_whole_numbers() -> None:
    assert read(["80", "443.0", "1e3", "80.5", ""], 0) == [80, 443, 1000, None, None]


def test_what_is_not_set_is_told_apart() -> None:
    column = decimals(["-", "", "x", "1"], 0)
    assert column.unset.tolist() == [True, True, False, False]
    assert column.known.tolist() == [False, False, False, True]


def test_no_numbers() -> None:
    assert read([], 9) == []
    assert read_times() == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001  (hypothesis wants naive bounds)
    st.sampled_from(["", "Z", "+0000", "+02:00", "-0530", " UTC"]),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S.%f"]),
)
def test_dates_are_exact_in_every_zone(time: datetime, zone: str, form: str) -> None:
    east = {"+02:00": timedelta(hours=2), "-0530": -timedelta(hours=5, minutes=30)}.get(zone, timedelta())
    whole = (time.replace(tzinfo=UTC) - east - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read_times(time.strftime(form) + zone) == [whole * 1000]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1700000000", 1_700_000_000 * SECOND),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1700000000123", 1_700_000_000_123_000_000),
        ("1700000000123456", 1_700_000_000_123_456_000),
        ("1700000000123456789", 1_700_000_000_123_456_789),
        ("928.943457", 928_943_457_000),
        ("2016-12-31 23:59:60", 1_483_228_800 * SECOND),
        ("2023-11-14T22:13:20,5Z", 1_700_000_000 * SECOND + SECOND // 2),
        ("2023-11-14 22:13:20.123456789123", 1_700_000_000_123_456_789),
    ],
)
def test_times_in_many_forms(text: str, value: int) -> None:
    assert read_times(text, text) == [value, value]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "16:24:47.672448",
            "2023-02-30 00:00:00",
            "2023-01-01",
            "2023-01-01 24:00:00",
            "soon",
            "9" * 19,
            "-5",
            "-",
        ),
        *("0001-01-01 00:00:00", "1969-12-31 23:59:59", "1970-01-01T00:00:00+00:01", "9999-12-31 23:59:59"),
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert read_times(text, "1700000000") == [None, 1_700_000_000 * SECOND]
