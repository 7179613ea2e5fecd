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


def test_many_keys_are_read_quickly_enough_to_name_the_last() -> None:
    keys = ", ".join(f'"{number}": 0' for number in range(200_000))
    with pytest.raises(HTTPException, match="'199999' twice"):
        parse_json(f'{{{keys}, "199999": 0}}'.encode())
