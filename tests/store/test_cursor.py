from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import NotFoundError
from service.store.cursor import read_cursor, write_cursor


@given(st.integers(0, 2**63 - 1))
@settings(derandomize=True)
def test_a_cursor_says_where_to_go_on(sequence: int) -> None:
    assert read_cursor("alerts", write_cursor("alerts", sequence)) == sequence


@given(st.text())
@settings(derandomize=True)
def test_no_text_breaks_it(text: str) -> None:
    try:
        sequence = read_cursor("alerts", text)
    except NotFoundError:
        return
    assert write_cursor("alerts", sequence) == text


def test_a_number_beyond_any_row_is_refused() -> None:
    with pytest.raises(NotFoundError, match="listing of alerts"):
        read_cursor("alerts", write_cursor("alerts", 2**63))
