"""The quick way and the slow way of reading a window are one."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from service.api import window_bodies
from service.api.fast_window import read_usual_window
from service.api.window_bodies import is_log, read_any_window, read_counts, read_lines
from service.errors import InputError
from service.windows.counts import WindowCounts
from tests.api.bodies import TEXTS, WINDOWS
from tests.api.posts import ROW, TOTALS, WINDOW

MOST = 4


def assert_same(left: object, right: object) -> None:
    """Raise AssertionError unless two parts of windows are equal, in types of columns, too."""
    assert type(left) is type(right)
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    elif hasattr(left, "__dataclass_fields__"):
        for field in fields(left):  # type: ignore[arg-type]
            assert_same(getattr(left, field.name), getattr(right, field.name))
    else:
        assert left == right


def slowly(body: bytes) -> WindowCounts | None:
    """Return the window that the models make of a body, or None if they refuse it."""
    try:
        return read_any_window(body, MOST)
    except (HTTPException, RequestValidationError, InputError):
        return None


def quickly(body: bytes) -> WindowCounts | None:
    """Return the window that the quick way makes of a body, or None if it refuses or leaves it."""
    try:
        return read_usual_window(body, MOST)
    except HTTPException:
        assert slowly(body) is None  # what it refuses by itself, the models refuse
        return None


@settings(max_examples=400)
@given(TEXTS)
def test_both_ways_accept_the_same_and_make_the_same_of_it(body: bytes) -> None:
    quick, slow = quickly(body), slowly(body)
    if quick is not None:
        assert_same(quick, slow)
    if slow is not None:
        assert_same(read_counts(body, MOST), slow)


ODD_TEXTS = st.sampled_from(
    [
        ('"attempts": 41', '"attempts": 41.0'),
        ('"attempts": 41', '"attempts": 4.1e1'),
        ('"attempts": 41', '"attempts": -0'),
        ('"attempts": 41', '"attempts": 041'),
        ('"attempts": 41', '"attempts": 41, "attempts": 41'),
        ('"attempts": 41', '"attempts": NaN'),
        ('"attempts": 41', '"attempts": 1' + "0" * 60),
        ('"attempts": 41', '"attempts": true'),
        ('"tcp/23"', '"TCP/23"'),
        ('"tcp/23"', '"tcp/0023"'),
        ('"tcp/23"', '"tcp\\u002f23"'),
        ('"192.0.2.1"', '"192.0.2.01"'),
        ('"192.0.2.1"', '"::ffff:192.0.2.1"'),
        ('"192.0.2.1"', '" 192.0.2.1"'),
        ('"192.0.2.1"', '"192.0.2.1%eth0"'),
        ('"sensor": "edge"', '"sensor": "\\ud800"'),
        ('"sensor": "edge"', '"sensor": "edge", "sensor": "edge"'),
        ('"sensor": "edge"', '"sensor": "e\\u200bdge"'),
        ('"2026-03-01T12:00:00Z"', "1772366400"),
        ('"2026-03-01T12:00:00Z"', "1772366400.123456789"),
        ('"2026-03-01T12:00:00Z"', "1772366400.1234567891"),
        ('"2026-03-01T12:00:00Z"', "17723664e2"),
        ('"2026-03-01T12:00:00Z"', '"1772366400"'),
        ('"rows": [', '"sources": [], "rows": ['),
        ('"rows": [', '"sources": null, "rows": ['),
        ("}]", "}],"),
        ("{", "\ufeff{"),
    ]
)


@settings(max_examples=300)
@given(document=WINDOWS, changes=st.lists(ODD_TEXTS, min_size=1, max_size=3))
def test_both_ways_take_odd_spellings_alike(document: dict[str, Any], changes: list[tuple[str, str]]) -> None:
    for usual in (WINDOW, document):
        text = json.dumps(usual)
        for before, after in changes:
            text = text.replace(before, after)
        body = text.encode()
        quick, slow = quickly(body), slowly(body)
        if quick is not None:
            assert_same(quick, slow)


def test_the_quick_way_is_taken_where_it_can_be() -> None:
    rows = [ROW, ROW | {"service": "tcp/22"}]
    for usual in (WINDOW, WINDOW | {"rows": rows}, WINDOW | {"rows": []}, WINDOW | {"sources": [TOTALS]}):
        body = json.dumps(usual).encode()
        quick = read_usual_window(body, MOST)
        assert quick is not None
        assert_same(quick, read_any_window(body, MOST))


@pytest.mark.parametrize(
    ("head", "log"),
    [
        (b'{"event_type": "flow"', True),
        (b'\n\n{"event_type": "dns"}\n{"sensor": 1}', True),
        (b'{"ts": 1, "id.orig_h": "192.0.2.1", "conn_state": "S0"}', True),
        (b"#fields\tts\tuid", True),
        (b'{"sensor": "edge"}\n{"event_type": "flow"}', False),
        (b"", False),
        (b"\xff\xfe", False),
        (b"ts,sa,da", False),
    ],
)
def test_the_first_line_tells_logs_from_windows(head: bytes, *, log: bool) -> None:
    assert is_log(head) is log


def refusal(body: bytes, rows: int = MOST) -> tuple[int, str]:
    """Return the status with which a body is refused, and why."""
    with pytest.raises(HTTPException) as error:
        read_any_window(body, rows)
    return error.value.status_code, error.value.detail


def test_what_holds_more_values_than_a_window_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_bodies, "parse_json", lambda _: pytest.fail("it was read"))
    assert refusal(b"[" + b"{}," * 10_010 + b"{}]") == (
        413,
        "the body holds more objects than 4 rows and as many sources; send shorter windows",
    )
    assert refusal(b"[" * 10_001) == (400, "the body holds more than 10000 lists; a window has two")


def test_of_many_wrong_rows_the_first_are_told() -> None:
    rows = [ROW] * 1500 + [ROW | {"attempts": -1, "targets": "x"}] + [ROW] * 1000 + [{}] * 1000
    with pytest.raises(RequestValidationError) as error:
        read_any_window(json.dumps(WINDOW | {"rows": rows}).encode(), 10_000)
    found = error.value.errors()
    assert [item["loc"] for item in found] == [
        ("body", "rows", 1500, "attempts"),
        ("body", "rows", 1500, "targets"),
    ]


def test_lines_without_anything_have_a_bound() -> None:
    line = json.dumps(WINDOW).encode()
    assert list(read_lines(b"\n" * 65_000 + line, MOST, lambda _: None)) == [65_001]
    with pytest.raises(HTTPException, match="more than 65536 lines"):
        read_lines(b"\n" * 65_536 + line + b"\n", MOST, lambda _: None)
