from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from service.api.strict_json import parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
@settings(derandomize=True)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


def test_fractions_are_exact() -> None:
    assert parse_json(b"[0.1, 1E2]") == [Decimal("0.1"), Decimal(100)]


@given(st.binary())
@settings(derandomize=True)
def test_no_bytes_break_it(body: bytes) -> None:
    with suppress(HTTPException):
        parse_json(body)


def test_an_object_has_no_more_fields_than_anybody_is_told_of() -> None:
    keys = ", ".join(f'"{number}": 0' for number in range(100))
    assert len(parse_json(f"{{{keys}}}".encode())) == 100
    with pytest.raises(HTTPException, match="object of 101 fields"):
        parse_json(f'[{{"99": 0, {keys}}}]'.encode())
    with pytest.raises(HTTPException, match="'98' twice"):
        parse_json(b'{"98": 0, "98": 0}')
